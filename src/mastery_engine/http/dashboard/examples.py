"""The page of examples: each component of the design system in each of its states, for who works on the pages.

Tests look at it, in light and dark and from right to left. It shows nothing of anybody, and is not there in production.
"""

from datetime import date, timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from mastery_engine.domain.rules import DEFAULT_LEVELS
from mastery_engine.errors import NotFound
from mastery_engine.http.dashboard import charts, sentences
from mastery_engine.http.dashboard.graphs import Graph, GraphLine
from mastery_engine.http.dashboard.routing import with_error_pages
from mastery_engine.http.dashboard.templates import page
from mastery_engine.http.dashboard.words import N_, spoken
from mastery_engine.responses.forecasts import ForecastCalibration, ForecastDay, Prediction
from mastery_engine.settings import Settings

FIRST = date(2026, 9, 28)
SCORES = (0.31, 0.36, 0.42, 0.4, 0.47, 0.55, 0.58)

router = APIRouter(include_in_schema=False, prefix="/dashboard/design")


@router.get("")
@with_error_pages
async def examples(request: Request) -> Response:
    """For anybody who develops. Raises NotFound in production."""
    settings: Settings = request.state.settings
    if settings.in_production:
        raise NotFound(N_("There is no page at this address."))
    words = spoken()
    past = [(FIRST.toordinal() + place, score) for place, score in enumerate(SCORES)]
    return page(
        "design/examples.html",
        None,
        student_id="student_12345",
        sample="correct_answers is 9, but total_questions is 8.",
        levels=DEFAULT_LEVELS,
        states=list(sentences.SIGNS),
        charts=[charts.chart_of(past), charts.chart_of(past, _forecast())],
        grid=[(share, charts.y_of(share)) for share in (0.25, 0.5, 0.75)],
        graphs=[_graph("a", needs_look=False), _graph("b", needs_look=True)],
        spark=charts.spark(past, past[-1][0]),
        calendar=charts.calendar(
            [True, False, True, True],
            past[-1][0],
            first_weekday=words.locale.first_week_day,
            names=words.weekdays,
            mirrored=words.direction == "rtl",
        ),
    )


def _forecast() -> Prediction:
    """Three days, whose band widens."""
    last = FIRST + timedelta(days=len(SCORES) - 1)
    days = [
        ForecastDay(
            (last + timedelta(days=ahead)).isoformat(), 0.58 + 0.01 * ahead, 0.56 - 0.03 * ahead, 0.62 + 0.04 * ahead
        )
        for ahead in (1, 2, 3)
    ]
    calibration = ForecastCalibration(calibrated=False, coverage=None, student_weeks=0, as_of=None)
    return Prediction("a", SCORES[-1], days[-1].score, 0.5, "improving", False, len(days), days, calibration)


def _graph(key: str, *, needs_look: bool) -> Graph:
    """A line of each kind, with a gap and a lone minute, and one without figures."""
    words = spoken()
    line = GraphLine(words.gettext("calls"), "a", ["0,90 40,60", "80,50 130,20"], [(170, 30)], [], 12.5, 40, "15:20")
    others = [
        GraphLine(words.gettext("events"), "b", ["0,70 240,40"], [], [], None, 20, "15:10"),
        GraphLine(words.gettext("lag"), "c", ["0,99 240,99"], [], [], 0, 0, ""),
        GraphLine(words.gettext("dead letters"), "a", [], [], [], None, None, ""),
    ]
    times = [(0.0, "start", "14:30"), (120.0, "middle", "15:00"), (240.0, "end", "15:30")]
    title = words.gettext("Score by day")
    steps = [(0.0, 99.0), (20.0, 50.0), (40.0, 1.0)]
    return Graph(key, title, "masteryabsent", needs_look, [line, *others], steps, times)
