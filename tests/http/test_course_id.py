"""Every call about a student is about one of their courses."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mastery_engine.auth.access import Caller
from tests.support.calls import Api, Json, event, make_token
from tests.support.schools import ADA, ART, OURS, PHYSICS, THEIRS, learn_in, two_schools


@pytest.fixture
async def schools(tmp_path: Path) -> AsyncIterator[Api]:
    async with two_schools(tmp_path) as api:
        yield api


READS: dict[str, Json] = {
    "/mastery/query": {},
    "/mastery/calculate": {"record": False},
    "/analytics/mastery-history": {},
    "/analytics/changes": {},
    "/analytics/skills": {},
    "/analytics/patterns": {},
    "/predictions/next-week": {},
    "/predictions/trajectory": {},
    "/predictions/next-answer": {"items": [{"item_id": "motion-1"}, {"item_id": "colour-1"}]},
    "/recommendations/adaptive": {},
    "/recommendations/learning-path": {},
    "/recommendations/items": {},
}


async def asked(api: Api, path: str, tenant: str, course_id: str | None, student_id: str = ADA) -> Any:
    body = {"student_id": student_id, **READS[path], **({} if course_id is None else {"course_id": course_id})}
    return await api.post(path, body, token=make_token(tenant=tenant))


@pytest.mark.parametrize("path", READS)
async def test_a_course_must_be_named_where_there_are_several(schools: Api, path: str) -> None:
    answer = await asked(schools, path, OURS, None)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "COURSE_REQUIRED"
    assert error["details"] == {"field": "course_id", "courses": [PHYSICS, ART]}
    assert PHYSICS in error["message"]
    assert ART in error["message"]


@pytest.mark.parametrize("path", READS)
async def test_each_course_answers_by_itself(schools: Api, path: str) -> None:
    """What holds in one is unchanged by the other, and by a namesake's in another school."""
    before = {one: (await asked(schools, path, OURS, one)).json()["data"] for one in (PHYSICS, ART)}
    assert before[PHYSICS] != before[ART]
    only, named = [(await asked(schools, path, THEIRS, one)).json()["data"] for one in (None, ART)]
    assert without_moments(only) == without_moments(named)
    await learn_in(schools, OURS, ART, 0)
    await learn_in(schools, THEIRS, PHYSICS, 0)
    after = (await asked(schools, path, OURS, PHYSICS)).json()["data"]
    assert without_moments(after) == without_moments(before[PHYSICS])


def without_moments(data: Any) -> Any:
    """Without the moment of the call, and the scores of the other courses beside it."""
    if isinstance(data, list):
        return [without_moments(one) for one in data]
    if not isinstance(data, dict):
        return data
    return {name: without_moments(value) for name, value in data.items() if name not in ("timestamp", "courses")}


NO_EVIDENCE_NEEDED = {"/mastery/calculate", "/predictions/next-answer", *(one for one in READS if "recommend" in one)}


@pytest.mark.parametrize("path", READS)
async def test_a_course_without_evidence_is_unknown(schools: Api, path: str) -> None:
    answer = await asked(schools, path, THEIRS, PHYSICS)
    assert answer.status_code == (200 if path in NO_EVIDENCE_NEEDED - {"/mastery/calculate"} else 404)


async def test_a_query_names_all_courses_of_a_student_in_several(schools: Api) -> None:
    courses = (await asked(schools, "/mastery/query", OURS, ART)).json()["data"]["courses"]
    assert [(one["course_id"], one["title"]) for one in courses] == [
        (PHYSICS, "Physics at school-1"),
        (ART, "Art at school-1"),
    ]
    for one in courses:
        own = (await asked(schools, "/mastery/query", OURS, one["course_id"])).json()["data"]
        current = own["current_mastery"]
        assert (one["mastery_score"], one["level"]) == (current["mastery_score"], current["level"])
        assert one["last_updated"] == own["last_updated"]
    assert "courses" not in (await asked(schools, "/mastery/query", THEIRS, None)).json()["data"]


async def test_default_is_meant_where_it_has_evidence(schools: Api) -> None:
    await learn_in(schools, OURS, "default", 5)
    by_default = (await asked(schools, "/analytics/skills", OURS, None)).json()["data"]
    assert by_default == (await asked(schools, "/analytics/skills", OURS, "default")).json()["data"]


async def test_items_and_skills_are_those_of_the_course(schools: Api) -> None:
    for course_id, skill in ((PHYSICS, "motion"), (ART, "colour")):
        items = (await asked(schools, "/recommendations/items", OURS, course_id)).json()["data"]
        assert [(one["item_id"], one["skill"]) for one in items] == [(f"{skill}-1", skill)]
        skills = (await asked(schools, "/analytics/skills", OURS, course_id)).json()["data"]["skills"]
        assert skill in [one["skill"] for one in skills]
        body = {"student_id": ADA, "course_id": course_id, "skill": "m"}
        of_module = await schools.post("/recommendations/items", body, token=make_token(tenant=OURS))
        assert [one["item_id"] for one in of_module.json()["data"]] == [f"{skill}-1"]
        body["skill"] = "loops"
        assert (await schools.post("/recommendations/items", body, token=make_token(tenant=OURS))).status_code == 400


async def test_days_are_those_of_the_course(schools: Api) -> None:
    """Kiritimati is 25 hours ahead of Niue: it is never the same day there."""
    days = [
        (await asked(schools, "/analytics/mastery-history", OURS, one)).json()["data"]["end_date"]
        for one in (PHYSICS, ART)
    ]
    assert days[0] > days[1]


async def test_a_calculation_is_recorded_in_the_course(schools: Api) -> None:
    token = make_token(tenant=OURS)
    body = {"student_id": ADA, "course_id": ART, "components": {"quality": 1.0}}
    before = (await asked(schools, "/mastery/query", OURS, PHYSICS)).json()["data"]["current_mastery"]["components"]
    assert (await schools.post("/mastery/calculate", body, token=token)).status_code == 200
    shown = {one: (await asked(schools, "/mastery/query", OURS, one)).json()["data"] for one in (PHYSICS, ART)}
    assert shown[ART]["current_mastery"]["components"]["quality"] == 1.0
    assert shown[PHYSICS]["current_mastery"]["components"] == before
    del body["course_id"]
    answer = await schools.post("/mastery/calculate", body, token=token)
    assert answer.json()["error"]["code"] == "COURSE_REQUIRED"


async def test_rows_of_a_batch_are_each_of_a_course(schools: Api) -> None:
    token = make_token(tenant=OURS)
    given = {"components": {"quality": 0.5}}
    rows: Sequence[Json] = [
        {"student_id": ADA, "course_id": PHYSICS, **given},
        {"student_id": ADA, "course_id": ART},
        {"student_id": ADA},
        {"student_id": ADA, "course_id": "."},
        {"student_id": ADA, "course_id": PHYSICS},
    ]
    data = await schools.data("/batch/mastery", {"requests": list(rows)}, token=token)
    scores = {row["index"]: row["current_mastery"]["components"] for row in data["results"]}
    assert {index: row["quality"] for index, row in scores.items()} == {0: 0.5, 1: 0.0, 4: 0.5}
    assert {row["index"]: row["course_id"] for row in data["results"]} == {0: PHYSICS, 1: ART, 4: PHYSICS}
    assert [(row["index"], row["error"]["code"]) for row in data["failures"]] == [
        (2, "COURSE_REQUIRED"),
        (3, "VALIDATION_ERROR"),
    ]


async def test_the_intents_of_process_take_it(schools: Api) -> None:
    for intent, path in (
        ("query", "/mastery/query"),
        ("get_prediction", "/predictions/next-week"),
        ("generate_path", "/recommendations/learning-path"),
        ("mastery_calculation", "/mastery/calculate"),
        ("recommendations", "/recommendations/adaptive"),
    ):
        for course_id in (PHYSICS, ART):
            payload = {"student_id": ADA, "course_id": course_id, **READS[path]}
            sent = {"intent": intent, "payload": payload, "security_context": {"tenant": OURS}}
            found = (await schools.post("/process", sent, token="")).json()["data"]
            assert without_moments(found) == without_moments(
                (await asked(schools, path, OURS, course_id)).json()["data"]
            )


async def test_an_events_status_may_be_asked_of_a_course(schools: Api) -> None:
    token = make_token(tenant=OURS)
    (event_id,) = await schools.learn({**event(student_id=ADA), "course_id": ART}, token=token)
    for query, status in (
        ("", "processed"),
        (f"?course_id={quote(ART, safe='')}", "processed"),
        (f"?course_id={quote(PHYSICS, safe='')}", "not_processed"),
    ):
        answer = await schools.get(f"/students/{ADA}/events/{event_id}{query}", token=token)
        assert answer.json()["data"]["status"] == status


async def test_a_stream_is_of_one_course(schools: Api) -> None:
    caller = Caller("us", "service", OURS)

    async def admitted() -> Caller:
        return caller

    live = await schools.engine.watching.watch(caller, ADA, admitted, course_id=ART)
    try:
        first = await anext(aiter(live))
        assert first is not None
        expected = (await asked(schools, "/mastery/query", OURS, ART)).json()["data"]["current_mastery"]
        assert first.current_mastery.mastery_score == expected["mastery_score"]
    finally:
        await live.close()
    place = f"/students/{ADA}/stream"
    answer = await schools.get(place, token=make_token(tenant=OURS))
    assert answer.json()["error"]["code"] == "COURSE_REQUIRED"
    answer = await schools.get(f"{place}?course_id=nowhere", token=make_token(tenant=OURS))
    assert answer.status_code == 404


async def test_an_export_is_of_all_courses_of_one_school(schools: Api) -> None:
    for tenant, courses in ((OURS, [PHYSICS, ART]), (THEIRS, [ART])):
        answer = await schools.get(f"/compliance/students/{ADA}/export", token=make_token(tenant=tenant))
        held = answer.json()["data"]
        assert [one["course_id"] for one in held["courses"]] == courses
        assert len(held["events"]) == 2 * len(courses)


async def test_what_a_class_asks_is_of_its_course_in_its_school(schools: Api) -> None:
    """Classes of one name in both schools, of other courses; whoever is asked of, nothing of the others shows."""
    for tenant, course_id, right in ((OURS, PHYSICS, 8), (THEIRS, ART, 2)):
        await learn_in(schools, tenant, course_id, right, "bob", "class")
    before = {tenant: await of_class(schools, tenant) for tenant in (OURS, THEIRS)}
    assert before[OURS]["figures"]["average"] > before[THEIRS]["figures"]["average"]
    await learn_in(schools, OURS, ART, 0, "bob")
    await learn_in(schools, THEIRS, PHYSICS, 0, "bob", "class")
    assert {tenant: await of_class(schools, tenant) for tenant in (OURS, THEIRS)} == before


async def of_class(api: Api, tenant: str) -> Json:
    token = make_token(tenant=tenant)
    compared = await api.data("/analytics/compare", {"student_id": "bob", "cohort_id": "class"}, token=token)
    record = (await api.get("/cohorts/class", token=token)).json()["data"]
    assert compared["course_id"] == record["course_id"]
    figures = await api.data("/analytics/cohort", {"cohort_id": "class"}, token=token)
    return {"compared": compared, "record": record, "figures": figures}


async def test_a_cohorts_figures_are_of_its_course(schools: Api) -> None:
    """Its course is that of the events that named it, until an admin says another."""
    token = make_token(tenant=OURS)
    for course_id, cohort_id, right in ((ART, "art-1", 2), (PHYSICS, "physics-1", 8)):
        one = event("quiz", student_id="bob", total_questions=10, correct_answers=right)
        await schools.learn({**one, "course_id": course_id, "metadata": {"cohort_id": cohort_id}}, token=token)
    means = {}
    for cohort_id, course_id in (("art-1", ART), ("physics-1", PHYSICS)):
        figures = await schools.data("/analytics/cohort", {"cohort_id": cohort_id}, token=token)
        own = (await asked(schools, "/mastery/query", OURS, course_id, "bob")).json()["data"]["current_mastery"]
        assert figures["average"] == own["mastery_score"]
        means[cohort_id] = figures["average"]
    assert means["art-1"] < means["physics-1"]
    body = {"name": "Art", "members": ["bob"]}
    kept = (await schools.call("PUT", "/cohorts/art-1", body, token=token)).json()["data"]
    body["course_id"] = PHYSICS
    put = (await schools.call("PUT", "/cohorts/art-1", body, token=token)).json()["data"]
    shown = (await schools.get("/cohorts/art-1", token=token)).json()["data"]
    assert [one["course_id"] for one in (kept, put, shown)] == [ART, PHYSICS, PHYSICS]
    figures = await schools.data("/analytics/cohort", {"cohort_id": "art-1"}, token=token)
    assert figures["average"] == means["physics-1"]
