"""Documents in memory: packed bytes, as in the other backends."""

from collections.abc import AsyncIterator, Sequence

from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.student import DocumentKey, StudentKey, unpack_ids
from mastery_engine.ports.documents import Courses, DocumentChange, PackedDocument, StoredDocument, unpacked

ABSENT = (0, b"")


class MemoryDocuments:
    """See ``DocumentStore``."""

    def __init__(self) -> None:
        self._documents: dict[DocumentKey, tuple[int, bytes]] = {}
        self._cold: dict[DocumentKey, bytes] = {}
        self._courses: dict[StudentKey, dict[str, DocumentKey]] = {}

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        return unpacked(await self.load_packed(keys))

    async def load_packed(self, keys: Sequence[DocumentKey]) -> list[PackedDocument | None]:
        return [PackedDocument(*self._documents[key]) if key in self._documents else None for key in keys]

    async def load_cold(self, keys: Sequence[DocumentKey]) -> list[IdsByDay]:
        return [unpack_ids(self._cold[key]) if key in self._cold else {} for key in keys]

    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        return [self._commit(change) for change in changes]

    def _commit(self, change: DocumentChange) -> bool:
        version, _ = self._documents.get(change.key, ABSENT)
        if version != change.version:
            return False
        packed = change.packed()
        if packed is None:
            self._remove(change.key)
            return True
        self._documents[change.key] = (version + 1, packed)
        cold = change.packed_cold()
        if cold:
            self._cold[change.key] = cold
        elif cold is not None:
            self._cold.pop(change.key, None)
        if version == 0:
            self._courses.setdefault(change.key.student, {})[change.key.course_id] = change.key
        return True

    def _remove(self, key: DocumentKey) -> int:
        courses = self._courses.get(key.student, {})
        if courses.pop(key.course_id, None) is not None and not courses:
            del self._courses[key.student]
        return sum(values.pop(key, None) is not None for values in (self._documents, self._cold))

    async def versions(self, keys: Sequence[DocumentKey]) -> list[int]:
        return [self._documents.get(key, ABSENT)[0] for key in keys]

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        courses = [self._courses.get(student, {}) for student in students]
        return [
            {course_id: PackedDocument(*self._documents[key]).unpacked() for course_id, key in own.items()}
            for own in courses
        ]

    async def students_of(self, tenant: str, *, after: str, limit: int) -> list[str]:
        own = (student.student_id for student in self._courses if student.tenant == tenant)
        return sorted(student_id for student_id in own if student_id > after)[:limit]

    async def all_keys(self) -> AsyncIterator[DocumentKey]:
        for key in list(self._documents):
            yield key

    async def erase(self, student: StudentKey) -> int:
        return sum(self._remove(key) for key in list(self._courses.get(student, {}).values()))

    async def clear(self) -> None:
        self._documents.clear()
        self._cold.clear()
        self._courses.clear()
