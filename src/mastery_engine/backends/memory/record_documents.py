"""Documents of a learning record store in memory."""

from mastery_engine.domain.moments import Micros
from mastery_engine.ports.record_documents import RecordDocument, RecordDocumentKey


class MemoryRecordDocuments:
    """See ``RecordDocumentStore``."""

    def __init__(self) -> None:
        self._documents: dict[RecordDocumentKey, RecordDocument] = {}

    async def load(self, key: RecordDocumentKey) -> RecordDocument | None:
        return self._documents.get(key)

    async def save(self, key: RecordDocumentKey, document: RecordDocument | None, *, over: str | None) -> bool:
        there = self._documents.get(key)
        if (None if there is None else there.etag) != over:
            return False
        if document is None:
            self._documents.pop(key, None)
        else:
            self._documents[key] = document
        return True

    async def names(
        self, tenant: str, scope: bytes, *, registration: str | None, since: Micros | None
    ) -> list[tuple[RecordDocumentKey, Micros]]:
        return sorted(
            [
                (key, self._documents[key].updated)
                for key in self._of(tenant, scope, registration)
                if since is None or self._documents[key].updated > since
            ],
            key=lambda one: (one[0].name, one[0].registration),
        )

    def _of(self, tenant: str, scope: bytes, registration: str | None) -> list[RecordDocumentKey]:
        return [
            key
            for key in self._documents
            if key.tenant == tenant and key.scope == scope and registration in (None, key.registration)
        ]

    async def remove_all(self, tenant: str, scope: bytes, *, registration: str | None) -> int:
        keys = self._of(tenant, scope, registration)
        for key in keys:
            del self._documents[key]
        return len(keys)

    async def of_person(self, tenant: str, person: bytes) -> list[tuple[RecordDocumentKey, RecordDocument]]:
        return [(key, one) for key, one in self._documents.items() if key.tenant == tenant and one.person == person]

    async def purge(self, before: Micros) -> int:
        old = [key for key, one in self._documents.items() if one.person and one.updated < before]
        for key in old:
            del self._documents[key]
        return len(old)
