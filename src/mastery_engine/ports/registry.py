"""Small records by table and key: what other platforms registered, what was agreed with them once, what was issued.

A table is one kind of record; whoever owns it says what its values are. Keys of one tenant begin with the tenant and a
slash, so that they are listed together; replicas and purges belong to none.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey

Table: TypeAlias = Literal[
    "cohorts",
    "webhooks",
    "lti-platforms",
    "lti-once",
    "lti-contexts",
    "lti-people",
    "lti-grades",
    "lti-keys",
    "badges",
    "badge-keys",
    "badge-statuses",
    "notes",
    "replicas",
    "purges",
    "erasures",
    "redrives",
]


class Entry(msgspec.Struct, frozen=True):
    """A record as it is kept; ``version`` is another one after each write, and never 0."""

    key: str
    value: bytes
    version: int


class RegistryWrite(msgspec.Struct, frozen=True):
    """A record to be written, or removed where ``value`` is None.

    ``expected`` is the version that it must have: 0 where it must not be there, None where that does not matter.
    ``owner`` is the student whom it is about: it goes with their erasure. From ``expires`` on it is not there any more.
    """

    key: str
    value: bytes | None
    expected: int | None = None
    owner: StudentKey | None = None
    expires: Micros | None = None


class RegistryStore(Protocol):
    """Records by table and key. All calls raise Unavailable when the store is away."""

    async def find(self, table: Table, keys: Sequence[str], now: Micros) -> list[Entry | None]:
        """The records of these keys, in their order; None where there is none."""
        ...

    async def write(self, table: Table, writes: Sequence[RegistryWrite], now: Micros) -> list[bool]:
        """Write each wholly or not at all: whether it was, in their order; durable on return. Keys do not repeat.

        Of several with the same expectation at the same time, from any replica, one is written. A removal of what is
        not there was done.
        """
        ...

    async def page(self, table: Table, prefix: str, after: str, limit: int, now: Micros) -> list[Entry]:
        """The first ``limit`` records by key whose keys begin with ``prefix`` and come after ``after``."""
        ...

    async def owned(self, key: StudentKey, now: Micros) -> list[tuple[Table, Entry]]:
        """The records about a student, by table and key."""
        ...

    async def erase(self, key: StudentKey) -> int:
        """Remove the records about a student; how many there were."""
        ...

    async def purge(self, now: Micros) -> int:
        """Remove what has expired; how many there were. A store that lets records expire has none."""
        ...
