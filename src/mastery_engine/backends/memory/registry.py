"""Small records in memory."""

from collections.abc import Sequence

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.registry import Entry, RegistryWrite, Table


class _HeldRecord(msgspec.Struct, frozen=True):
    entry: Entry
    owner: StudentKey | None
    expires: Micros | None


class MemoryRegistry:
    """See ``RegistryStore``."""

    def __init__(self) -> None:
        self._held: dict[tuple[Table, str], _HeldRecord] = {}
        self._writes = 0

    async def find(self, table: Table, keys: Sequence[str], now: Micros) -> list[Entry | None]:
        return [self._find(table, key, now) for key in keys]

    async def write(self, table: Table, writes: Sequence[RegistryWrite], now: Micros) -> list[bool]:
        return [self._write(table, write, now) for write in writes]

    async def page(self, table: Table, prefix: str, after: str, limit: int, now: Micros) -> list[Entry]:
        keys = sorted(key for of, key in self._held if of == table and key.startswith(prefix) and key > after)
        found = (self._find(table, key, now) for key in keys)
        return [entry for entry in found if entry is not None][:limit]

    async def owned(self, key: StudentKey, now: Micros) -> list[tuple[Table, Entry]]:
        mine = sorted(name for name, held in self._held.items() if held.owner == key)
        found = [(table, self._find(table, name, now)) for table, name in mine]
        return [(table, entry) for table, entry in found if entry is not None]

    async def erase(self, key: StudentKey) -> int:
        return self._drop([name for name, held in self._held.items() if held.owner == key])

    async def purge(self, now: Micros) -> int:
        return self._drop([name for name, held in self._held.items() if not _is_there(held, now)])

    def _find(self, table: Table, key: str, now: Micros) -> Entry | None:
        held = self._held.get((table, key))
        return held.entry if held is not None and _is_there(held, now) else None

    def _write(self, table: Table, write: RegistryWrite, now: Micros) -> bool:
        before = self._find(table, write.key, now)
        if write.expected is not None and write.expected != (0 if before is None else before.version):
            return False
        self._writes += 1
        if write.value is None:
            self._held.pop((table, write.key), None)
        else:
            entry = Entry(write.key, write.value, self._writes)
            self._held[table, write.key] = _HeldRecord(entry, write.owner, write.expires)
        return True

    def _drop(self, names: Sequence[tuple[Table, str]]) -> int:
        for name in names:
            del self._held[name]
        return len(names)


def _is_there(held: _HeldRecord, now: Micros) -> bool:
    return held.expires is None or now < held.expires
