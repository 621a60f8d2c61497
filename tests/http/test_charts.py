"""The history and its forecast as lines."""

from mastery_engine.domain.forecast.calibration import UNKNOWN
from mastery_engine.http.dashboard.charts import HEIGHT, WIDTH, chart
from mastery_engine.responses.forecasts import ForecastDay, Prediction, forecast_calibration
from mastery_engine.responses.history import HistoryPoint

HISTORY = [HistoryPoint("2026-01-01", 0.0, "beginner"), HistoryPoint("2026-01-03", 0.5, "developing")]
AHEAD = [ForecastDay(f"2026-01-{4 + day:02}", 0.5, 0.4, 0.6) for day in (1, 2)]


def places(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_days_without_a_point_have_their_room() -> None:
    found = chart([*HISTORY, HistoryPoint("2026-01-05", 1.0, "expert")], None)
    assert places(found.line) == [(0, HEIGHT), (WIDTH / 2, HEIGHT / 2), (WIDTH, 0)]
    assert (found.ahead, found.band, found.x, found.y) == ("", "", WIDTH, 0)


def test_one_day_is_a_point() -> None:
    found = chart(HISTORY[:1], None)
    assert (places(found.line), found.x, found.y) == ([(0, HEIGHT)], 0, HEIGHT)


def test_the_band_opens_today_around_the_days_to_come() -> None:
    forecast = Prediction("s", 0.5, 0.5, 0.8, "stable", False, 2, AHEAD, forecast_calibration(UNKNOWN))
    found = chart(HISTORY, forecast)
    day = WIDTH / 5
    assert (found.x, found.y) == (3 * day, HEIGHT / 2), "today, the day before the first to come"
    assert places(found.ahead) == [(number * day, HEIGHT / 2) for number in (2, 3, 4, 5)]
    assert places(found.band) == [
        (3 * day, HEIGHT / 2),
        (4 * day, round(HEIGHT * 0.4, 1)),
        (5 * day, round(HEIGHT * 0.4, 1)),
        (5 * day, round(HEIGHT * 0.6, 1)),
        (4 * day, round(HEIGHT * 0.6, 1)),
    ]
