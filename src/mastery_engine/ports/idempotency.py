"""What each Idempotency-Key stands for: the body of the call that it first came with, and what that call chose."""

from collections.abc import Mapping
from typing import Protocol

from mastery_engine.domain.moments import DAY, Micros

KEY_LIFE: Micros = DAY


class IdempotencyStore(Protocol):
    """Keys as keyed hashes, and what each stands for, for 24 hours from the first call. All calls raise Unavailable."""

    async def claim(self, name: str, body: str, at: Micros, /) -> str:
        """The body that a key stands for: this one if the key is new, else that of the first call.

        Durable on return. Of several calls at the same time, from any replica, one is the first for all.
        """
        ...

    async def claim_all(self, values: Mapping[str, str | None], at: Micros, /) -> dict[str, str | None]:
        """What each of these keys stands for, as ``claim`` says it; one with None is looked up and not claimed.

        None for a key that is new and was not claimed.
        """
        ...

    async def purge(self, before: Micros, /) -> int:
        """Remove keys from before a moment; returns how many there were. A store that lets them expire has none."""
        ...
