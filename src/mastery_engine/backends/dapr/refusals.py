"""Refusals in Dapr's state."""

from collections import defaultdict
from collections.abc import Collection, Sequence

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Fold, Replacement, Value, Write
from mastery_engine.backends.dapr.index import TOMBSTONE_S, DaprIndex, listed, words_from
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
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
        refused = [_name(refusal) for refusal in refusals]
        writes = [Write(_key(name), one, None, self._life_s) for name, one in zip(refused, refusals, strict=True)]
        await self._all.add(refused)
        courses: dict[StudentKey, set[str]] = defaultdict(set)
        for refusal in refusals:
            if refusal.course_id != DEFAULT_COURSE:
                courses[refusal.key].add(refusal.course_id)
        await self._state.fold({keys.courses_of_refusals(key): self._with_courses(own) for key, own in courses.items()})
        for start in range(0, len(writes), PAGE):
            await self._state.change(writes[start : start + PAGE])
        await self._all.add(refused)

    def _with_courses(self, added: Collection[str]) -> Fold:
        """It is written each time, to live as long as the refusals."""
        return lambda stored: Replacement(sorted({*added, *(stored or ())}), self._life_s)

    async def find(self, key: StudentKey, event_id: str, *, course_id: str | None = None) -> Refusal | None:
        if course_id is not None:
            values = await self._state.read([keys.refusal(key, event_id, course_id)])
        else:
            default = keys.refusal(key, event_id, DEFAULT_COURSE)
            courses, *values = await self._state.read([keys.courses_of_refusals(key), default])
            if courses is not None:
                values += await self._state.read([keys.refusal(key, event_id, one) for one in courses.data])
        found = (_refusal(value) for value in values if value is not None)
        return max(found, key=lambda refusal: refusal.at, default=None)

    async def of(self, key: StudentKey) -> list[Refusal]:
        values = await self._state.read([_key(name) for name in await self._names(key)])
        return sorted((_refusal(value) for value in values if value is not None), key=lambda refusal: refusal.at)

    async def _names(self, key: StudentKey) -> list[str]:
        return [name for name in await self._all.members() if tuple(words_from(name)[:2]) == key]

    async def erase(self, key: StudentKey) -> int:
        refused = await self._names(key)
        values = await self._state.read([_key(name) for name in refused])
        await self._state.change([], [_key(name) for name in refused])
        await self._all.discard(refused)
        await self._state.fold({keys.courses_of_refusals(key): _without_courses})
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


def _without_courses(stored: Sequence[str] | None) -> Replacement | None:
    return Replacement([], TOMBSTONE_S) if stored else None


def _name(refusal: Refusal) -> str:
    """A name in the list; in the default course as an engine that knew no courses wrote it."""
    course = () if refusal.course_id == DEFAULT_COURSE else (refusal.course_id,)
    return listed(*refusal.key, refusal.event_id, *course)


def _key(name: str) -> str:
    tenant, student_id, event_id, *course = words_from(name)
    return keys.refusal(StudentKey(tenant, student_id), event_id, course[0] if course else DEFAULT_COURSE)
