"""The past: queries with a date, the daily, weekly and monthly history, its summary, and CSV."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from statistics import mean
from typing import Any

import pytest

from tests.support.calls import STUDENT, Api, Json, event

BACK = (80, 60, 45, 30, 29, 20, 10, 3)
ASKED = {"student_id": STUDENT}


def day(back: float) -> str:
    return str((datetime.now(UTC) - timedelta(days=back)).date())


@pytest.fixture
async def past(api: Api) -> Api:
    """A student who has got better: all four components set on some days of the last 80."""
    for place, back in enumerate(BACK):
        value = (place + 1) / 10
        components = dict.fromkeys(("completion", "quiz", "quality", "consistency"), value)
        await api.learn(event("mastery.calculation.requested", days_ago=back, components=components))
    return api


async def test_a_query_with_a_date_answers_what_was_known_then(past: Api) -> None:
    for place, back in enumerate(BACK):
        body = {"student_id": STUDENT, "date": day(back)}
        data = await past.data("/mastery/query", body)
        value = (place + 1) / 10
        assert data["current_mastery"]["mastery_score"] == value
        assert data["current_mastery"]["components"]["quiz"] == value
        assert data["last_updated"] == day(back)
        assert data["historical_average"] == pytest.approx(mean((n + 1) / 10 for n in range(place + 1)), abs=1e-4)


async def test_between_two_days_it_is_the_older(past: Api) -> None:
    assert (await past.query(date=day(15)))["mastery_score"] == 0.6
    assert (await past.query(date=day(0)))["mastery_score"] == 0.8
    assert (await past.query(date=day(-30)))["mastery_score"] == 0.8


async def test_before_the_first_day_it_is_404(past: Api) -> None:
    for early in (day(81), "0001-01-01"):
        answer = await past.post("/mastery/query", {"student_id": STUDENT, "date": early})
        assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (404, "date")


async def test_a_late_event_changes_no_past_point(past: Api) -> None:
    await past.learn(event("mastery.calculation.requested", days_ago=50, components={"quiz": 1.0}))
    assert (await past.query(date=day(50)))["mastery_score"] == 0.2
    assert (await past.query(date=day(45)))["mastery_score"] == 0.3


async def test_the_trend_is_that_of_the_last_two_weeks(api: Api) -> None:
    async def trend(*values: float) -> str:
        student_id = f"s-{'-'.join(str(round(value * 1_000)) for value in values)}"
        for back, value in zip((9, 6, 3), values, strict=True):
            components = dict.fromkeys(("completion", "quiz", "quality", "consistency"), value)
            kind = "mastery.calculation.requested"
            await api.learn(event(kind, days_ago=back, student_id=student_id, components=components))
        return str((await api.data("/mastery/query", {"student_id": student_id}))["trend"])

    assert await trend(0.2, 0.4, 0.6) == "improving"
    assert await trend(0.6, 0.4, 0.2) == "declining"
    assert await trend(0.5, 0.5, 0.503) == "stable"


@pytest.mark.parametrize(
    "when",
    [
        "2026-02-30",
        "yesterday",
        "",
        "14.01.2026",
        "2026-1-4",
        20260114,
        1768386600,
        True,
        ["2026-01-14"],
        "2026-01-14T10:30:00Z",
    ],
)
async def test_an_impossible_date_is_400_and_named(api: Api, when: Any) -> None:
    for path, field in [
        ("/mastery/query", "date"),
        ("/analytics/mastery-history", "start_date"),
        ("/analytics/mastery-history", "end_date"),
    ]:
        answer = await api.post(path, {"student_id": STUDENT, field: when})
        assert (answer.status_code, answer.json()["error"]["details"].get("field")) == (400, field)


async def history(api: Api, **asked: Any) -> Json:
    found: Json = await api.data("/analytics/mastery-history", {**ASKED, **asked})
    return found


async def test_the_daily_history_has_the_days_that_have_a_point(past: Api) -> None:
    found = await history(past)
    assert [(point["date"], point["mastery_score"]) for point in found["history"]] == [
        (day(back), (place + 1) / 10) for place, back in enumerate(BACK)
    ]
    assert [point["level"] for point in found["history"]][-2:] == ["competent", "proficient"]
    assert (found["start_date"], found["end_date"], found["aggregation"]) == (day(89), day(0), "daily")


async def test_both_ends_of_a_range_are_in_it(past: Api) -> None:
    found = await history(past, start_date=day(45), end_date=day(29))
    assert [point["date"] for point in found["history"]] == [day(45), day(30), day(29)]
    assert found["summary"] == {"average": 0.4, "highest": 0.5, "lowest": 0.3, "improvement": 0.2}


async def test_improvement_is_the_last_less_the_first(api: Api) -> None:
    for back, value in ((3, 0.9), (2, 0.1), (1, 0.6)):
        components = dict.fromkeys(("completion", "quiz", "quality", "consistency"), value)
        await api.learn(event("mastery.calculation.requested", days_ago=back, components=components))
    summary = (await history(api))["summary"]
    assert summary == {"average": pytest.approx(1.6 / 3, abs=1e-4), "highest": 0.9, "lowest": 0.1, "improvement": -0.3}


async def test_a_range_without_points_is_empty(past: Api) -> None:
    found = await history(past, start_date=day(9), end_date=day(4))
    assert found["history"] == []
    assert found["summary"] == {"average": None, "highest": None, "lowest": None, "improvement": None}


async def test_a_range_of_one_day(past: Api) -> None:
    assert len((await history(past, start_date=day(30), end_date=day(30)))["history"]) == 1


@pytest.mark.parametrize(("start", "end"), [(1, 2), (-5, 0), (0, 100)])
async def test_an_end_before_its_start_is_400(past: Api, start: int, end: int) -> None:
    answer = await past.post("/analytics/mastery-history", {**ASKED, "start_date": day(start), "end_date": day(end)})
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, "end_date")


def monday(when: date) -> date:
    return when - timedelta(days=when.weekday())


def first_of_month(when: date) -> date:
    return when.replace(day=1)


@pytest.mark.parametrize(("aggregation", "start_of"), [("weekly", monday), ("monthly", first_of_month)])
async def test_weeks_begin_on_monday_months_on_the_first_both_are_means(
    past: Api, aggregation: str, start_of: Any
) -> None:
    expected: dict[str, list[float]] = {}
    for place, back in enumerate(BACK):
        expected.setdefault(str(start_of(date.fromisoformat(day(back)))), []).append((place + 1) / 10)
    found = await history(past, aggregation=aggregation)
    assert {point["date"]: point["mastery_score"] for point in found["history"]} == {
        start: pytest.approx(mean(scores), abs=1e-4) for start, scores in expected.items()
    }
    assert found["summary"]["highest"] == 0.8, "the summary is that of the daily points"


@pytest.mark.parametrize("change", [{"aggregation": "yearly"}, {"format": "xml"}, {"aggregation": None}])
async def test_an_unknown_aggregation_or_format_is_400(past: Api, change: Json) -> None:
    assert (await past.post("/analytics/mastery-history", {**ASKED, **change})).status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [("/analytics/mastery-history?format=csv", ASKED), ("/analytics/mastery-history", {**ASKED, "format": "csv"})],
)
async def test_csv_has_the_same_rows(past: Api, path: str, body: Json) -> None:
    answer = await past.post(path, body)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert STUDENT in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [
        {"date": row["date"], "mastery_score": float(row["mastery_score"]), "level": row["level"]} for row in rows
    ] == (await history(past))["history"]


async def test_an_unknown_format_in_the_address_is_400(past: Api) -> None:
    answer = await past.post("/analytics/mastery-history?format=xml", ASKED)
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, "format")
