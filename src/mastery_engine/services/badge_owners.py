"""Whose badges are: they stay with the person as ids are linked, and go with an erasure."""

import asyncio
from collections.abc import Collection
from functools import partial

import msgspec

from mastery_engine.clock import Clock
from mastery_engine.domain.moments import EARLIEST, Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.out.badges.badge import Badge
from mastery_engine.ports.registry import RegistryStore
from mastery_engine.services.badge_statuses import BadgeStatuses
from mastery_engine.services.consents import Consents
from mastery_engine.services.kept_badges import KeptBadges
from mastery_engine.telemetry.metrics import Metrics

AT_ONCE = 50  # students whose badges are looked for at the same time


class BadgeOwners:
    """Finds, moves and erases the badges of people. All calls raise Unavailable."""

    def __init__(
        self, registry: RegistryStore, statuses: BadgeStatuses, consents: Consents, metrics: Metrics, clock: Clock
    ) -> None:
        self._kept = KeptBadges(registry)
        self._statuses = statuses
        self._consents = consents
        self._metrics = metrics
        self._clock = clock

    def owner(self, key: StudentKey, at: Micros) -> StudentKey:
        """The student whose a badge is that was awarded under an id at a moment."""
        return self._consents.links.owner(key, at) if self._consents.links else key

    async def of(self, key: StudentKey, now: Micros) -> list[Badge]:
        """The student's badges, with those under ids that were linked to them, oldest first."""
        sources = sorted(self._consents.links.sources(key)) if self._consents.links else []
        found = [kept.badge for one in (*sources, key) for kept in await self._kept.of(one, now)]
        own = [badge for badge in found if self.owner(badge.student, badge.awarded) == key]
        return sorted(own, key=lambda badge: (badge.awarded, badge.badge_id))

    async def move(self, sources: Collection[StudentKey]) -> None:
        """Give the badges under ids that were linked to the students whose they are; it is safe to do again."""
        now = self._clock()
        tenants = [tenant for tenant in {key.tenant for key in sources} if await self._kept.has_any(tenant, now)]
        asked = [key for key in sources if key.tenant in tenants]
        for start in range(0, len(asked), AT_ONCE):
            found = await asyncio.gather(*[self._kept.of(key, now) for key in asked[start : start + AT_ONCE]])
            for kept in (one for of_key in found for one in of_key):
                owner = self.owner(kept.badge.student, kept.badge.awarded)
                given = partial(msgspec.structs.replace, student_id=owner.student_id)
                await self._kept.change(kept.badge.badge_id, given, now)

    async def erase(self, key: StudentKey) -> int:
        """Revoke a student's badges, and leave of each that it is gone; how many there were.

        It comes before all else that is the student's goes from the registry, and is safe to do again.
        """
        kept = await self._kept.of(key, EARLIEST)  # badges do not expire
        if kept:
            now = self._clock()
            await self._statuses.revoke([one.badge.status for one in kept], now)
            for one in kept:
                await self._kept.bury(one, now)
            self._metrics.badges.labels("erased").inc(len(kept))
        return len(kept)
