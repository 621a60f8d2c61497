"""Who is erased while their events are folded stays erased, whenever in a fold that is."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from mastery_engine.backends.memory.event_log import MemoryLog
from mastery_engine.backends.memory.store import MemoryStore
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.documents import Change, Held
from mastery_engine.services import Mastery
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.telemetry.metrics import Metrics
from tests.support.samples import Clock, logged, quiz

KEY = StudentKey("default", "ada")


class BusyStore(MemoryStore):
    """Lets something else happen at one moment of the next fold."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = ""
        self.happens: Callable[[], Awaitable[None]]

    async def _at(self, moment: str) -> None:
        if self.moment == moment:
            self.moment = ""
            await self.happens()

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        await self._at("before the load")
        found = await super().load(keys)
        await self._at("after the load")
        return found

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        await self._at("before the commit")
        won = await super().commit(changes)
        await self._at("after the commit")
        return won


@pytest.mark.parametrize("moment", ["before the load", "after the load", "before the commit", "after the commit"])
@pytest.mark.parametrize("known_for", [None, "py-101", "py-102"], ids=["newcomer", "known", "known elsewhere"])
async def test_who_is_erased_during_a_fold_stays_erased(moment: str, known_for: str | None) -> None:
    store, log, clock = BusyStore(), MemoryLog(), Clock()
    ours, theirs = (Mastery(store, log, Rules(), clock, Metrics(), lambda: "new") for _ in range(2))
    if known_for is not None:
        await ours.folding.fold(logged([quiz(1, 4, "before", metadata={"cohort_id": known_for})]))

    async def erased() -> None:
        clock.tick(1)
        await theirs.consents.erase(KEY)
        await Cohorts(theirs).forget(KEY)
        await theirs.folding.remove([KEY])

    store.moment, store.happens = moment, erased
    events = logged([quiz(3, 4, "during", metadata={"cohort_id": "py-101"})], first=1)
    folded = await ours.folding.fold(events)
    assert store.moment == ""
    assert await store.load([KEY]) == [None]
    assert folded.refused == events
    for cohort_id in ("py-101", "py-102"):
        assert (await Cohorts(theirs).roster("default", cohort_id)).joined == frozenset()


async def test_who_repeats_an_event_while_they_are_erased_joins_nothing() -> None:
    store, log, clock = BusyStore(), MemoryLog(), Clock()
    ours, theirs = (Mastery(store, log, Rules(), clock, Metrics(), lambda: "new") for _ in range(2))
    events = logged([quiz(1, 4, "one", metadata={"cohort_id": "py-101"})])
    await ours.folding.fold(events)

    async def erased() -> None:
        clock.tick(1)
        await theirs.consents.erase(KEY)
        await Cohorts(theirs).forget(KEY)
        await theirs.folding.remove([KEY])

    store.moment, store.happens = "after the load", erased
    await ours.folding.fold(events)
    assert await store.load([KEY]) == [None]
    assert (await Cohorts(theirs).roster("default", "py-101")).joined == frozenset()
