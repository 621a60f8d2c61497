"""Why events were dead-lettered, for whoever asks what became of one."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey


class Refusal(msgspec.Struct, frozen=True):
    """Why an event is among the dead letters."""

    key: StudentKey
    event_id: str
    code: str
    message: str
    at: Micros
    course_id: str = DEFAULT_COURSE


class RefusalStore(Protocol):
    """Refusals by student, course and event. All calls raise Unavailable when the store is away."""

    async def put(self, refusals: Sequence[Refusal]) -> None:
        """Keep why events were dead-lettered; of two for one event of a course the later one holds."""
        ...

    async def find(self, key: StudentKey, event_id: str, *, course_id: str | None = None) -> Refusal | None:
        """Why an event of a course was dead-lettered, the last time; without ``course_id`` the newest of any course."""
        ...

    async def of(self, key: StudentKey) -> list[Refusal]:
        """All that are known of a student, oldest first."""
        ...

    async def erase(self, key: StudentKey) -> int:
        """Remove a student's refusals; how many there were."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove refusals from before a moment; how many there were."""
        ...
