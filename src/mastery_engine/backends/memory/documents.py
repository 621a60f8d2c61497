"""Documents in memory: packed bytes, as in the other backends."""

from collections.abc import AsyncIterator, Sequence

from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.ports.documents import DocumentChange, StoredDocument

ABSENT = (0, b"")


class MemoryDocuments:
    """See ``DocumentStore``."""

    def __init__(self) -> None:
        self._documents: dict[StudentKey, tuple[int, bytes]] = {}
        self._cold: dict[StudentKey, bytes] = {}

    async def load(self, keys: Sequence[StudentKey]) -> list[StoredDocument | None]:
        stored = [self._documents.get(key) for key in keys]
        return [None if row is None else StoredDocument(row[0], unpack(row[1])) for row in stored]

    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        return [unpack_ids(self._cold[key]) if key in self._cold else {} for key in keys]

    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        return [self._commit(change) for change in changes]

    def _commit(self, change: DocumentChange) -> bool:
        version, _ = self._documents.get(change.key, ABSENT)
        if version != change.version:
            return False
        if change.student is None:
            self._documents.pop(change.key, None)
            self._cold.pop(change.key, None)
            return True
        self._documents[change.key] = (version + 1, pack(change.student))
        if change.cold is not None:
            self._cold[change.key] = pack_ids(change.cold)
        return True

    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        return [self._documents.get(key, ABSENT)[0] for key in keys]

    async def students(self) -> AsyncIterator[StudentKey]:
        for key in list(self._documents):
            yield key

    async def erase(self, key: StudentKey) -> int:
        return sum(values.pop(key, None) is not None for values in (self._documents, self._cold))

    async def clear(self) -> None:
        self._documents.clear()
        self._cold.clear()
