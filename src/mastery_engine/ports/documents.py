"""Where students' documents live, one for each course of a student.

A document is read with its version and written with one compare-and-set: whoever lost the race reads and folds again.
Everything here takes batches: one student is a batch of one.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.student import DocumentKey, Student, StudentKey, pack, pack_ids, unpack
from mastery_engine.tasks import promptly

LOAD_S = 2.0


class StoredDocument(msgspec.Struct, frozen=True, gc=False):
    """A document as the store has it; ``version`` counts its writes from 1."""

    version: int
    student: Student


class PackedDocument(msgspec.Struct, frozen=True, gc=False):
    """The same as the store keeps it: unpacked, a document takes several times the memory."""

    version: int
    packed: bytes

    def unpacked(self) -> StoredDocument:
        """Raises NewerFormat."""
        return StoredDocument(self.version, unpack(self.packed))


# The documents of one student, by the ids of the courses.
Courses: TypeAlias = Mapping[str, StoredDocument]


class DocumentChange(msgspec.Struct, frozen=True, gc=False):
    """A document to be written over ``version`` (0: there is none yet), with its ``cold`` ids where they are given.

    ``student`` may be packed already. Without one the document and its cold ids are removed. ``cold`` without any ids
    removes those that are there. Without ``has_cold`` it is known that there are none, and none are given.
    """

    key: DocumentKey
    version: int
    student: Student | bytes | None
    cold: IdsByDay | None = None
    has_cold: bool = True

    def packed(self) -> bytes | None:
        """What the store is to keep; None where it is to keep nothing."""
        return pack(self.student) if isinstance(self.student, Student) else self.student

    def packed_cold(self) -> bytes | None:
        """The cold ids that the store is to keep: nothing where none are left, None where they stay as they are."""
        if self.cold is None:
            return None
        return pack_ids(self.cold) if self.cold else b""


class DocumentStore(Protocol):
    """Documents, with their cold ids beside them. All calls raise Unavailable when the store is away."""

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        """The documents, in the order of the keys; None where there is none."""
        ...

    async def load_packed(self, keys: Sequence[DocumentKey]) -> list[PackedDocument | None]:
        """The same, packed."""
        ...

    async def load_cold(self, keys: Sequence[DocumentKey]) -> list[IdsByDay]:
        """The cold ids beside the documents; empty where there are none."""
        ...

    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        """Write each change whose version is still the store's; False for each that lost. Keys do not repeat."""
        ...

    async def versions(self, keys: Sequence[DocumentKey]) -> list[int]:
        """The documents' versions, in the order of the keys; 0 where there is none."""
        ...

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        """All documents of each student by course, in the order of the students.

        Where a student has no course but ``DEFAULT_COURSE``, it takes as many round trips as one ``load``.
        """
        ...

    async def students_of(self, tenant: str, *, after: str, limit: int) -> list[str]:
        """The first ``limit`` students of a tenant by id, after that of ``after``, who have a document.

        It may be some seconds old where the store has no order of its own: then all are gone through now and then.
        """
        ...

    def all_keys(self) -> AsyncIterator[DocumentKey]:
        """The key of every document, in no order; one may come twice."""
        ...

    async def erase(self, student: StudentKey) -> int:
        """Remove the documents and cold ids of a student in all courses; how many there were.

        The bytes may be in the file still: ``EventLog.erase`` comes last, and takes care of them.
        """
        ...

    async def clear(self) -> None:
        """Remove all documents and cold ids. The checkpoints are cleared first: a replay then fills the store again."""
        ...


def unpacked(documents: Iterable[PackedDocument | None]) -> list[StoredDocument | None]:
    """Documents that were loaded packed."""
    return [None if one is None else one.unpacked() for one in documents]


class DocumentReader(Protocol):
    """Documents for queries alone: they may be up to a second old. A fold loads from the store."""

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        """As the store's. Raises Unavailable, within two seconds where the store is a network away."""
        ...

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        """As the store's. Raises Unavailable, as ``load``."""
        ...

    def forget(self, keys: Iterable[DocumentKey]) -> None:
        """These documents have changed."""
        ...

    def forget_students(self, students: Iterable[StudentKey]) -> None:
        """All documents of these students are gone."""
        ...

    async def close(self) -> None: ...


class DirectReader:
    """A ``DocumentReader`` that keeps nothing: for stores on this machine, where a read costs microseconds."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        return await self._documents.load(keys)

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        return await self._documents.of_students(students)

    def forget(self, keys: Iterable[DocumentKey]) -> None:
        """There is nothing to forget."""

    def forget_students(self, students: Iterable[StudentKey]) -> None:
        """Nor is there here."""

    async def close(self) -> None:
        """The store is closed by its owner."""


class PromptReader(DirectReader):
    """The same for a store a network away, which may hang: a query is answered within two seconds all the same."""

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        async with promptly("store", LOAD_S):
            return await super().load(keys)

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        async with promptly("store", LOAD_S):
            return await super().of_students(students)
