"""Refusals in memory."""

from collections.abc import Sequence

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.refusals import Refusal


class MemoryRefusals:
    """See ``RefusalStore``."""

    def __init__(self) -> None:
        self._refusals: dict[tuple[StudentKey, str, str], Refusal] = {}

    async def put(self, refusals: Sequence[Refusal]) -> None:
        self._refusals |= _by_name(refusals)

    async def find(self, key: StudentKey, event_id: str, *, course_id: str | None = None) -> Refusal | None:
        found = (one for one in await self.of(key) if one.event_id == event_id and course_id in (None, one.course_id))
        return max(found, key=lambda refusal: refusal.at, default=None)

    async def of(self, key: StudentKey) -> list[Refusal]:
        own = (refusal for refusal in self._refusals.values() if refusal.key == key)
        return sorted(own, key=lambda refusal: refusal.at)

    async def erase(self, key: StudentKey) -> int:
        return self._keep_only([refusal for refusal in self._refusals.values() if refusal.key != key])

    async def purge(self, before: Micros) -> int:
        return self._keep_only([refusal for refusal in self._refusals.values() if refusal.at >= before])

    def _keep_only(self, refusals: Sequence[Refusal]) -> int:
        """Remove all others; how many there were."""
        removed = len(self._refusals) - len(refusals)
        self._refusals = _by_name(refusals)
        return removed


def _by_name(refusals: Sequence[Refusal]) -> dict[tuple[StudentKey, str, str], Refusal]:
    return {(refusal.key, refusal.event_id, refusal.course_id): refusal for refusal in refusals}
