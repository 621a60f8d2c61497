"""What each Idempotency-Key stands for: the body of the call that it first came with."""

from typing import Protocol

from mastery_engine.domain.moments import DAY, Micros

KEY_LIFE: Micros = DAY


class IdempotencyStore(Protocol):
    """Keys and bodies, both as keyed hashes, for 24 hours from the first call. All calls raise Unavailable."""

    async def claim(self, name: str, body: str, at: Micros, /) -> str:
        """The body that a key stands for: this one if the key is new, else that of the first call.

        Durable on return. Of several calls at the same time, from any replica, one is the first for all.
        """
        ...

    async def purge(self, before: Micros, /) -> int:
        """Remove keys from before a moment; returns how many there were. A store that lets them expire has none."""
        ...
