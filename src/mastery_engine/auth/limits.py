"""Rate limits: sliding windows of one minute for each caller, shared by all replicas if there is Redis.

If the windows cannot be read, calls pass: to refuse all calls for a fault would be worse than to limit none. A good
token is never refused because of others' bad ones; only bad tokens are counted, by address.
"""

import asyncio
import logging
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Literal, Protocol, TypeAlias

import msgspec
from limits import RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from mastery_engine.auth.access import Caller
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import RateLimited

logger = logging.getLogger(__name__)

LimitKind: TypeAlias = Literal[
    "query", "calculate", "predictions", "recommendations", "analytics", "batch", "compliance", "pages"
]

PER_MINUTE: Mapping[LimitKind, int] = {
    "query": 50,
    "calculate": 30,
    "predictions": 20,
    "recommendations": 20,
    "analytics": 50,
    "batch": 5,
    "compliance": 60,
    "pages": 120,
}
TIMES: Mapping[str, int] = {"student": 1, "teacher": 20}
BAD_TOKENS = 30
LINKS = 600  # of badges, from an address: a school may have one for all
LAUNCHES = 6_000  # of one address: a school may have only one, and a launch takes four calls
WINDOW_S = 60
PATIENCE_S = 0.5
AGAIN: Micros = 5 * SECOND


class Allowance(msgspec.Struct, frozen=True):
    """A caller's remaining calls of one kind; ``reset`` is when the next one becomes free, in seconds since 1970."""

    limit: int
    remaining: int
    reset: int
    is_over: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % self.reset),
        ]


class NearWindows(Protocol):
    """Windows in this process, which answer at once. Those that are elsewhere are a library's storage."""

    def count(self, name: str, limit: int, now: Micros) -> tuple[bool, int, Micros]:
        """Count one more call in the window of the last minute, if it has fewer than ``limit``.

        Whether it had, how many it has now, and when the oldest of them counts no more. Moments hardly go back.
        """
        ...


class Limits:
    """The windows of all callers. Without any no caller is limited."""

    def __init__(self, windows: Storage | NearWindows | None) -> None:
        self._near = None if isinstance(windows, Storage) else windows
        self._windows = MovingWindowRateLimiter(windows) if isinstance(windows, Storage) else None
        self._away_until: Micros = 0

    async def take(self, caller: Caller, kind: LimitKind | None, now: Micros) -> Allowance | None:
        """Count one more call of a kind; None if this caller has no limit for it."""
        times = TIMES.get(caller.role)
        if kind is None or times is None:
            return None
        name = derived_id("limit", caller.tenant, caller.role, caller.subject)
        return await self._take(now, PER_MINUTE[kind] * times, kind, name)

    async def blame(self, address: str, now: Micros) -> None:
        """Count one more bad token from an address. Raises RateLimited if there were too many."""
        allowance = await self._take(now, BAD_TOKENS, "bad-token", derived_id("address", neighbourhood(address)))
        if allowance is not None and allowance.is_over:
            raise rate_limited(allowance, "Too many invalid tokens came from your address", now)

    async def take_launch(self, address: str, now: Micros) -> None:
        """Count one more call about a launch from an address. Raises RateLimited if there were too many."""
        allowance = await self._take(now, LAUNCHES, "launch", derived_id("address", neighbourhood(address)))
        if allowance is not None and allowance.is_over:
            raise rate_limited(allowance, "Too many launches came from your address", now)

    async def take_link(self, address: str, now: Micros) -> None:
        """Count one more call by a badge's link from an address. Raises RateLimited if there were too many."""
        allowance = await self._take(now, LINKS, "link", derived_id("address", neighbourhood(address)))
        if allowance is not None and allowance.is_over:
            raise rate_limited(allowance, "Too many badges were asked for from your address", now)

    async def _take(self, now: Micros, limit: int, *names: str) -> Allowance | None:
        if self._near is not None:
            has_room, number, ends = self._near.count("/".join(names), limit, now)
            return Allowance(limit, limit - number, ceil(ends / SECOND), not has_room)
        if self._windows is None or now < self._away_until:
            return None
        item = RateLimitItemPerMinute(limit)
        try:
            async with asyncio.timeout(PATIENCE_S):
                taken = await self._windows.hit(item, *names)
                reset, remaining = await self._windows.get_window_stats(item, *names)
        except (StorageError, TimeoutError) as error:
            self._away_until = now + AGAIN
            logger.warning("rate limits are off for %d s: %s", AGAIN // SECOND, type(error).__name__)
            return None
        return Allowance(limit, max(0, remaining), ceil(reset), not taken)


def rate_limited(allowance: Allowance, why: str, now: Micros) -> RateLimited:
    """The error for a caller over the limit; it says when to try again."""
    seconds = min(max(1, allowance.reset - now // SECOND), WINDOW_S)
    return RateLimited(f"{why}: try again in {seconds} s.", retry_after=seconds)


def neighbourhood(address: str) -> str:
    """The network that counts as one sender: the first 64 bits of an IPv6 address, since senders choose the rest."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
    return str(found)
