"""Erasing: removes everything that the stores hold about students, for erasures and for folds that meet one."""

import asyncio
from collections.abc import Collection
from functools import partial

from cachetools import LRUCache

from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.deliveries import DeliveryQueue
from mastery_engine.ports.documents import DocumentReader, DocumentStore
from mastery_engine.ports.jobs import JobStore
from mastery_engine.ports.refusals import RefusalStore
from mastery_engine.ports.registry import RegistryStore
from mastery_engine.services.badge_owners import BadgeOwners
from mastery_engine.services.batch_requests import without_student
from mastery_engine.services.profiles import Profiles
from mastery_engine.services.record_documents import RecordDocuments
from mastery_engine.services.record_store import RecordStore

REMEMBERED = 1_000


class Erasing:
    """Removes erased students' documents in all courses, and all else that the stores hold about them."""

    def __init__(
        self,
        documents: DocumentStore,
        reader: DocumentReader,
        profiles: Profiles,
        record_store: RecordStore,
        record_documents: RecordDocuments,
        refusals: RefusalStore,
        jobs: JobStore,
        badges: BadgeOwners,
        registry: RegistryStore,
        deliveries: DeliveryQueue,
    ) -> None:
        self._documents = documents
        self._reader = reader
        self._profiles = profiles
        self._record_store = record_store
        self._record_documents = record_documents
        self._refusals = refusals
        self._jobs = jobs
        self._badges = badges
        self._registry = registry
        self._deliveries = deliveries
        self._lock = asyncio.Lock()
        self._removed: LRUCache[StudentKey, int] = LRUCache(REMEMBERED)

    async def remove(self, keys: Collection[StudentKey]) -> None:
        """Remove all that the stores hold about these students. Raises Unavailable."""
        if not keys:
            return
        async with self._lock:
            for key in keys:
                removed = await self._documents.erase(key)
                known_as = await self._profiles.known_as(key)  # which the profile tells, so it goes after all else
                removed += await self._record_store.erase(key.tenant, known_as)
                removed += await self._record_documents.erase(key.tenant, known_as)
                removed += await self._profiles.remove(key)
                removed += await self._refusals.erase(key)
                removed += await self._jobs.erase(key, partial(without_student, key=key))
                removed += await self._badges.erase(key)  # before the registry, which would leave nothing of them
                removed += await self._deliveries.erase(key) + await self._registry.erase(key)
                self._removed[key] = self._removed.get(key, 0) + removed
            self._reader.forget_students(keys)

    async def remove_counted(self, key: StudentKey) -> int:
        """As ``remove``; the number of records, with those that a fold which met the erasure removed before.

        Folds of other processes are not counted. Raises Unavailable.
        """
        await self.remove([key])
        return int(self._removed.pop(key, 0))
