"""What becomes of a message, by what became of its events."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.auth.credentials import PlatformCaller
from mastery_engine.domain.moments import DAY, MINUTE
from mastery_engine.domain.people.identity import Identity
from mastery_engine.doors.drafts import Draft, Translation
from mastery_engine.errors import Conflict, Forbidden
from mastery_engine.responses.doorways import DoorResult
from mastery_engine.services.idempotency import keyed
from tests.support.composed import composed
from tests.support.samples import NOW, Clock

ADA = Identity("https://lms.example", "ada")
SERVICE = PlatformCaller(Caller("credential:5f0c", "service"), "physics")


def quiz(event_id: str, at: int = NOW - MINUTE, course_id: str | None = None, **data: Any) -> Draft:
    given = {"total_questions": 10, "correct_answers": 9} | data
    return Draft(ADA, "quiz", event_id, given, datetime.fromtimestamp(at / 1e6, UTC), course_id)


def evidence(*drafts: Draft, notes: tuple[str, ...] = ()) -> Translation:
    return Translation("evidence", "m-1", drafts=drafts, notes=notes)


async def results(*translations: Translation, sender: PlatformCaller = SERVICE) -> list[DoorResult]:
    return await composed(clock=Clock()).doorways.take_translated(sender, "xapi", translations)


async def test_each_message_has_the_outcome_of_its_own_events() -> None:
    found = await results(
        evidence(quiz("e-1"), quiz("e-2")),
        Translation("ignored", None, "It says nothing."),
        evidence(quiz("e-3", NOW - 400 * DAY)),
        evidence(quiz("e-4"), notes=("5 points of 1 counts as all.",)),
    )
    assert [(one.status, one.events) for one in found] == [
        ("evidence", ["e-1", "e-2"]),
        ("ignored", []),
        ("refused", []),
        ("evidence", ["e-4"]),
    ]
    assert [one.reason for one in found[:2]] == [None, "It says nothing."]
    assert "older than the 90 days" in (found[2].reason or "")
    assert found[3].reason == "5 points of 1 counts as all."


async def test_of_a_message_of_which_a_part_is_refused_the_rest_counts_and_the_part_is_named() -> None:
    (found,) = await results(evidence(quiz("e-1"), quiz("e-2", correct_answers=11), quiz("e-3", NOW - 400 * DAY)))
    assert (found.status, found.events) == ("evidence", ["e-1"])
    assert (found.reason or "").startswith("2 of its 3 events are refused: ")
    assert "older than the 90 days" in (found.reason or "")


async def test_the_course_is_the_messages_else_the_senders() -> None:
    engine = composed(clock=Clock())
    own, none = quiz("e-1", course_id="rust"), quiz("e-2")
    await engine.doorways.take_translated(SERVICE, "xapi", [evidence(own, none)])
    await engine.worker.run(until=await engine.progress.ends())
    student_id = next(iter((await engine.doorways.students_of("default", [evidence(own)])).values()))
    answer = await engine.scores.query(Caller("tests", "admin"), student_id, course_id="rust")
    assert sorted(one.course_id for one in answer.courses or []) == ["physics", "rust"]


@pytest.mark.parametrize("role", ["student", "teacher"])
async def test_who_may_not_record_is_refused_though_nothing_would_be(role: Any) -> None:
    with pytest.raises(Forbidden):
        await results(sender=PlatformCaller(Caller("ada", role), None))


async def test_a_key_with_another_body_is_a_conflict() -> None:
    engine = composed(clock=Clock())
    for _ in range(2):
        await engine.doorways.take_translated(SERVICE, "xapi", [evidence(quiz("e-1"))], keyed("k", b"{}"))
    with pytest.raises(Conflict):
        await engine.doorways.take_translated(SERVICE, "xapi", [evidence(quiz("e-2"))], keyed("k", b"[]"))
