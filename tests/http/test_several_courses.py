"""A student in several courses over HTTP: what is in one, and what spans them all."""

import asyncio
from typing import Any

import msgspec

from mastery_engine.domain.student import DocumentKey
from tests.support.calls import STUDENT, Api, Json, event

PATH = f"/compliance/students/{STUDENT}"


def quiz(event_id: str, correct: int, **more: Any) -> Json:
    sent = event("quiz")
    return {**sent, "event_id": event_id, "data": {"total_questions": 10, "correct_answers": correct}, **more}


async def learn(api: Api, *events: Json) -> None:
    """Ingest events, and wait until their results are out: the status of an id is that of any course."""
    await api.learn(*events)
    log = api.logs.events
    async with asyncio.timeout(10):
        while await log.committed() != await log.ends():
            await asyncio.sleep(0.01)


async def quiz_score(api: Api, course_id: str) -> float | None:
    """The mean of the quizzes that a document holds."""
    (held,) = await api.stores.documents.load([DocumentKey("default", STUDENT, course_id)])
    mean = None if held is None else held.student.evidence.quiz.mean(0)
    return None if mean is None else round(mean, 9)


async def test_an_event_counts_in_its_course_alone(api: Api) -> None:
    """The same id in another course is another event."""
    await learn(
        api, quiz("e-1", 2), quiz("e-1", 9, course_id="course-v1:edX+DemoX+2026"), quiz("e-2", 4, course_id=" rust ")
    )
    assert await quiz_score(api, "default") == 0.2
    assert await quiz_score(api, "course-v1:edX+DemoX+2026") == 0.9
    assert await quiz_score(api, "rust") == 0.4
    assert (await api.query())["components"]["quiz"] == 0.2
    assert [await api.status(event_id) for event_id in ("e-1", "e-2", "e-3")] == ["processed"] * 2 + ["not_processed"]


async def test_the_calls_that_name_no_course_say_what_they_said(api: Api) -> None:
    await learn(api, quiz("e-1", 2))
    before = await api.data("/mastery/query", {"student_id": STUDENT})
    await learn(api, quiz("e-2", 9, course_id="rust"))
    after = await api.data("/mastery/query", {"student_id": STUDENT})
    assert [one["course_id"] for one in after.pop("courses")] == ["default", "rust"]
    for answer in (before, after):
        del answer["current_mastery"]["timestamp"]
    assert after == before


async def test_a_course_that_cannot_be_one_is_refused_by_name(api: Api) -> None:
    for course_id in ("", "a\u0000", "c" * 101, 7):
        answer = await api.post("/mastery/ingest", quiz("e-1", 2, course_id=course_id))
        assert answer.status_code == 400
        assert answer.json()["error"]["details"]["field"] == "course_id"


async def test_results_name_their_course(api: Api) -> None:
    await learn(api, quiz("e-1", 2), quiz("e-1", 9, course_id="rust"))
    results: Any = api.logs.results
    rows = results._database.read("SELECT value FROM results WHERE topic = 'mastery.results'")
    told = [msgspec.json.decode(value) for (value,) in rows]
    assert {(one["course_id"], one["components"]["quiz"]) for one in told} == {("default", 0.2), ("rust", 0.9)}
    assert len({one["event_id"] for one in told}) == 2


async def test_the_export_has_a_section_for_each_course_and_an_erasure_takes_them_all(api: Api) -> None:
    await learn(api, quiz("e-1", 2), quiz("e-1", 9, course_id="rust"), quiz("e-2", 4, course_id="go"))
    held = (await api.get(f"{PATH}/export")).json()["data"]
    assert [one["course_id"] for one in held["courses"]] == ["go", "rust"]
    assert [len(one["history"]) for one in (held, *held["courses"])] == [1] * 3
    assert [one["history"][0]["quiz"] for one in (held, *held["courses"])] == [0.2, 0.4, 0.9]
    assert held["document"].keys() == held["courses"][0]["document"].keys()
    assert len(held["events"]) == 3
    erased = (await api.call("DELETE", PATH)).json()["data"]
    assert erased["removed_from_store"] >= 3
    assert [await quiz_score(api, name) for name in ("default", "rust", "go")] == [None] * 3
    assert [await api.status(event_id) for event_id in ("e-1", "e-2")] == ["not_processed"] * 2
    assert (await api.get(f"{PATH}/export")).status_code == 404


async def test_who_is_in_one_course_alone_has_an_export_without_a_default_section(api: Api) -> None:
    await learn(api, quiz("e-1", 9, course_id="rust"))
    held = (await api.get(f"{PATH}/export")).json()["data"]
    assert (held["document"], held["history"]) == (None, [])
    assert [one["course_id"] for one in held["courses"]] == ["rust"]
    await api.call("DELETE", PATH)
    await learn(api, quiz("e-2", 9, student_id="bob"))
    assert "courses" not in (await api.get("/compliance/students/bob/export")).json()["data"]
