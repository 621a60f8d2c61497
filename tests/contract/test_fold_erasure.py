"""Who is erased while their events are folded stays erased, whenever in a fold that is."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.logs.memory import MemoryLog
from mastery_engine.metrics import Metrics
from mastery_engine.service import Mastery
from mastery_engine.stores.base import Change, Held
from mastery_engine.stores.memory import MemoryStore
from tests.samples import Clock, logged, quiz

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
@pytest.mark.parametrize("is_known", [True, False], ids=["known", "newcomer"])
@pytest.mark.parametrize("is_consent_read", [True, False], ids=["read", "unread"])
async def test_who_is_erased_during_a_fold_stays_erased(moment: str, *, is_known: bool, is_consent_read: bool) -> None:
    store, log, clock = BusyStore(), MemoryLog(), Clock()
    ours, theirs = (Mastery(store, log, Rules(), clock, Metrics(), lambda: "new") for _ in range(2))
    if is_known:
        await ours.folding.fold(logged([quiz(1, 4, "before")]))

    async def erased() -> None:
        clock.tick(1)
        await theirs.consents.erase(KEY)
        await theirs.folding.remove([KEY])

    store.moment, store.happens = moment, erased
    if is_consent_read:
        await ours.consents.refresh()
    events = logged([quiz(3, 4, "during")], first=1)
    folded = await ours.folding.fold(events, is_consent_read=is_consent_read)
    assert store.moment == ""
    assert await store.load([KEY]) == [None]
    assert folded.refused == events
