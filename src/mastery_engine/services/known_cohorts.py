"""Which cohorts a tenant has: a list beside the cohorts themselves, which are found by their ids alone."""

from collections.abc import Iterable

from cachetools import LRUCache

from mastery_engine.domain.moments import Micros
from mastery_engine.ports.registry import RegistryStore, RegistryWrite

MOST_NOTED = 10_000

Named = tuple[str, str]  # a tenant and the id of a cohort


class KnownCohorts:
    """The list, which only grows: whoever reads it leaves out those in which nobody is any more."""

    def __init__(self, registry: RegistryStore) -> None:
        self._registry = registry
        self._noted: LRUCache[Named, bool] = LRUCache(MOST_NOTED)

    async def note(self, cohorts: Iterable[Named], now: Micros) -> None:
        """List cohorts; each process writes each of them once. Raises Unavailable."""
        new = sorted({named for named in cohorts if named not in self._noted})
        if new:
            await self._registry.write("cohorts", [RegistryWrite(_key(*named), b"1") for named in new], now)
            self._noted.update(dict.fromkeys(new, True))

    async def page(self, tenant: str, after: str, limit: int, now: Micros) -> list[str]:
        """The first cohorts by id after one. Raises Unavailable."""
        prefix = _key(tenant, "")
        entries = await self._registry.page("cohorts", prefix, prefix + after if after else "", limit, now)
        return [entry.key.removeprefix(prefix) for entry in entries]


def _key(tenant: str, cohort_id: str) -> str:
    return f"{tenant}/{cohort_id}"
