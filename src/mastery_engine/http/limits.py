"""How often a caller may call: sliding windows of a minute, shared by all replicas where there is Redis.

Where the windows cannot be read the call goes through: being held back by a fault would be worse than not being held
back. A token that is good is never refused for others' bad ones; only bad ones are counted, by address.
"""

import asyncio
import logging
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Literal, TypeAlias

import msgspec
from limits import RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from mastery_engine.auth.access import Caller
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import RateLimited
from mastery_engine.ports.clock import Clock

logger = logging.getLogger(__name__)

Kind: TypeAlias = Literal["query", "calculate", "predictions", "recommendations", "analytics", "batch"]

# Which calls count together, by the path of their route or the beginning of it. What is not here is not limited.
KINDS: Mapping[str, Kind] = {
    "/mastery/query": "query",
    "/mcp": "query",
    "/mastery/calculate": "calculate",
    "/batch/mastery": "batch",
    "/predictions/": "predictions",
    "/recommendations/": "recommendations",
    "/analytics/": "analytics",
}
PER_MINUTE: Mapping[Kind, int] = {
    "query": 50,
    "calculate": 30,
    "predictions": 20,
    "recommendations": 20,
    "analytics": 50,
    "batch": 5,
}
TIMES: Mapping[str, int] = {"student": 1, "teacher": 20}
BAD_TOKENS = 30
WINDOW_S = 60
PATIENCE_S = 0.5
AGAIN: Micros = 5 * SECOND


class Allowance(msgspec.Struct, frozen=True):
    """What a caller has left of one kind of call; ``reset`` is when the next one comes back, in seconds since 1970."""

    limit: int
    remaining: int
    reset: int
    is_over: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        named = {"limit": self.limit, "remaining": self.remaining, "reset": self.reset}
        return [(f"x-ratelimit-{name}".encode(), str(value).encode()) for name, value in named.items()]


class Limits:
    """The windows of all callers. Without a storage nobody is limited."""

    def __init__(self, storage: Storage | None, clock: Clock) -> None:
        self._windows = MovingWindowRateLimiter(storage) if storage else None
        self._clock = clock
        self._away_until: Micros = 0

    async def take(self, caller: Caller, path: str) -> Allowance | None:
        """One call more; None where this caller is not limited in it."""
        kind, times = kind_of(path), TIMES.get(caller.role)
        if kind is None or times is None:
            return None
        name = derived_id("limit", caller.tenant, caller.role, caller.subject)
        return await self._take(PER_MINUTE[kind] * times, kind, name)

    async def blame(self, address: str) -> None:
        """One bad token more from an address. Raises RateLimited where there have been too many."""
        found = await self._take(BAD_TOKENS, "bad-token", derived_id("address", neighbourhood(address)))
        if found is not None and found.is_over:
            raise self.over(found, "Too many tokens from your address were not valid")

    def over(self, found: Allowance, why: str) -> RateLimited:
        """The refusal, which says when to come back."""
        seconds = min(max(1, found.reset - self._clock() // SECOND), WINDOW_S)
        return RateLimited(f"{why}: try again in {seconds} s.", retry_after=seconds)

    async def _take(self, limit: int, *names: str) -> Allowance | None:
        now = self._clock()
        if self._windows is None or now < self._away_until:
            return None
        item = RateLimitItemPerMinute(limit)
        try:
            async with asyncio.timeout(PATIENCE_S):
                taken = await self._windows.hit(item, *names)
                reset, remaining = await self._windows.get_window_stats(item, *names)
        except (StorageError, TimeoutError) as error:
            self._away_until = now + AGAIN
            logger.warning("callers are not limited for %d s: %s", AGAIN // SECOND, type(error).__name__)
            return None
        return Allowance(limit, max(0, remaining), ceil(reset), not taken)


def kind_of(path: str) -> Kind | None:
    """The kind of a call, by its route's path."""
    if path in KINDS:
        return KINDS[path]
    return next((kind for start, kind in KINDS.items() if start.endswith("/") and path.startswith(start)), None)


def neighbourhood(address: str) -> str:
    """An address as one sender: of IPv6 the first 64 bits, since the rest is the sender's to choose."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)
