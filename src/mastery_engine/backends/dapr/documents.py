"""Documents in Dapr's state: under ETags, first write wins.

A document's value holds its version, so that any state component will do, whatever its ETags look like. Its cold ids
lie under a key of their own that the document names: they are written first, and count once the document is. Writes
carry ids, by which a batch of which some lost tells which. A removed document leaves a short-lived tombstone that keeps
its ETag moving: no late writer can bring it back.
"""

import secrets
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec
from cachetools import LRUCache

from mastery_engine.backends.dapr import keys as names
from mastery_engine.backends.dapr.client import DaprState, Fold, Replacement, Value, Write
from mastery_engine.backends.dapr.index import SHARDS, TOMBSTONE_S, DaprIndex, changed, listed, words_from
from mastery_engine.backends.dapr.witness import Witness
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.student import DocumentKey, StudentKey, pack_ids, unpack_ids
from mastery_engine.ports.documents import Courses, DocumentChange, PackedDocument, StoredDocument, unpacked

WRITES_KEPT = 8
MOST_KNOWN = 50_000
PAGE = 500


class DocumentRecord(msgspec.Struct, frozen=True):
    """A document as the state has it; without a body it is a tombstone.

    ``cold`` names the key of its cold ids, ``writes`` are the ids of its last writes.
    """

    version: int
    body: str = ""
    cold: str = ""
    writes: tuple[str, ...] = ()


TOMBSTONE = DocumentRecord(0)


class DaprDocuments:
    """See ``DocumentStore``. Knows the latest versions it read, each of which guards the write that follows."""

    def __init__(self, state: DaprState, witness: Witness, *, life_s: int) -> None:
        """``life_s`` is the life of a document after its last write."""
        self._state = state
        self._witness = witness
        self._life_s = life_s
        self._listed = DaprIndex(state, "students", shards=SHARDS)
        self._known: LRUCache[DocumentKey, tuple[DocumentRecord, str]] = LRUCache(MOST_KNOWN)

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        return unpacked(await self.load_packed(keys))

    async def load_packed(self, keys: Sequence[DocumentKey]) -> list[PackedDocument | None]:
        return [_packed(record) if record is not None and record.body else None for record in await self._read(keys)]

    async def _read(self, keys: Sequence[DocumentKey]) -> list[DocumentRecord | None]:
        """The records; what a next write is guarded by is noted."""
        values = await self._state.read([names.document(key) for key in keys])
        return [self._note(key, value) for key, value in zip(keys, values, strict=True)]

    def _note(self, key: DocumentKey, value: Value | None) -> DocumentRecord | None:
        if value is None:
            self._known.pop(key, None)
            return None
        record = _record(value)
        self._known[key] = (record, value.etag)
        return record

    async def load_cold(self, keys: Sequence[DocumentKey]) -> list[IdsByDay]:
        records = await self._read(keys)
        cold_keys = [record.cold for record in records if record is not None and record.cold]
        values = dict(zip(cold_keys, await self._state.read(cold_keys), strict=True))
        cold = [values.get(record.cold) if record is not None else None for record in records]
        return [{} if value is None else unpack_ids(_bytes(value.data)) for value in cold]

    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        if not changes:
            return []
        won = await self._commit(changes)
        await self._witness.write()
        return won

    async def _commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        """What is new is in the indexes before it is written."""
        unknown = [change.key for change in changes if not self._is_current(change)]
        if unknown:
            await self._read(unknown)
        sound = [change for change in changes if self._version(change.key) == change.version]
        guards = {change.key: self._known.get(change.key) for change in sound}  # others read on while this one waits
        await self._list([change.key for change in sound if change.version == 0 and change.student is not None])
        write_id = secrets.token_hex(4)
        cold = [
            Write(names.cold(change.key, write_id), _text(pack_ids(change.cold)), None, self._life_s)
            for change in sound
            if change.student is not None and change.cold
        ]
        if cold:
            await self._state.write(cold)
        writes = {change.key: _write(change, guards[change.key], write_id, self._life_s) for change in sound}
        before = {key: guard[0].cold for key, guard in guards.items() if guard is not None}
        all_won = await self._state.write([write for write in writes.values() if write is not None])
        won = dict.fromkeys(writes, True)
        if not all_won:
            after = await self._read(list(writes))
            won = {
                key: writes[key] is None or (record is not None and write_id in record.writes)
                for key, record in zip(writes, after, strict=True)
            }
        for key in writes:
            self._known.pop(key, None)
        await self._sweep(sound, before, won, write_id)
        return [won.get(change.key, False) for change in changes]

    async def _list(self, keys: Sequence[DocumentKey]) -> None:
        await self._listed.add(map(_name, keys))
        await self._fold_courses(keys, lambda course_ids: changed(add=course_ids))

    async def _fold_courses(self, keys: Sequence[DocumentKey], change: Callable[[frozenset[str]], Fold]) -> None:
        """Change what lists the courses that are not the default one, of the students of these keys."""
        others: dict[StudentKey, set[str]] = defaultdict(set)
        for key in keys:
            if key.course_id != DEFAULT_COURSE:
                others[key.student].add(key.course_id)
        if others:
            await self._state.fold(
                {names.courses(student): change(frozenset(course_ids)) for student, course_ids in others.items()}
            )

    def _is_current(self, change: DocumentChange) -> bool:
        known = self._known.get(change.key)
        return known is not None and bool(known[0].body) and known[0].version == change.version

    def _version(self, key: DocumentKey) -> int:
        known = self._known.get(key)
        return known[0].version if known is not None and known[0].body else 0

    async def _sweep(
        self,
        changes: Sequence[DocumentChange],
        before: Mapping[DocumentKey, str],
        won: Mapping[DocumentKey, bool],
        write_id: str,
    ) -> None:
        """Remove cold ids that no document names: the ones before, or the ones of a write that lost."""
        unnamed = []
        for change in changes:
            if won[change.key] and (change.cold is not None or change.student is None):
                unnamed += [cold for cold in [before.get(change.key, "")] if cold]
            elif not won[change.key] and change.cold:
                unnamed.append(names.cold(change.key, write_id))
        await self._state.change([], unnamed)

    async def versions(self, keys: Sequence[DocumentKey]) -> list[int]:
        return [0 if record is None else record.version for record in await self._read(keys)]

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        """In one call, and a second one for the documents in courses that are not the default one."""
        defaults = [DocumentKey(*student) for student in students]
        values = await self._state.read(
            [name for key in defaults for name in (names.document(key), names.courses(key.student))]
        )
        others = [
            DocumentKey(*student, course_id)
            for student, listing in zip(students, values[1::2], strict=True)
            for course_id in _course_ids(listing)
        ]
        records = [self._note(key, value) for key, value in zip(defaults, values[::2], strict=True)]
        records += await self._read(others)
        found: dict[StudentKey, dict[str, StoredDocument]] = {student: {} for student in students}
        for key, record in zip([*defaults, *others], records, strict=True):
            if record is not None and record.body:
                found[key.student][key.course_id] = _packed(record).unpacked()
        return [found[student] for student in students]

    async def students_of(self, tenant: str, *, after: str, limit: int) -> list[str]:
        """By the index, which may name some for a day who have no document any more."""
        keys = [DocumentKey(*words_from(name)) for name in await self._listed.members()]
        own = {key.student_id for key in keys if key.tenant == tenant and key.student_id > after}
        return sorted(own)[:limit]

    async def all_keys(self) -> AsyncIterator[DocumentKey]:
        """By the index, which is written anew; keys that are in it and have no document any more leave it here."""
        async for page in self._pages():
            values = await self._state.read([names.document(key) for key in page])
            for key, value in zip(page, values, strict=True):
                if value is not None and _record(value).body:
                    yield key
            await self._unlist([key for key, value in zip(page, values, strict=True) if value is None])
        await self._listed.renew()

    async def _pages(self) -> AsyncIterator[list[DocumentKey]]:
        async for page in self._listed.pages():
            keys = [DocumentKey(*words_from(name)) for name in page]
            for start in range(0, len(keys), PAGE):
                yield keys[start : start + PAGE]

    async def _unlist(self, keys: Sequence[DocumentKey]) -> None:
        """Take keys without a document out of the indexes, unless one is just being written.

        Who writes a first document adds its key before. So they leave, and then a tombstone goes where the document
        would be: it loses against one that is there, and whoever was about to write loses against it, and begins anew.
        """
        if not keys:
            return
        await self._unname(keys)
        tombstones = [Write(names.document(key), TOMBSTONE, None, TOMBSTONE_S) for key in keys]
        if not await self._state.write(tombstones):
            values = await self._state.read([names.document(key) for key in keys])
            await self._list([key for key, value in zip(keys, values, strict=True) if value is not None])

    async def _unname(self, keys: Sequence[DocumentKey]) -> None:
        await self._listed.discard(map(_name, keys))
        await self._fold_courses(keys, lambda course_ids: changed(discard=course_ids))

    async def erase(self, student: StudentKey) -> int:
        """No tombstone is left, which would have the student's id: who writes after an erasure removes that again."""
        (listing,) = await self._state.read([names.courses(student)])
        keys = [DocumentKey(*student, course_id) for course_id in (DEFAULT_COURSE, *_course_ids(listing))]
        records = [record for record in await self._read(keys) if record is not None]
        cold = [record.cold for record in records if record.cold]
        await self._state.change([], [*map(names.document, keys), names.courses(student), *cold])
        await self._listed.discard(map(_name, keys))
        for key in keys:
            self._known.pop(key, None)
        return sum(bool(record.body) for record in records) + len(cold)

    async def clear(self) -> None:
        """Tombstones stay for a day, and so do their students in the index: late writers lose, and begin anew."""
        async for page in self._pages():
            cold: set[str] = set()

            def cleared(stored: Any, cold: set[str] = cold) -> Replacement | None:
                record = TOMBSTONE if stored is None else msgspec.convert(stored, DocumentRecord)
                cold |= {record.cold} if record.cold else set()
                return Replacement(TOMBSTONE, TOMBSTONE_S) if record.body else None

            await self._state.fold(dict.fromkeys(map(names.document, page), cleared))
            await self._state.change([], sorted(cold))
        self._known.clear()


def _name(key: DocumentKey) -> str:
    """The key in the index; in the default course as an engine that knew no courses wrote it."""
    return listed(*key.student) if key.course_id == DEFAULT_COURSE else listed(*key)


def _course_ids(listing: Value | None) -> Sequence[str]:
    return () if listing is None else listing.data


def _record(value: Value) -> DocumentRecord:
    return msgspec.convert(value.data, DocumentRecord)


def _packed(record: DocumentRecord) -> PackedDocument:
    return PackedDocument(record.version, _bytes(record.body))


def _write(
    change: DocumentChange, known: tuple[DocumentRecord, str] | None, write_id: str, life_s: int
) -> Write | None:
    """The write of a change, guarded by what was read; None where there is nothing to remove."""
    before, etag = known if known is not None else (TOMBSTONE, None)
    writes = (*before.writes[1 - WRITES_KEPT :], write_id)
    packed = change.packed()
    if packed is None:
        removed = DocumentRecord(0, writes=writes)
        return Write(names.document(change.key), removed, etag, TOMBSTONE_S) if before.body else None
    cold = before.cold if change.cold is None else names.cold(change.key, write_id) if change.cold else ""
    record = DocumentRecord(change.version + 1, _text(packed), cold, writes)
    return Write(names.document(change.key), record, etag, life_s)


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes(text: Any) -> bytes:
    return b64decode(text)
