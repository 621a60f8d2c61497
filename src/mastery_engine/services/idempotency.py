"""Idempotency keys: a call that is repeated counts once, and a key that comes again with another body is refused."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.ids import value_hash
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import Conflict
from mastery_engine.ports.idempotency import IdempotencyStore

# Takes the key of a call, once it is known that the call does something. Raises Conflict.
Claim: TypeAlias = Callable[[], Awaitable[None]]


class IdempotencyKey(msgspec.Struct, frozen=True):
    """The Idempotency-Key of a call, and the hash of its body: of the JSON value, however it is written."""

    value: str
    body: str


def keyed(value: str, body: bytes) -> IdempotencyKey:
    """The key of a call with this body."""
    return IdempotencyKey(value, value_hash(body))


class Idempotency:
    """Remembers for 24 hours what each key was first used for. Without a key nothing is read or written."""

    def __init__(self, store: IdempotencyStore, clock: Clock, secret: bytes) -> None:
        """``secret`` keys the hashes that are stored: keys may hold personal data, and bodies do."""
        self._store = store
        self._clock = clock
        self._secret = secret

    async def claim(self, caller: Caller, call: str, key: IdempotencyKey | None) -> None:
        """Take the key for this call of this caller. Raises Conflict if it was used with another body.

        Claim before the call changes anything, and after all that may refuse it: what was refused may be corrected
        under its key.
        """
        if key is None:
            return
        name = self._hash("key", caller.tenant, caller.role, caller.subject, call, key.value)
        body = self._hash("body", name, key.body)
        if await self._store.claim(name, body, caller.moment(self._clock)) != body:
            raise Conflict(
                "This Idempotency-Key was used with another body: use a new key, or send the same body again.",
                field="Idempotency-Key",
            )

    async def first_courses(self, tenant: str, chosen: Mapping[str, str | None], now: Micros) -> dict[str, str | None]:
        """The course that was first chosen for each of these events (ids): the one given, if none was before.

        With None it is only looked up. Ask before the events are logged, and only for those whose ids a repeat has too.
        """
        names = {self._hash("course", tenant, event_id): event_id for event_id in chosen}
        first = await self._store.claim_all({name: chosen[event_id] for name, event_id in names.items()}, now)
        return {event_id: first[name] for name, event_id in names.items()}

    def _hash(self, *parts: str) -> str:
        return hmac.digest(self._secret, msgspec.json.encode(parts), "sha256").hex()
