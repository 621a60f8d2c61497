"""Badges in the registry: found by id or by student, and changed by compare-and-set."""

import logging
import re
from collections.abc import Callable, Sequence

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Conflict, Gone, NotFound
from mastery_engine.out.badges.badge import Badge, ErasedBadge, KeptBadge, pack_badge, unpack_badge
from mastery_engine.ports.registry import Entry, RegistryStore, RegistryWrite, Table

logger = logging.getLogger(__name__)

TABLE: Table = "badges"
BADGE_ID = re.compile(r"([a-z0-9][a-z0-9-]{0,39})\.([a-z2-7]{26})")
MAX_ROUNDS = 20


class Kept(msgspec.Struct, frozen=True):
    """A badge with its place in the registry, and the version of what is there."""

    key: str
    badge: Badge
    version: int


class KeptBadges:
    """Reads and writes badges. All calls raise Unavailable where the store is away."""

    def __init__(self, registry: RegistryStore) -> None:
        self._registry = registry

    async def find(self, badge_ids: Sequence[str], now: Micros) -> dict[str, KeptBadge | None]:
        """The badges with these ids, or what is left of them."""
        entries = await self._registry.find(TABLE, [key_of(one) for one in badge_ids], now)
        return {
            badge_id: None if entry is None else unpack_badge(entry.value)
            for badge_id, entry in zip(badge_ids, entries, strict=True)
        }

    async def badge(self, badge_id: str, now: Micros) -> Kept:
        """The badge with an id. Raises NotFound, and Gone where its student was erased."""
        (entry,) = await self._registry.find(TABLE, [key_of(badge_id)], now)
        if entry is None:
            raise no_such_badge()
        kept = _kept(entry)
        if kept is None:
            raise Gone("This badge is gone: whoever held it was erased, and it no longer counts.")
        return kept

    async def of(self, student: StudentKey, now: Micros) -> list[Kept]:
        """The badges that are about a student under this very id; a record that is none stops no erasure."""
        found: list[Kept] = []
        for table, entry in await self._registry.owned(student, now):
            try:
                kept = _kept(entry) if table == TABLE else None
            except msgspec.DecodeError:
                logger.exception("a record of a badge cannot be read")
                continue
            found += [] if kept is None else [kept]
        return found

    async def page(self, tenant: str, after: str, limit: int, now: Micros) -> tuple[list[Kept], str | None]:
        """The tenant's badges among the next ``limit`` records; the place after them if there may be more."""
        entries = await self._registry.page(TABLE, f"{tenant}/", after, limit, now)
        more = entries[-1].key if len(entries) == limit else None
        return [kept for entry in entries if (kept := _kept(entry)) is not None], more

    async def has_any(self, tenant: str, now: Micros) -> bool:
        """Whether the tenant has, or had, any badges."""
        return bool(await self._registry.page(TABLE, f"{tenant}/", "", 1, now))

    async def put_new(self, badges: Sequence[Badge], now: Micros) -> int:
        """Put badges that are not there yet, each with its student as the owner; how many were not."""
        writes = [RegistryWrite(key_of(one.badge_id), pack_badge(one), 0, one.student) for one in badges]
        return sum(await self._registry.write(TABLE, writes, now))

    async def change(self, badge_id: str, changed: Callable[[Badge], Badge], now: Micros) -> Badge:
        """Change a badge. Raises NotFound, Gone, and Conflict where others keep changing it."""
        for _ in range(MAX_ROUNDS):
            kept = await self.badge(badge_id, now)
            after = changed(kept.badge)
            if after == kept.badge:
                return after
            write = RegistryWrite(kept.key, pack_badge(after), kept.version, after.student)
            if (await self._registry.write(TABLE, [write], now))[0]:
                return after
        raise Conflict("Others changed this badge at the same time: try again.")

    async def bury(self, kept: Kept, now: Micros) -> None:
        """Leave of a badge only that its student was erased, which is nobody's."""
        left = pack_badge(ErasedBadge(kept.badge.status))
        await self._registry.write(TABLE, [RegistryWrite(kept.key, left)], now)


def key_of(badge_id: str) -> str:
    """Where a badge is kept: in its tenant's part. Raises NotFound for what is no id of a badge."""
    return f"{tenant_of(badge_id)}/{badge_id.partition('.')[2]}"


def tenant_of(badge_id: str) -> str:
    """The tenant of a badge. Raises NotFound for what is no id of a badge."""
    match = BADGE_ID.fullmatch(badge_id)
    if match is None:
        raise no_such_badge()
    return match[1]


def no_such_badge() -> NotFound:
    return NotFound("There is no such badge.", field="badge_id")


def _kept(entry: Entry) -> Kept | None:
    badge = unpack_badge(entry.value)
    return Kept(entry.key, badge, entry.version) if isinstance(badge, Badge) else None
