"""Who is erased while their events are folded stays erased, whenever in a fold that is."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.backends.memory.documents import MemoryDocuments
from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.engine import Engine
from mastery_engine.ports.documents import DirectReader, DocumentChange, PackedDocument
from mastery_engine.services.folding import Folded
from tests.support.composed import composed
from tests.support.samples import Clock, logged, quiz

KEY = StudentKey("default", "ada")


class BusyDocuments(MemoryDocuments):
    """Lets something else happen at one moment of the next fold."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = ""
        self.happens: Callable[[], Awaitable[None]]

    async def _at(self, moment: str) -> None:
        if self.moment == moment:
            self.moment = ""
            await self.happens()

    async def load_packed(self, keys: Sequence[DocumentKey]) -> list[PackedDocument | None]:
        await self._at("before the load")
        stored = await super().load_packed(keys)
        await self._at("after the load")
        return stored

    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        await self._at("before the commit")
        won = await super().commit(changes)
        await self._at("after the commit")
        return won


class TwoReplicas:
    """Two engines on the same stores and log; ``theirs`` erases the student while ``ours`` folds."""

    def __init__(self) -> None:
        self.documents, self.clock = BusyDocuments(), Clock()
        stores = msgspec.structs.replace(
            memory_stores.open_stores(self.clock), documents=self.documents, reader=DirectReader(self.documents)
        )
        logs = memory_logs.open_logs()
        self.ours, self.theirs = (composed(stores, logs, self.clock) for _ in range(2))

    async def erase(self) -> None:
        self.clock.tick(1)
        await self.theirs.consents.erase(KEY)
        await self.theirs.cohorts.forget(KEY, self.clock())
        await self.theirs.worker._folding._erasing.remove([KEY])

    async def joined(self, cohort_id: str) -> frozenset[str]:
        return (await self.theirs.cohorts.roster("default", cohort_id, self.clock())).joined


async def fold(engine: Engine, events: Sequence[Logged]) -> Folded:
    return await engine.worker._folding.fold(events, engine.clock())


@pytest.mark.parametrize("moment", ["before the load", "after the load", "before the commit", "after the commit"])
@pytest.mark.parametrize("known_for", [None, "py-101", "py-102"], ids=["newcomer", "known", "known elsewhere"])
async def test_who_is_erased_during_a_fold_stays_erased(moment: str, known_for: str | None) -> None:
    replicas = TwoReplicas()
    documents = replicas.documents
    if known_for is not None:
        await fold(replicas.ours, logged([quiz(1, 4, "before", metadata={"cohort_id": known_for})]))
    documents.moment, documents.happens = moment, replicas.erase
    events = logged([quiz(3, 4, "during", metadata={"cohort_id": "py-101"})], first=1)
    folded = await fold(replicas.ours, events)
    assert documents.moment == ""
    assert await documents.load([KEY]) == [None]
    assert folded.refused == events
    for cohort_id in ("py-101", "py-102"):
        assert await replicas.joined(cohort_id) == frozenset()


async def test_who_repeats_an_event_while_they_are_erased_joins_nothing() -> None:
    replicas = TwoReplicas()
    documents = replicas.documents
    events = logged([quiz(1, 4, "one", metadata={"cohort_id": "py-101"})])
    await fold(replicas.ours, events)
    documents.moment, documents.happens = "after the load", replicas.erase
    await fold(replicas.ours, events)
    assert await documents.load([KEY]) == [None]
    assert await replicas.joined("py-101") == frozenset()
