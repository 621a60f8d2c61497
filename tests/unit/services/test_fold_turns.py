"""Folds of the same students in one process: one after another, and never for long."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import msgspec
import pytest

from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.backends.memory.documents import MemoryDocuments
from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.student import DocumentKey
from mastery_engine.engine import Engine
from mastery_engine.ports.documents import DirectReader, DocumentChange, PackedDocument
from mastery_engine.services.folding import Folded
from tests.support.composed import composed
from tests.support.samples import NOW, QUIZ, Clock, event, logged


class SlowDocuments(MemoryDocuments):
    """Counts loads; each takes its time, and those of a student who is held up take until they may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0
        self.changes: list[DocumentChange] = []
        self.held_up = ""
        self.may_go_on = asyncio.Event()

    async def load_packed(self, keys: Sequence[DocumentKey]) -> list[PackedDocument | None]:
        self.loads += 1
        stored = await super().load_packed(keys)
        await asyncio.sleep(0.01)
        if self.held_up in {key.student_id for key in keys}:
            self.held_up = ""
            await self.may_go_on.wait()
        return stored

    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        self.changes.extend(changes)
        return await super().commit(changes)


@pytest.fixture
def store() -> SlowDocuments:
    return SlowDocuments()


@pytest.fixture
def engine(store: SlowDocuments) -> Engine:
    clock = Clock()
    stores = memory_stores.open_stores(clock)
    return composed(msgspec.structs.replace(stores, documents=store, reader=DirectReader(store)), clock=clock)


async def fold(engine: Engine, events: Sequence[Logged]) -> Folded:
    return await engine.worker._folding.fold(events, engine.clock())


def conflicts(engine: Engine) -> float:
    return engine.metrics.registry.get_sample_value("mastery_commit_conflicts_total") or 0.0


def quiz(student_id: str, event_id: str = "e") -> list[Logged]:
    data = {"total_questions": 4, "correct_answers": 3}
    return logged([event("quiz", data, event_id, student_id=student_id)])


async def test_a_call_and_the_worker_do_not_fold_the_same_event_twice(engine: Engine, store: SlowDocuments) -> None:
    folds = [fold(engine, quiz("ada")) for _ in range(4)]
    folded = await asyncio.gather(*folds, fold(engine, quiz("ada", "later")))
    assert conflicts(engine) == 0
    assert store.loads == 5
    (held,) = await store.load([DocumentKey("default", "ada")])
    assert held is not None
    assert held.version == 2
    assert [one.students[DocumentKey("default", "ada")] for one in folded][-1] == held.student


async def test_nobody_waits_for_other_students(engine: Engine, store: SlowDocuments) -> None:
    store.held_up = "ada"
    ada = asyncio.create_task(fold(engine, quiz("ada")))
    await asyncio.sleep(0.03)
    await asyncio.wait_for(fold(engine, quiz("bob")), 0.5)
    assert not ada.done()
    store.may_go_on.set()
    await ada


async def test_a_fold_that_hangs_is_not_waited_for(
    engine: Engine, store: SlowDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.services.folding.PATIENCE_S", 0.05)
    store.held_up = "ada"
    hanging = asyncio.create_task(fold(engine, quiz("ada", "e1")))
    await asyncio.sleep(0.03)
    started = monotonic()
    await fold(engine, quiz("ada", "e2"))
    assert monotonic() - started < 1
    store.may_go_on.set()
    await hanging
    (held,) = await store.load([DocumentKey("default", "ada")])
    assert held is not None
    assert held.version == 2
    assert conflicts(engine) == 1, "who hung read before the other wrote: the version told"


async def test_who_gives_up_waiting_lets_the_next_one_through(engine: Engine, store: SlowDocuments) -> None:
    store.held_up = "ada"
    first, second, third = (asyncio.create_task(fold(engine, quiz("ada", name))) for name in ("1", "2", "3"))
    await asyncio.sleep(0.03)
    second.cancel()
    store.may_go_on.set()
    await asyncio.wait_for(asyncio.gather(first, third), 5)
    (held,) = await store.load([DocumentKey("default", "ada")])
    assert held is not None
    assert held.version == 2


async def test_many_students_are_folded_some_at_a_time(
    engine: Engine, store: SlowDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.services.folding.STUDENTS_AT_ONCE", 2)
    names = ["ada", "bob", "eve", "dan", "fay"]
    events = [one for number in range(3) for name in names for one in quiz(name, f"{name}-{number}")]
    folded = await fold(engine, events)
    assert store.loads == 3
    assert {key.student_id for key in folded.students} == set(names)
    held = await store.load([DocumentKey("default", name) for name in names])
    assert [one and one.version for one in held] == [1] * 5
    assert [one and one.student for one in held] == [folded.students[DocumentKey("default", name)] for name in names]
    assert engine.metrics.registry.get_sample_value(
        "mastery_events_total", {"event_type": "quiz", "outcome": "folded"}
    ) == len(events)


@pytest.mark.usefixtures("cold_after_a_week")
async def test_parts_are_folded_as_all_at_once_are(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where some students' ids become cold, and others' do not; and nobody is kept who is not asked for."""
    names = ["ada", "bob", "eve", "dan", "fay"]
    engines = [engine, composed(clock=Clock())]
    weeks = [
        logged(
            [
                event("quiz", QUIZ, f"{name}-{place}", student_id=name, at=NOW + place * 8 * DAY)
                for name in names[place % 2 :]
            ],
            first=place * 10,
        )
        for place in range(4)
    ]
    held = []
    for place, each in enumerate(engines):
        monkeypatch.setattr("mastery_engine.services.folding.STUDENTS_IN_CACHE", (2, 2_000)[place])
        outboxes = []
        for events in weeks:
            folded = await each.worker._folding.fold(events, events[0].event.received, keeps_students=False)
            assert folded.students == {}
            outboxes.append({one.result.student_id: one for one in folded.outbox})
        keys = [DocumentKey("default", name) for name in names]
        stores = each.worker._folding._documents
        held.append((outboxes, await stores.load(keys), await stores.load_cold(keys)))
    assert held[0] == held[1]
    assert all(held[0][2]), "all of them have ids from weeks ago"


@pytest.mark.parametrize("few", [False, True])
async def test_a_store_is_told_beside_which_documents_there_may_be_cold_ids(
    engine: Engine, store: SlowDocuments, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are some, where the last of them are removed, and nowhere else."""
    monkeypatch.setattr("mastery_engine.domain.events.seen.MOST_HELD", 400 if few else 0)
    for place, days in enumerate((0, 8, 9, 17)):
        if place == 3:
            monkeypatch.setattr("mastery_engine.domain.events.seen.MOST_HELD", 400)
        at = NOW + days * DAY
        await fold(engine, logged([event("quiz", QUIZ, f"e-{place}", at=at, received=at)], first=place))
    told = [(change.has_cold, change.cold is not None) for change in store.changes]
    if few:
        assert told == [(False, False)] * 4
    else:
        assert told == [(False, False), (True, True), (True, False), (True, True)]
        assert store.changes[3].cold == {}
