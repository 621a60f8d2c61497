"""Results that cost more than a read: the second-level cache."""

from typing import NamedTuple, Protocol

LIFE_S = 300


class ResultKey(NamedTuple):
    """What was computed (``kind``: forecast, standings, …), and about whom: a student's id, or a cohort's."""

    tenant: str
    subject: str
    kind: str


class ResultCache(Protocol):
    """Results for five minutes, shared by all replicas where the store is.

    A result is found only under the ``version`` that it was computed from. A cache that is away has nothing, and loses
    what it is given: neither raises.
    """

    async def get(self, key: ResultKey, version: str) -> bytes | None:
        """The result of this version, if it is cached."""
        ...

    async def put(self, key: ResultKey, version: str, value: bytes) -> None:
        """Cache a result in the place of the one of another version."""
        ...

    async def drop(self, tenant: str, subject: str) -> None:
        """Forget all kinds about a student or cohort, as an erasure does. Raises Unavailable."""
        ...
