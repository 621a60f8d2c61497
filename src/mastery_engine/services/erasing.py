"""Erasing: removes everything that the stores hold about students, for erasures and for folds that meet one."""

from collections.abc import Sequence
from functools import partial

from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.documents import DocumentReader, DocumentStore
from mastery_engine.ports.jobs import JobStore
from mastery_engine.ports.refusals import RefusalStore
from mastery_engine.services.batch_requests import without_student


class Erasing:
    """Removes the documents and refusals of erased students, and their rows in batches."""

    def __init__(
        self, documents: DocumentStore, reader: DocumentReader, refusals: RefusalStore, jobs: JobStore
    ) -> None:
        self._documents = documents
        self._reader = reader
        self._refusals = refusals
        self._jobs = jobs

    async def remove(self, keys: Sequence[StudentKey]) -> int:
        """Remove all that the stores hold about these students; returns the number of records. Raises Unavailable."""
        removed = 0
        for key in keys:
            removed += await self._documents.erase(key)
            removed += await self._refusals.erase(key)
            removed += await self._jobs.erase(key, partial(without_student, key=key))
        if keys:
            self._reader.forget(keys)
        return removed
