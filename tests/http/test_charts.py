"""The history and its forecast as lines, small lines, and the calendar."""

from datetime import date

from mastery_engine.domain.forecast.calibration import UNKNOWN
from mastery_engine.http.dashboard.charts import (
    BOTTOM,
    SPARK_HEIGHT,
    SPARK_WIDTH,
    TOP,
    WIDTH,
    calendar,
    chart,
    spark,
    y_of,
)
from mastery_engine.responses.forecasts import ForecastDay, Prediction, forecast_calibration
from mastery_engine.responses.history import HistoryPoint

HISTORY = [HistoryPoint("2026-01-01", 0.0, "beginner"), HistoryPoint("2026-01-03", 0.5, "developing")]
AHEAD = [ForecastDay(f"2026-01-{4 + day:02}", 0.5, 0.4, 0.6) for day in (1, 2)]


def test_days_below_a_chart_are_its_ends_and_some_between() -> None:
    long = [HistoryPoint(f"2026-01-{day:02}", 0.5, "developing") for day in range(1, 29)]
    days = [(anchor, day.day) for _, anchor, day in chart(long, None).dates]
    assert days == [("start", 1), ("middle", 10), ("middle", 19), ("end", 28)]
    assert [anchor for _, anchor, _ in chart(HISTORY[:1], None).dates] == ["start"]
    assert len(chart(HISTORY, None).places) == len(HISTORY)


def test_a_small_line_shows_little_as_little_and_stays_in_its_box() -> None:
    assert spark([(100, 0.5)], 100) == ""
    assert spark([(10, 0.5), (20, 0.6)], 100) == "", "too long ago"
    for scores in ([(100 - back, 0.5 + back / 60) for back in range(27, -1, -1)], [(99, 0.50), (100, 0.51)]):
        places = [tuple(map(float, pair.split())) for pair in spark(scores, 100)[1:].split("L")]
        assert all(0 <= x <= SPARK_WIDTH and 0 <= y <= SPARK_HEIGHT for x, y in places)
        assert places[-1][0] == SPARK_WIDTH
    assert abs(places[0][1] - places[-1][1]) <= 2, "one point of a hundred is no cliff"


def test_a_calendar_has_each_day_below_its_weekday() -> None:
    today = date(2026, 1, 14)  # a Wednesday
    for first, mirrored in ((0, False), (6, False), (5, True)):
        found = calendar(
            [True, *[False] * 27], today.toordinal(), first_weekday=first, names="MTWTFSS", mirrored=mirrored
        )
        x_of_wednesday, _ = found.heads[(2 - first) % 7]
        assert (found.days[-1][0] + 8, found.days[-1][3]) == (x_of_wednesday, True)
        assert [on for _, _, on, _ in found.days] == [True, *[False] * 27]
        assert len({(x, y) for x, y, *_ in found.days}) == 28
        assert all(0 <= x <= found.width - 16 and 0 <= y <= found.height - 16 for x, y, *_ in found.days)


def places(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_days_without_a_point_have_their_room() -> None:
    found = chart([*HISTORY, HistoryPoint("2026-01-05", 1.0, "expert")], None)
    assert places(found.line) == [(0, BOTTOM), (WIDTH / 2, y_of(0.5)), (WIDTH, TOP)]
    assert (found.ahead, found.band, found.x, found.y) == ("", "", WIDTH, TOP)


def test_one_day_is_a_point() -> None:
    found = chart(HISTORY[:1], None)
    assert (places(found.line), found.x, found.y) == ([(0, BOTTOM)], 0, BOTTOM)


def test_the_band_opens_today_around_the_days_to_come() -> None:
    forecast = Prediction("s", 0.5, 0.5, 0.8, "stable", False, 2, AHEAD, forecast_calibration(UNKNOWN))
    found = chart(HISTORY, forecast)
    day = WIDTH / 5
    assert (found.x, found.y) == (3 * day, y_of(0.5)), "today, the day before the first to come"
    assert places(found.ahead) == [(number * day, y_of(0.5)) for number in (2, 3, 4, 5)]
    assert places(found.band) == [
        (3 * day, y_of(0.5)),
        (4 * day, y_of(0.6)),
        (5 * day, y_of(0.6)),
        (5 * day, y_of(0.4)),
        (4 * day, y_of(0.4)),
    ]
