"""Predictions over HTTP: the next days, the trajectory, who may ask, and what is refused."""

from datetime import UTC, date, datetime, timedelta

import pytest

from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.moments import rfc3339
from tests.support.calibrated import learned
from tests.support.calls import STUDENT, Api, Json, event
from tests.support.live import make_token

ASKED = {"student_id": STUDENT}
CALLS = ("/predictions/next-week", "/predictions/trajectory")


@pytest.fixture
async def known(api: Api) -> Api:
    """A student with a few weeks behind them."""
    done = [
        event("completion", days_ago=back, total_exercises=10, completed_exercises=10 - back // 4, topic="loops")
        for back in range(24, 0, -4)
    ]
    tested = [event("quiz", days_ago=back, correct_answers=8) for back in (20, 12, 5)]
    await api.learn(*sorted([*done, *tested], key=lambda one: str(one["timestamp"])))
    return api


def day(ahead: int) -> str:
    return str(datetime.now(UTC).date() + timedelta(days=ahead))


async def test_the_next_week_has_seven_days_with_their_intervals(known: Api) -> None:
    data = await known.data("/predictions/next-week", ASKED)
    assert [one["date"] for one in data["days"]] == [day(ahead) for ahead in range(1, 8)]
    for one in data["days"]:
        assert 0 <= one["lower"] <= one["score"] <= one["upper"] <= 1
    assert data["predicted_score"] == data["days"][-1]["score"]
    assert data["timeframe_days"] == 7
    assert 0 <= data["confidence"] <= 1
    assert data["trend"] in ("improving", "declining", "stable")
    assert data["intervention_needed"] in (True, False)


async def test_each_door_says_whether_the_forecast_is_calibrated_for_the_course(known: Api) -> None:
    said = [(await known.data(path, ASKED))["calibration"] for path in CALLS]
    assert said == [{"calibrated": False, "coverage": None, "student_weeks": 0, "as_of": None}] * 2
    calibration = learned(known.clock(), 412, 0.81234)
    await known.engine.calibrations.put(CourseKey("default"), calibration, known.clock())
    said = [(await known.data(path, ASKED))["calibration"] for path in CALLS]
    as_of = rfc3339(calibration.as_of)
    assert said == [{"calibrated": True, "coverage": 0.8123, "student_weeks": 412, "as_of": as_of}] * 2


@pytest.mark.parametrize("days", [1, 30])
async def test_as_many_days_as_were_asked_for(known: Api, days: int) -> None:
    data = await known.data("/predictions/next-week", {**ASKED, "timeframe_days": days})
    assert (data["timeframe_days"], len(data["days"])) == (days, days)


async def test_the_trajectory_has_the_past_and_the_week_to_come(known: Api) -> None:
    data = await known.data("/predictions/trajectory", {**ASKED, "days": 14})
    dates = [date.fromisoformat(one["date"]) for one in data["points"]]
    assert dates == sorted(dates)
    assert dates[0] > datetime.now(UTC).date() - timedelta(days=14)
    assert len(dates) == 4
    assert {one["level"] for one in data["points"]} <= {"beginner", "developing", "competent", "proficient", "expert"}
    assert [one["date"] for one in data["forecast"]] == [day(ahead) for ahead in range(1, 8)]
    assert data["predicted_score"] == data["forecast"][-1]["score"]


async def test_a_first_event_is_enough_for_a_forecast_and_makes_it_wide(api: Api) -> None:
    await api.learn(event("quiz", correct_answers=9))
    data = await api.data("/predictions/next-week", ASKED)
    assert data["days"][-1]["upper"] - data["days"][-1]["lower"] > 0.05
    assert data["intervention_needed"] is True, "a score below a half stays there, more likely than not"


@pytest.mark.parametrize("path", CALLS)
async def test_an_unknown_student_is_404(api: Api, path: str) -> None:
    assert (await api.post(path, ASKED)).status_code == 404


@pytest.mark.parametrize("path", CALLS)
async def test_a_student_asks_about_themselves_alone(known: Api, path: str) -> None:
    assert (await known.post(path, ASKED, token=make_token(role="student", subject=STUDENT))).status_code == 200
    answer = await known.post(path, ASKED, token=make_token(role="student", subject="student_2"))
    assert answer.status_code == 403
    names = [
        (record.call, record.allowed) for record in await known.audited() if record.call == path.rpartition("/")[2]
    ]
    assert [allowed for _, allowed in names] == [True, False]


@pytest.mark.parametrize("path", CALLS)
async def test_another_tenant_sees_nothing(known: Api, path: str) -> None:
    assert (await known.post(path, ASKED, token=make_token(tenant="other"))).status_code == 404


REFUSED: list[tuple[str, Json]] = [
    ("/predictions/next-week", {"timeframe_days": 0}),
    ("/predictions/next-week", {"timeframe_days": 31}),
    ("/predictions/next-week", {"timeframe_days": 7.5}),
    ("/predictions/next-week", {"timeframe": 7}),
    ("/predictions/trajectory", {"days": 6}),
    ("/predictions/trajectory", {"days": 91}),
    ("/predictions/trajectory", {"days": "30"}),
]


@pytest.mark.parametrize(("path", "body"), REFUSED)
async def test_what_is_out_of_range_is_refused_with_the_field(known: Api, path: str, body: Json) -> None:
    answer = await known.post(path, {**ASKED, **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == next(iter(body))


async def test_the_trend_is_that_of_14_days_however_many_are_shown(known: Api) -> None:
    await known.learn(*[event("quiz", days_ago=back, correct_answers=10 - back) for back in (4, 3, 2, 1)])
    await known.learn(event("quiz", correct_answers=0, total_questions=30))
    said = (await known.data("/mastery/query", ASKED))["trend"]
    for days in (7, 14, 90):
        assert (await known.data("/predictions/trajectory", {**ASKED, "days": days}))["trend"] == said
