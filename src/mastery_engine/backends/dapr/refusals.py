"""Refusals in Dapr's state."""

from collections.abc import Sequence

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.backends.dapr.index import DaprIndex, listed
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.refusals import Refusal

PAGE = 500


class DaprRefusals:
    """See ``RefusalStore``. ``life_s`` is the life of a refusal."""

    def __init__(self, state: DaprState, *, life_s: int) -> None:
        self._state = state
        self._life_s = life_s
        self._all = DaprIndex(state, "refusals")

    async def put(self, refusals: Sequence[Refusal]) -> None:
        """They are in the list before, so that an erasure finds all, and after, should a purge have come between."""
        refused = [listed(*refusal.key, refusal.event_id) for refusal in refusals]
        writes = [
            Write(keys.refusal(refusal.key, refusal.event_id), refusal, None, self._life_s) for refusal in refusals
        ]
        await self._all.add(refused)
        for start in range(0, len(writes), PAGE):
            await self._state.change(writes[start : start + PAGE])
        await self._all.add(refused)

    async def find(self, key: StudentKey, event_id: str) -> Refusal | None:
        (value,) = await self._state.read([keys.refusal(key, event_id)])
        return None if value is None else _refusal(value)

    async def of(self, key: StudentKey) -> list[Refusal]:
        values = await self._state.read([_key(name) for name in await self._names(key)])
        return sorted((_refusal(value) for value in values if value is not None), key=lambda refusal: refusal.at)

    async def _names(self, key: StudentKey) -> list[str]:
        return [name for name in await self._all.members() if _words(name)[:2] == key]

    async def erase(self, key: StudentKey) -> int:
        refused = await self._names(key)
        values = await self._state.read([_key(name) for name in refused])
        await self._state.change([], [_key(name) for name in refused])
        await self._all.discard(refused)
        return sum(value is not None for value in values)

    async def purge(self, before: Micros) -> int:
        refused = sorted(await self._all.members())
        removed = 0
        for start in range(0, len(refused), PAGE):
            page = refused[start : start + PAGE]
            values = await self._state.read([_key(name) for name in page])
            old = [
                name
                for name, value in zip(page, values, strict=True)
                if value is not None and _refusal(value).at < before
            ]
            await self._state.change([], [_key(name) for name in old])
            gone = [name for name, value in zip(page, values, strict=True) if value is None]
            await self._all.discard_gone([*old, *gone], self._present)
            removed += len(old)
        await self._all.renew()
        return removed

    async def _present(self, refused: Sequence[str]) -> list[str]:
        """Which of these refusals, by their names in the list, there are."""
        values = await self._state.read([_key(name) for name in refused])
        return [name for name, value in zip(refused, values, strict=True) if value is not None]


def _refusal(value: Value) -> Refusal:
    return msgspec.convert(value.data, Refusal)


def _words(name: str) -> tuple[str, str, str]:
    """Tenant, student and event of a name in the list."""
    return msgspec.json.decode(name, type=tuple[str, str, str])


def _key(name: str) -> str:
    tenant, student_id, event_id = _words(name)
    return keys.refusal(StudentKey(tenant, student_id), event_id)
