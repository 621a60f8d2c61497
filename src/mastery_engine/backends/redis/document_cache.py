"""Documents cached for queries, in front of a store that is a network away.

A document is answered with only while the server has vouched for it within the last second: it tells which documents
changed, and answers a ping after all that it told before. Without such word a document serves for less than a second.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec
from cachetools import FIFOCache

from mastery_engine.backends.redis.batch_loader import DocumentLoader
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import Courses, StoredDocument
from mastery_engine.tasks import ended

logger = logging.getLogger(__name__)

LIFE_S = 30.0
FRESH_S = 0.8
AGAIN_S = 1.0
MOST_DOCUMENTS = 10_000
NEVER = float("-inf")


class Invalidation(msgspec.Struct, frozen=True):
    """What a server told: the documents that changed (None: any may have), or that it has told all up to a moment.

    ``up_to`` is in seconds, as is all time here, on the same clock as the cache's.
    """

    changed: tuple[DocumentKey, ...] | None = ()
    up_to: float = NEVER


# Listens to the server until it is away; raises Unavailable then. Its first word is that any document may have changed.
Watch: TypeAlias = Callable[[], AsyncIterator[Invalidation]]


class _CachedDocument(msgspec.Struct, frozen=True, gc=False):
    document: StoredDocument
    at: float


class _CachedCourses(msgspec.Struct, frozen=True, gc=False):
    """The courses in which a student has a document, one at least."""

    keys: tuple[DocumentKey, ...]
    at: float


class DocumentCache:
    """See ``DocumentReader``. ``now`` is a clock that never goes back, in seconds; the oldest document goes first."""

    def __init__(
        self,
        documents: DocumentLoader,
        *,
        now: Callable[[], float],
        watch: Watch | None = None,
        most: int = MOST_DOCUMENTS,
    ) -> None:
        self._documents = documents
        self._now = now
        self._watch = watch
        self._cached: FIFOCache[DocumentKey, _CachedDocument] = FIFOCache(most)
        self._courses: FIFOCache[tuple[str, str], _CachedCourses] = FIFOCache(most)
        self._loading: dict[tuple[str, ...], object] = {}
        self._vouched = NEVER
        self._listener: asyncio.Task[None] | None = None

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        self._hear()
        now = self._now()
        documents: dict[DocumentKey, StoredDocument | None] = {key: self._fresh(key, now) for key in keys}
        missing = [key for key, document in documents.items() if document is None]
        if missing:
            documents |= zip(missing, await self._load(missing, now), strict=True)
        return [documents[key] for key in keys]

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        self._hear()
        now = self._now()
        found: dict[StudentKey, Courses | None] = {student: self._fresh_courses(student, now) for student in students}
        missing = [student for student, courses in found.items() if courses is None]
        if missing:
            found |= zip(missing, await self._load_courses(missing, now), strict=True)
        return [found[student] or {} for student in students]

    def _hear(self) -> None:
        if self._listener is None and self._watch is not None:
            self._listener = asyncio.create_task(self._listen(self._watch))

    def _is_fresh(self, at: float, now: float) -> bool:
        return now < at + LIFE_S and now < max(at, self._vouched) + FRESH_S

    def _fresh(self, key: DocumentKey, now: float) -> StoredDocument | None:
        cached = self._cached.get(key)
        return None if cached is None or not self._is_fresh(cached.at, now) else cached.document

    def _fresh_courses(self, student: StudentKey, now: float) -> Courses | None:
        """The student's documents if all are known."""
        cached = self._courses.get(student)
        if cached is None or not self._is_fresh(cached.at, now):
            return None
        documents: dict[str, StoredDocument] = {}
        for key in cached.keys:
            document = self._fresh(key, now)
            if document is None:
                return None
            documents[key.course_id] = document
        return documents

    async def _load(self, keys: Sequence[DocumentKey], now: float) -> list[StoredDocument | None]:
        """From the store; what changes while it is on its way is not cached."""
        token = object()
        self._loading |= dict.fromkeys(keys, token)
        try:
            loaded = await self._documents.load(keys)
            for key, document in zip(keys, loaded, strict=True):
                if document is not None and self._loading.get(key) is token:
                    self._keep(key, document, now)
            return loaded
        finally:
            for key in keys:
                if self._loading.get(key) is token:
                    del self._loading[key]

    async def _load_courses(self, students: Sequence[StudentKey], now: float) -> list[Courses]:
        """From the store, as ``_load``."""
        token = object()
        self._loading |= dict.fromkeys(students, token)
        try:
            loaded = await self._documents.of_students(students)
            for student, courses in zip(students, loaded, strict=True):
                if courses and self._loading.get(student) is token:
                    keys = [DocumentKey(*student, course_id) for course_id in courses]
                    for key in keys:
                        self._keep(key, courses[key.course_id], now)
                    self._courses[student] = _CachedCourses(tuple(keys), now)
            return loaded
        finally:
            for student in students:
                if self._loading.get(student) is token:
                    del self._loading[student]

    def _keep(self, key: DocumentKey, document: StoredDocument, now: float) -> None:
        """Unless what was asked for later is here: one document and all of a student may be under way at once."""
        cached = self._cached.get(key)
        if cached is None or cached.at <= now:
            self._cached[key] = _CachedDocument(document, now)

    def forget(self, keys: Iterable[DocumentKey]) -> None:
        if not self._cached and not self._courses and not self._loading:  # as in a worker, which answers no queries
            return
        for key in keys:
            student = key[:2]
            self._cached.pop(key, None)
            self._courses.pop(student, None)
            self._loading.pop(key, None)
            self._loading.pop(student, None)

    def forget_students(self, students: Iterable[StudentKey]) -> None:
        gone = frozenset(students)
        self.forget([key for key in self._cached if key[:2] in gone])
        for student in gone:
            self._courses.pop(student, None)
        for key in [key for key in self._loading if key[:2] in gone]:
            del self._loading[key]

    async def _listen(self, watch: Watch) -> None:
        was_told = False
        while True:
            try:
                async for invalidation in watch():
                    was_told = False
                    self._apply(invalidation)
            except Unavailable as error:
                if not was_told:
                    logger.info("documents are cached for less than a second: %s", error.message)
                was_told = True
            await asyncio.sleep(AGAIN_S)

    def _apply(self, invalidation: Invalidation) -> None:
        if invalidation.changed is None:
            self._cached.clear()
            self._courses.clear()
            self._loading.clear()
        else:
            self.forget(invalidation.changed)
        self._vouched = max(self._vouched, invalidation.up_to)

    async def close(self) -> None:
        if self._listener is not None:
            await ended(self._listener)
