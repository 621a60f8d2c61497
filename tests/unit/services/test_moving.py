"""Moving evidence where the log has lost some of it, where an event cannot be folded, and where somebody was erased."""

import logging
from typing import Any

import pytest

from mastery_engine.backends.memory.event_log import MemoryEventLog
from mastery_engine.domain.consent import ConsentChange
from mastery_engine.domain.merging import frozen
from mastery_engine.domain.moments import DAY, MINUTE
from mastery_engine.domain.student import NOBODY, DocumentKey, Student, StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import DocumentChange
from tests.support.engines import ADAS, TestedEngine, derived, engine
from tests.support.samples import NOW, envelope

OWN = derived(ADAS)
ADA, DERIVED = StudentKey("default", "ada"), StudentKey("default", OWN)


def quiz(event_id: str, right: int, student_id: str = OWN, **more: Any) -> dict[str, Any]:
    return envelope("quiz", {"total_questions": 10, "correct_answers": right}, event_id, student_id=student_id, **more)


async def share(ours: TestedEngine) -> Any:
    return (await ours.scores(NOW))["ada"][1]


class UnlistedLog(MemoryEventLog):
    """As Kafka: a student's events are found by a reading of all alone."""

    async def events_of(self, key: Any, *, scan: bool = False) -> Any:
        return await super().events_of(key) if scan else None


@pytest.mark.parametrize("is_listed", [True, False])
async def test_what_the_log_lost_of_the_students_own_events_stays(*, is_listed: bool) -> None:
    """Only what is in both documents is looked for in the log, and what came under the derived id is there still."""
    async with engine("memory") as ours:
        await ours.send("append", [quiz("both", 4, "ada"), quiz("old", 10, "ada")])
        await ours.work()
        await ours.inner_logs.events.erase(ADA)
        await ours.send("append", [quiz("both", 4), quiz("new", 7)])
        await ours.work()
        if not is_listed:
            ours.inner_logs.events.__class__ = UnlistedLog
        await ours.link("ada", ADAS)
        assert await share(ours) == pytest.approx((4 + 10 + 7) / 30)


async def test_where_the_log_lost_what_came_under_both_ids_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async with engine("memory") as ours:
        await ours.send("append", [quiz("both", 0), quiz("new", 10)])
        await ours.send("append", [quiz("both", 0, "ada")])
        await ours.work()
        await ours.inner_logs.events.erase(DERIVED)
        with caplog.at_level(logging.ERROR):
            await ours.link("ada", ADAS)
        assert "count" in caplog.text
        assert OWN not in caplog.text
        assert await share(ours) == pytest.approx(10 / 30), "nothing is lost"


async def test_an_event_that_cannot_be_folded_hinders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine("memory") as ours:
        await ours.send("append", [quiz("one", 4), quiz("two", 10, "ada")])
        await ours.work()

        def broken(*_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr("mastery_engine.services.moving.apply", broken)
        await ours.link("ada", ADAS)
        assert await share(ours) == pytest.approx(0.7)


async def test_what_is_left_of_who_was_erased_goes_and_what_came_since_stays() -> None:
    """As after an erasure that was cut between its record and the stores."""
    async with engine("memory") as ours:
        await ours.send("append", [quiz("one", 4), quiz("two", 4, course_id="rust")])
        await ours.work()
        documents = ours.inner_stores.documents
        consents = ours.engine.consents
        await consents.link({DERIVED: ADA})
        ours.clock.tick(MINUTE)
        await consents.erase(ADA)
        (stored,) = await documents.load([DocumentKey("default", OWN, "rust")])
        assert stored is not None
        key = DocumentKey("default", OWN, "rust")
        await documents.commit([DocumentChange(key, stored.version, frozen(stored.student, NOW))])
        await ours.purge()
        assert [one async for one in documents.all_keys()] == []
        ours.clock.tick(MINUTE)
        later = Student(received=ours.clock(), latest=ours.clock())
        await documents.commit([DocumentChange(DocumentKey("default", OWN), 0, later)])
        consents.links.begin_again()
        await ours.engine.worker._moving.finish_latest()
        assert [one async for one in documents.all_keys()] == [DocumentKey("default", OWN)]
        assert consents.state(DERIVED) == ConsentChange(consents.state(DERIVED).at, False, False, erased=True)


async def test_who_always_loses_the_race_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine("memory") as ours:
        await ours.send("append", [quiz("one", 4)])
        await ours.work()
        moving = ours.engine.worker._moving
        await ours.engine.consents.link({DERIVED: ADA})

        async def lost(changes: Any) -> list[bool]:
            return [False] * len(changes)

        documents = ours.inner_stores.documents
        monkeypatch.setattr(documents, "commit", lost)
        with pytest.raises(Unavailable):
            await moving.finish([ADA])
        monkeypatch.undo()
        (stored,) = await documents.load([DocumentKey(*DERIVED)])
        assert stored is not None
        await documents.commit([DocumentChange(DocumentKey(*DERIVED), stored.version, frozen(stored.student, NOW))])
        monkeypatch.setattr(documents, "commit", lost)
        with pytest.raises(Unavailable):
            await moving.finish([ADA])
        monkeypatch.undo()
        await moving.finish_all()
        assert await share(ours) == pytest.approx(0.4)


async def test_a_document_that_goes_meanwhile_is_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine("memory") as ours:
        await ours.send("append", [quiz("one", 4)])
        await ours.work()
        await ours.engine.consents.link({DERIVED: ADA})
        documents = ours.inner_stores.documents
        commit = documents.commit

        async def late(changes: Any) -> list[bool]:
            await documents.erase(DERIVED)
            return await commit(changes)

        monkeypatch.setattr(documents, "commit", late)
        await ours.engine.worker._moving.finish_all()
        assert [one async for one in documents.all_keys()] == []


async def test_the_results_of_what_waits_in_the_log_go_out_once_all_the_same() -> None:
    """An event that the worker has not met yet is folded by it, and not by who moves what it has met."""
    async with engine("memory") as ours:
        await ours.send("append", [quiz("one", 4)])
        await ours.work()
        await ours.send("append", [quiz("two", 10), quiz("three", 10, "ada", at=NOW - DAY)])
        await ours.link("ada", ADAS)
        assert await share(ours) == pytest.approx(0.4)
        await ours.work()
        await ours.check_scores()
        await ours.check_results()
        assert NOBODY.moved == b""
