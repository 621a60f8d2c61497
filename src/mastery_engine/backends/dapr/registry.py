"""Small records in Dapr's state: a value for each, which there are in a table, and which are about a student.

A record's version is the moment of its write, and more than the one before: one that comes back after it was removed
has another one, too.
"""

import asyncio
import secrets
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Replacement, Value
from mastery_engine.backends.dapr.index import TOMBSTONE_S, DaprIndex, listed, words_from
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.registry import Entry, RegistryWrite, Table

AT_ONCE = 32
SHARDS = 16  # of each table
PAGE = 200
TABLES: tuple[Table, ...] = get_args(Table)


class _Record(msgspec.Struct, frozen=True):
    """A record; the value is in Base64, None where it was removed. ``write`` tells one write of it from another."""

    key: str
    value: str | None
    version: int
    write: str
    owner: StudentKey | None = None
    expires: Micros | None = None

    def is_there(self, now: Micros) -> bool:
        return self.value is not None and (self.expires is None or now < self.expires)


class DaprRegistry:
    """See ``RegistryStore``."""

    def __init__(self, state: DaprState) -> None:
        self._state = state

    async def find(self, table: Table, keys: Sequence[str], now: Micros) -> list[Entry | None]:
        return [_entry(record, now) for record in await self._read(table, keys)]

    async def write(self, table: Table, writes: Sequence[RegistryWrite], now: Micros) -> list[bool]:
        """A key is listed before its record is written, and again after: a purge may have taken it out meanwhile."""
        await self._list(table, writes)
        outcomes: list[bool] = []
        for start in range(0, len(writes), AT_ONCE):
            page = writes[start : start + AT_ONCE]
            outcomes += await asyncio.gather(*[self._write(table, write, now) for write in page])
        await self._list(table, [write for write, won in zip(writes, outcomes, strict=True) if won])
        return outcomes

    async def _list(self, table: Table, writes: Sequence[RegistryWrite]) -> None:
        put = [write for write in writes if write.value is not None]
        await self._listed(table).add([_name(write.key, write.owner) for write in put])
        by_owner: dict[StudentKey, list[str]] = defaultdict(list)
        for write in put:
            if write.owner is not None:
                by_owner[write.owner].append(listed(table, write.key))
        for owner, names in by_owner.items():
            await self._owned(owner).add(names)

    async def _write(self, table: Table, write: RegistryWrite, now: Micros) -> bool:
        """By itself, so that it is not asked again once it was written."""
        own = secrets.token_hex(8)
        is_written = False

        def fold(stored: Any) -> Replacement | None:
            nonlocal is_written
            before = _record_in(stored)
            if before is not None and before.write == own:
                return None
            version = before.version if before is not None and before.is_there(now) else 0
            is_written = write.expected in (None, version)
            if not is_written or (write.value is None and before is None):
                return None
            following = max(now, 1, 0 if before is None else before.version + 1)
            value = None if write.value is None else b64encode(write.value).decode()
            record = _Record(write.key, value, following, own, write.owner, write.expires)
            return Replacement(record, _life_s(record, now))

        await self._state.fold({keys.registry(table, write.key): fold})
        return is_written

    async def page(self, table: Table, prefix: str, after: str, limit: int, now: Micros) -> list[Entry]:
        names = {words_from(name)[0] for name in await self._listed(table).members()}
        wanted = sorted(name for name in names if name.startswith(prefix) and name > after)
        found: list[Entry] = []
        for start in range(0, len(wanted), PAGE):
            page = await self.find(table, wanted[start : start + PAGE], now)
            found += [entry for entry in page if entry is not None]
            if len(found) >= limit:
                break
        return found[:limit]

    async def owned(self, key: StudentKey, now: Micros) -> list[tuple[Table, Entry]]:
        found = [(table, _entry(record, now)) for table, record in await self._records_of(key)]
        return [(table, entry) for table, entry in found if entry is not None]

    async def erase(self, key: StudentKey) -> int:
        """The records before the list of them, for a crash between."""
        removed = 0

        def fold(stored: Any) -> Replacement | None:
            nonlocal removed
            record = _record_in(stored)
            if record is None or record.value is None or record.owner != key:
                return None
            removed += 1
            gone = _Record(record.key, None, record.version + 1, secrets.token_hex(8))
            return Replacement(gone, TOMBSTONE_S)

        held = await self._records_of(key)
        for table, record in held:
            await self._state.fold({keys.registry(table, record.key): fold})
        names = await self._owned(key).members()
        for table, record in held:
            await self._listed(table).discard([_name(record.key, key)])
        await self._owned(key).discard(names)
        return removed

    async def purge(self, now: Micros) -> int:
        """Records expire by themselves; this takes out of the lists what is gone."""
        for table in TABLES:
            async for names in self._listed(table).pages():
                gone = sorted(set(names) - set(await self._leading(table, names, now)))
                for name in gone:
                    key, *owner = words_from(name)
                    if owner:
                        mine = self._owned(StudentKey(*owner))
                        await mine.discard_gone([listed(table, key)], partial(self._leading_owned, now=now))
                await self._listed(table).discard_gone(gone, partial(self._leading, table, now=now))
        return 0

    async def _leading(self, table: Table, names: Sequence[str], now: Micros) -> list[str]:
        """Which names in the list of a table lead to a record of that owner."""
        records = await self._read(table, [words_from(name)[0] for name in names])
        return [
            name
            for name, record in zip(names, records, strict=True)
            if record is not None and record.is_there(now) and _name(record.key, record.owner) == name
        ]

    async def _leading_owned(self, names: Sequence[str], now: Micros) -> list[str]:
        """Which names in the list of a student lead to a record that is there, whoever it is about now."""
        found = []
        for name in names:
            table, key = words_from(name)
            (record,) = await self._read(msgspec.convert(table, Table), [key])
            if record is not None and record.is_there(now):
                found.append(name)
        return found

    async def _records_of(self, key: StudentKey) -> list[tuple[Table, _Record]]:
        by_table: dict[str, list[str]] = defaultdict(list)
        for name in await self._owned(key).members():
            table, named = words_from(name)
            by_table[table].append(named)
        found: list[tuple[Table, _Record]] = []
        for of in sorted(by_table):
            table_of = msgspec.convert(of, Table)
            records = await self._read(table_of, sorted(by_table[of]))
            found += [(table_of, record) for record in records if record is not None and record.owner == key]
        return found

    async def _read(self, table: Table, names: Sequence[str]) -> list[_Record | None]:
        return [_record(value) for value in await self._state.read([keys.registry(table, name) for name in names])]

    def _listed(self, table: Table) -> DaprIndex:
        return DaprIndex(self._state, f"registry:{table}", shards=SHARDS)

    def _owned(self, key: StudentKey) -> DaprIndex:
        return DaprIndex(self._state, f"owned:{key.tenant}:{key.student_id}")


def _name(key: str, owner: StudentKey | None) -> str:
    """A record in the list of its table; with its owner, whose list names it too."""
    return listed(key, *(owner or ()))


def _record(value: Value | None) -> _Record | None:
    return None if value is None else _record_in(value.data)


def _record_in(stored: Any) -> _Record | None:
    return None if stored is None else msgspec.convert(stored, _Record)


def _entry(record: _Record | None, now: Micros) -> Entry | None:
    if record is None or record.value is None or not record.is_there(now):
        return None
    return Entry(record.key, b64decode(record.value), record.version)


def _life_s(record: _Record, now: Micros) -> int | None:
    """A removed one is there for a day, so that its version goes on."""
    if record.value is None:
        return TOMBSTONE_S
    return None if record.expires is None else max(1, -(-(record.expires - now) // SECOND))
