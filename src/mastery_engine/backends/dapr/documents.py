"""The part of the Dapr store that keeps documents: under ETags, first write wins.

A document's value holds its version, so that any state component will do, whatever its ETags look like. Its cold ids
lie under a key of their own that the document names: they are written first, and count once the document is. Writes
carry ids, by which a batch of which some lost tells which. A removed document leaves a short-lived stone that keeps
its ETag moving: no late writer can bring it back.
"""

import secrets
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.backends.dapr.index import DaprIndex
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.ports.documents import Change, Held

STONE_S = 24 * 3_600
WRITES_KEPT = 8
MOST_KNOWN = 50_000
PAGE = 500


class Kept(msgspec.Struct, frozen=True):
    """A document as it is kept; without a body it is a stone. ``cold`` names the key of its cold ids."""

    version: int
    body: str = ""
    cold: str = ""
    writes: tuple[str, ...] = ()


class DaprDocuments:
    """See ``Store``. Knows the latest versions it read, each of which guards the write that follows."""

    def __init__(self, state: DaprState, life_s: int) -> None:
        self._state = state
        self._life_s = life_s
        self._students = DaprIndex(state, "students", life_s)
        self._known: OrderedDict[StudentKey, tuple[Kept, str]] = OrderedDict()

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        found = await self.read(keys)
        return [None if one is None or not one.body else Held(one.version, unpack(_bytes(one.body))) for one in found]

    async def read(self, keys: Sequence[StudentKey]) -> list[Kept | None]:
        """The documents as they are kept, and what a next write is guarded by noted."""
        values = await self._state.read([document(key) for key in keys])
        return [self._note(key, value) for key, value in zip(keys, values, strict=True)]

    def _note(self, key: StudentKey, value: Value | None) -> Kept | None:
        self._known.pop(key, None)
        if value is None:
            return None
        kept = msgspec.convert(value.data, Kept)
        self._known[key] = (kept, value.etag)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return kept

    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        kept = await self.read(keys)
        names = [one.cold for one in kept if one is not None and one.cold]
        found = dict(zip(names, await self._state.read(names), strict=True))
        values = [found.get(one.cold) if one is not None else None for one in kept]
        return [{} if value is None else unpack_ids(_bytes(value.data)) for value in values]

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Documents that are new are in the index before they are written."""
        if not changes:
            return []
        unknown = [change.key for change in changes if not self._is_current(change)]
        if unknown:
            await self.read(unknown)
        sound = [change for change in changes if self._version(change.key) == change.version]
        guards = {one.key: self._known.get(one.key) for one in sound}  # others read on while this one waits
        await self._students.add([_listed(one.key) for one in sound if one.version == 0 and one.student is not None])
        write_id = secrets.token_hex(4)
        cold = [
            Write(_cold(one.key, write_id), _text(pack_ids(one.cold)), None, self._life_s)
            for one in sound
            if one.student is not None and one.cold
        ]
        if cold:
            await self._state.write(cold)
        writes = {one.key: _document_write(one, guards[one.key], write_id, self._life_s) for one in sound}
        before = {key: guard[0].cold for key, guard in guards.items() if guard is not None}
        took = await self._state.write([write for write in writes.values() if write is not None])
        won = dict.fromkeys(writes, True)
        if not took:
            after = await self.read(list(writes))
            won = {
                key: writes[key] is None or (one is not None and write_id in one.writes)
                for key, one in zip(writes, after, strict=True)
            }
        for key in writes:
            self._known.pop(key, None)
        await self._sweep(sound, before, won, write_id)
        return [won.get(change.key, False) for change in changes]

    def _is_current(self, change: Change) -> bool:
        known = self._known.get(change.key)
        return known is not None and bool(known[0].body) and known[0].version == change.version

    def _version(self, key: StudentKey) -> int:
        known = self._known.get(key)
        return known[0].version if known is not None and known[0].body else 0

    async def _sweep(
        self, changes: Sequence[Change], before: Mapping[StudentKey, str], won: Mapping[StudentKey, bool], write_id: str
    ) -> None:
        """Cold ids that no document names: the ones before, or the ones of a write that lost."""
        unnamed = []
        for change in changes:
            if won[change.key] and (change.cold is not None or change.student is None):
                unnamed += [name for name in [before.get(change.key, "")] if name]
            elif not won[change.key] and change.cold:
                unnamed.append(_cold(change.key, write_id))
        await self._state.change([], unnamed)

    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        return [0 if one is None else one.version for one in await self.read(keys)]

    async def students(self) -> AsyncIterator[StudentKey]:
        """By the index; students that are in it and have no document any more leave it here."""
        async for names in self._students.pages():
            keys = [StudentKey(*msgspec.json.decode(name, type=tuple[str, str])) for name in names]
            found = await self._state.read([document(key) for key in keys])
            gone = []
            for key, value in zip(keys, found, strict=True):
                if value is None:
                    gone.append(_listed(key))
                elif msgspec.convert(value.data, Kept).body:
                    yield key
            await self._students.discard(gone)

    async def clear(self) -> None:
        """Remove all documents and cold ids."""
        self._known.clear()
        async for names in self._students.pages():
            keys = [StudentKey(*msgspec.json.decode(name, type=tuple[str, str])) for name in names]
            for start in range(0, len(keys), PAGE):
                part = keys[start : start + PAGE]
                kept = await self.read(part)
                cold = [one.cold for one in kept if one is not None and one.cold]
                await self._state.change([], [*map(document, part), *cold])
        self._known.clear()
        await self._students.clear()

    async def forget(self, key: StudentKey) -> None:
        """A document was removed."""
        await self._students.discard([_listed(key)])
        self._known.pop(key, None)


def _document_write(change: Change, known: tuple[Kept, str] | None, write_id: str, life_s: int) -> Write | None:
    """The write of a change, guarded by what was read; None where there is nothing to remove."""
    kept, etag = known if known is not None else (Kept(0), None)
    writes = (*kept.writes[1 - WRITES_KEPT :], write_id)
    if change.student is None:
        return Write(document(change.key), Kept(0, writes=writes), etag, STONE_S) if kept.body else None
    cold = kept.cold if change.cold is None else _cold(change.key, write_id) if change.cold else ""
    body = _text(pack(change.student))
    return Write(document(change.key), Kept(change.version + 1, body, cold, writes), etag, life_s)


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes(text: Any) -> bytes:
    return b64decode(text)


def _listed(key: StudentKey) -> str:
    return msgspec.json.encode(list(key)).decode()


def document(key: StudentKey) -> str:
    """The key of a student's document."""
    return f"d:{key.tenant}:{key.student_id}"


def _cold(key: StudentKey, write_id: str) -> str:
    return f"c:{key.tenant}:{key.student_id}:{write_id}"
