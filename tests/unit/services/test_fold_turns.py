"""Folds of the same students in one process: one after another, and never for long."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import pytest

from mastery_engine.backends.memory.event_log import MemoryLog
from mastery_engine.backends.memory.store import MemoryStore
from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.documents import Held
from mastery_engine.services import Mastery
from mastery_engine.telemetry.metrics import Metrics
from tests.support.samples import Clock, event, logged


class SlowStore(MemoryStore):
    """Counts loads; each takes its time, and those of a student who is held up take until they may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0
        self.held_up = ""
        self.may_go_on = asyncio.Event()

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        self.loads += 1
        found = await super().load(keys)
        await asyncio.sleep(0.01)
        if self.held_up in {key.student_id for key in keys}:
            self.held_up = ""
            await self.may_go_on.wait()
        return found


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def mastery(store: SlowStore) -> Mastery:
    return Mastery(store, MemoryLog(), Rules(), Clock(), Metrics(), lambda: "new")


def conflicts(mastery: Mastery) -> float:
    return mastery.metrics.registry.get_sample_value("mastery_commit_conflicts_total") or 0.0


def quiz(student_id: str, event_id: str = "e") -> list[Logged]:
    data = {"total_questions": 4, "correct_answers": 3}
    return logged([event("quiz", data, event_id, student_id=student_id)])


async def test_a_call_and_the_worker_do_not_fold_the_same_event_twice(mastery: Mastery, store: SlowStore) -> None:
    folds = [mastery.folding.fold(quiz("ada")) for _ in range(4)]
    folded = await asyncio.gather(*folds, mastery.folding.fold(quiz("ada", "later")))
    assert conflicts(mastery) == 0
    assert store.loads == 5
    (held,) = await store.load([StudentKey("default", "ada")])
    assert held is not None
    assert held.version == 2
    assert [one.students[StudentKey("default", "ada")] for one in folded][-1] == held.student


async def test_nobody_waits_for_other_students(mastery: Mastery, store: SlowStore) -> None:
    store.held_up = "ada"
    ada = asyncio.create_task(mastery.folding.fold(quiz("ada")))
    await asyncio.sleep(0.03)
    await asyncio.wait_for(mastery.folding.fold(quiz("bob")), 0.5)
    assert not ada.done()
    store.may_go_on.set()
    await ada


async def test_a_fold_that_hangs_is_not_waited_for(
    mastery: Mastery, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.services.folding.PATIENCE_S", 0.05)
    store.held_up = "ada"
    hanging = asyncio.create_task(mastery.folding.fold(quiz("ada", "e1")))
    await asyncio.sleep(0.03)
    started = monotonic()
    await mastery.folding.fold(quiz("ada", "e2"))
    assert monotonic() - started < 1
    store.may_go_on.set()
    await hanging
    (held,) = await store.load([StudentKey("default", "ada")])
    assert held is not None
    assert held.version == 2
    assert conflicts(mastery) == 1, "who hung read before the other wrote: the version told"


async def test_who_gives_up_waiting_lets_the_next_one_through(mastery: Mastery, store: SlowStore) -> None:
    store.held_up = "ada"
    first, second, third = (asyncio.create_task(mastery.folding.fold(quiz("ada", name))) for name in ("1", "2", "3"))
    await asyncio.sleep(0.03)
    second.cancel()
    store.may_go_on.set()
    await asyncio.wait_for(asyncio.gather(first, third), 5)
    (held,) = await store.load([StudentKey("default", "ada")])
    assert held is not None
    assert held.version == 2


async def test_many_students_are_folded_some_at_a_time(
    mastery: Mastery, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.services.folding.STUDENTS_AT_ONCE", 2)
    names = ["ada", "bob", "eve", "dan", "fay"]
    events = [one for number in range(3) for name in names for one in quiz(name, f"{name}-{number}")]
    folded = await mastery.folding.fold(events)
    assert store.loads == 3
    assert {key.student_id for key in folded.students} == set(names)
    held = await store.load([StudentKey("default", name) for name in names])
    assert [one and one.version for one in held] == [1] * 5
    assert [one and one.student for one in held] == [folded.students[StudentKey("default", name)] for name in names]
    assert mastery.metrics.registry.get_sample_value(
        "mastery_events_total", {"event_type": "quiz", "outcome": "folded"}
    ) == len(events)
