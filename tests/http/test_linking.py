"""An admin links identities of other platforms to students who have evidence under an id of their own already."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mastery_engine.domain.people.identity import Identity
from tests.support.calls import COMPONENTS, STUDENT, Api, Json, event, serving
from tests.support.live import make_token

LMS, MAIL = {"system": "https://lms.example", "id": "42"}, {"system": "mailto", "id": "ada@school.example"}
PLACE = f"/students/{STUDENT}/profile"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


def own_id(api: Api, person: Json) -> str:
    """Under what the doors put evidence of a person whom no profile names."""
    return api.engine.people._profiles.derived_id("default", Identity(**person))


def quiz(student_id: str, event_id: str, right: int = 9, **fields: object) -> Json:
    return {**event("quiz", student_id=student_id, correct_answers=right), "event_id": event_id, **fields}


async def link(api: Api, *people: Json, student_id: str = STUDENT) -> Json:
    answer = await api.call("PUT", f"/students/{student_id}/profile", {"external": list(people)})
    assert answer.status_code == 200, answer.text
    data: Json = answer.json()["data"]
    return data


async def refused(api: Api, method: str, path: str, body: Json | None = None) -> tuple[int, str]:
    answer = await api.call(method, path, body)
    return answer.status_code, answer.json()["error"]["code"]


async def test_the_evidence_of_an_identity_goes_to_the_student_who_has_it_now(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.learn(quiz(theirs, "moodle-1"), quiz(theirs, "moodle-2", course_id="rust"), event())
    assert (await api.query(theirs))["components"]["quiz"] == 0.9
    before = await api.query()
    await link(api, LMS)
    after = await api.query()
    assert after["components"] == {**before["components"], "quiz": 0.9}
    courses = (await api.data("/mastery/query", {"student_id": STUDENT}))["courses"]
    assert [one["course_id"] for one in courses] == ["default", "rust"]
    answer = (await api.get("/students")).json()["data"]["students"]
    assert [one["student_id"] for one in answer] == [STUDENT]


async def test_reading_the_identitys_own_id_finds_nobody(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.learn(quiz(theirs, "moodle-1"))
    await link(api, LMS)
    body = {"student_id": theirs}
    for path, more in (
        ("/mastery/query", {}),
        ("/mastery/calculate", {}),
        ("/mastery/calculate", {"components": COMPONENTS, "record": False}),
        ("/predictions/next-week", {}),
        ("/predictions/trajectory", {}),
        ("/predictions/next-answer", {"items": [{"item_id": "i"}]}),
        ("/recommendations/adaptive", {}),
        ("/recommendations/learning-path", {"goal": "improve_mastery"}),
        ("/recommendations/items", {"items": [{"item_id": "i", "skills": ["loops"]}]}),
        ("/analytics/mastery-history", {}),
        ("/analytics/patterns", {}),
        ("/analytics/skills", {}),
        ("/analytics/changes", {}),
    ):
        assert await refused(api, "POST", path, {**body, **more}) == (404, "NOT_FOUND"), path
    for path in (f"/students/{theirs}/stream", f"/students/{theirs}/profile"):
        assert await refused(api, "GET", path) == (404, "NOT_FOUND"), path
    for path in ("export", "consent"):
        assert await refused(api, "GET", f"/compliance/students/{theirs}/{path}") == (404, "NOT_FOUND")
    for method, path, change in (
        ("PUT", f"/compliance/students/{theirs}/consent", {"processing": True}),
        ("DELETE", f"/compliance/students/{theirs}", None),
        ("PUT", f"/students/{theirs}/profile", {"display_name": "Ada"}),
    ):
        assert await refused(api, method, path, change) == (409, "CONFLICT"), path
    page = await api.get(f"/dashboard/students/{theirs}", token=make_token("teacher", students=[theirs]))
    assert "0.9" not in page.text


async def test_what_comes_later_under_the_own_id_is_the_students(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.learn(quiz(theirs, "moodle-1"))
    await link(api, LMS)
    await api.learn(quiz(theirs, "moodle-2", right=5))
    assert (await api.query())["components"]["quiz"] == pytest.approx(0.7, abs=0.001)
    for event_id in ("moodle-1", "moodle-2"):
        assert await api.status(event_id) == await api.status(event_id, theirs) == "processed"
    calculated = await api.data("/mastery/calculate", {"student_id": theirs, "components": COMPONENTS})
    assert (calculated["student_id"], (await api.query())["components"]) == (STUDENT, COMPONENTS)
    rows = {"requests": [{"student_id": theirs, "components": {"quiz": 0.1}}, {"student_id": theirs}]}
    batch = await api.data("/batch/mastery", rows)
    assert [one["student_id"] for one in batch["results"]] == [STUDENT]
    assert [one["error"]["code"] for one in batch["failures"]] == ["NOT_FOUND"]
    assert (await api.query())["components"]["quiz"] == 0.1
    cohort = await api.call("PUT", "/cohorts/py-101", {"name": "Python", "members": [theirs, "bob"]})
    assert cohort.json()["data"]["members"] == ["bob", STUDENT]


async def test_an_event_that_came_under_both_ids_counts_once(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.learn(quiz(theirs, "shared", right=10), quiz(theirs, "other", right=4))
    await api.learn(quiz(STUDENT, "shared", right=10))
    await link(api, LMS)
    await api.learn(quiz(STUDENT, "shared", right=10), quiz(theirs, "other", right=4))
    assert (await api.query())["components"]["quiz"] == pytest.approx(0.7, abs=0.001)


async def test_classes_know_the_student_in_the_place_of_the_identity(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.call("PUT", "/cohorts/py-101", {"name": "Python", "members": [theirs]})
    await api.learn(quiz(theirs, "moodle-1", metadata={"cohort_id": "go-101"}))
    await link(api, LMS)
    for cohort_id in ("py-101", "go-101"):
        members = (await api.get(f"/cohorts/{cohort_id}")).json()["data"]["members"]
        assert members == [STUDENT], cohort_id
    teacher = make_token("teacher", cohorts=["py-101"])
    assert (await api.query(token=teacher))["components"]["quiz"] == 0.9


async def test_an_identity_of_another_student_stays_theirs(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.learn(quiz(theirs, "moodle-1"))
    await link(api, LMS)
    assert await refused(api, "PUT", "/students/eve/profile", {"external": [LMS]}) == (409, "CONFLICT")
    assert (await api.query())["components"]["quiz"] == 0.9
    assert (await api.post("/mastery/query", {"student_id": "eve"})).status_code == 404


async def test_names_given_to_the_own_id_go_with_it(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.learn(quiz(theirs, "moodle-1"))
    given = {"display_name": "Ada", "language": "en", "external": [MAIL]}
    assert (await api.call("PUT", f"/students/{theirs}/profile", given)).status_code == 200
    shown = await link(api, LMS)
    assert shown == {"student_id": STUDENT, "display_name": "Ada", "language": "en", "external": [LMS, MAIL]}
    await api.learn(quiz(own_id(api, MAIL), "mail-1", right=7))
    assert (await api.query())["components"]["quiz"] == pytest.approx(0.8, abs=0.001)


async def test_who_withdrew_under_the_own_id_is_asked_first(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.learn(quiz(theirs, "moodle-1"))
    place = f"/compliance/students/{theirs}/consent"
    await api.call("PUT", place, {"profiling": False})
    answer = await api.call("PUT", PLACE, {"external": [LMS]})
    assert (answer.status_code, "withdrawn" in answer.json()["error"]["message"]) == (409, True)
    assert theirs not in answer.text
    assert (await api.get(PLACE)).status_code == 404
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"profiling": False})
    await link(api, LMS)
    assert (await api.query())["components"]["quiz"] == 0.9


async def test_the_students_rights_reach_what_came_under_the_own_id(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.learn(quiz(theirs, "moodle-1"))
    await link(api, LMS)
    export = (await api.get(f"/compliance/students/{STUDENT}/export")).json()["data"]
    assert [one["event_id"] for one in export["events"]] == ["moodle-1"]
    assert {"ingest", "put-profile"} <= {one["call"] for one in export["audit"]}
    assert "moved" not in export["document"]
    erased = await api.call("DELETE", f"/compliance/students/{STUDENT}")
    assert erased.json()["data"]["removed_from_log"] >= 2, "the event, and its result"
    for student_id in (theirs, STUDENT):
        assert (await api.post("/mastery/query", {"student_id": student_id})).status_code == 404
        assert await refused(api, "POST", "/mastery/ingest", quiz(student_id, "late")) == (403, "FORBIDDEN")
        assert (await api.get(f"/compliance/students/{student_id}/export")).status_code == 404
    consent = (await api.get(f"/compliance/students/{theirs}/consent")).json()["data"]
    assert (consent["processing"], [one["erased"] for one in consent["history"]]) == (False, [True])


async def test_who_consents_anew_is_linked_anew_and_gets_what_comes_then(api: Api) -> None:
    theirs = own_id(api, LMS)
    await api.learn(quiz(theirs, "moodle-1", right=1))
    await link(api, LMS)
    await api.call("DELETE", f"/compliance/students/{STUDENT}")
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"processing": True, "profiling": True})
    await link(api, LMS)
    new = quiz(theirs, "moodle-2", right=8)
    del new["timestamp"]  # it is of now: what is of before the erasure does not count
    await api.learn(new)
    assert (await api.query())["components"]["quiz"] == 0.8


async def test_another_process_knows_of_it_from_its_start(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        theirs = own_id(api, LMS)
        await api.learn(quiz(theirs, "moodle-1"))
        await link(api, LMS)
    async with serving(tmp_path) as api:
        await api.learn(quiz(theirs, "moodle-2", right=5))
        assert (await api.query())["components"]["quiz"] == pytest.approx(0.7, abs=0.001)
        assert await refused(api, "POST", "/mastery/query", {"student_id": theirs}) == (404, "NOT_FOUND")
