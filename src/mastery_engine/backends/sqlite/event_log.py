"""The log of events in SQLite: a table with one partition, 0. Other processes may append to the same file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.joined_blobs import FEW, parted
from mastery_engine.backends.sqlite.many_rows import insert_rows
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.event_log import (
    MOST_IN_PAGE,
    Batch,
    Position,
    Record,
    RetainedUntil,
    StartOffsets,
    kept_values,
)

PARTITION = 0
POLL_S = 0.05
IDLE_S = 0.2

_ENDS = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'requests'"
_RECORDS = "SELECT seq, received, tenant, key, value, event_id FROM requests "
_BATCH = _RECORDS + "WHERE seq >= ? ORDER BY seq LIMIT ?"
_JOINED = (
    "SELECT json_group_array(json_array(seq, received, tenant, length(key), length(value), event_id)), "
    "CAST(group_concat(key, '') AS BLOB), CAST(group_concat(value, '') AS BLOB) FROM ("
)
_COUNT = "SELECT count(*) FROM requests WHERE seq BETWEEN ? AND ?"
_PAGE = _JOINED + _RECORDS + f"WHERE seq > ? AND seq < ? ORDER BY seq LIMIT {MOST_IN_PAGE})"
_OF_STUDENT = _JOINED + _RECORDS + "WHERE tenant = ? AND key = ? ORDER BY seq LIMIT -1)"  # a limit keeps the order
_APPEND = "INSERT INTO requests (received, tenant, key, value, event_id)"
_ERASE = "DELETE FROM requests WHERE tenant = ? AND key = ?"
_PURGE = "DELETE FROM requests WHERE received < ? AND seq < (SELECT committed FROM log)"

NO_HEADERS: dict[str, str] = {}  # shared, so never changed

_decode = msgspec.json.Decoder(list[tuple[int, Micros, str, int | None, int | None, str]]).decode


class SqliteEventLog:
    """See ``EventLog``. ``batch_size`` is the most that one batch holds."""

    def __init__(self, database: Database, *, batch_size: int = 500) -> None:
        self.database = database
        self._batch_size = batch_size
        self._appended = asyncio.Event()
        self._decoded: dict[int, Record] = {}

    async def log_id(self) -> str:
        return str(self.database.read("SELECT log_id FROM log")[0][0])

    async def append(
        self,
        events: Sequence[LearningEvent],
        traceparent: str | None = None,
        values: Sequence[bytes | None] | None = None,
    ) -> list[Position]:
        del traceparent
        if not events:
            return []
        rows = [
            (event.received, event.tenant, event.student_id.encode(), value, event.event_id)
            for event, value in zip(events, kept_values(events, values), strict=True)
        ]
        last = await self.database.write(partial(append_rows, rows=rows))
        offsets = range(last - len(rows) + 1, last + 1)
        if values is not None and len(self._decoded) < 2 * self._batch_size:
            self._decoded.update(
                (offset, Record(PARTITION, offset, *row, NO_HEADERS, "", event))
                for offset, row, event, value in zip(offsets, rows, events, values, strict=True)
                if value is not None
            )
        self.wake()
        return [Position(PARTITION, offset) for offset in offsets]

    def wake(self) -> None:
        """Have an idle reader of this process look for new records at once."""
        self._appended.set()

    async def ends(self) -> dict[int, int]:
        return {PARTITION: self._end()}

    def _end(self) -> int:
        last: int = self.database.read(_ENDS)[0][0]
        return last + 1

    async def committed(self) -> dict[int, int]:
        return {PARTITION: self.database.read("SELECT committed FROM log")[0][0]}

    async def batches(self, start_offsets: StartOffsets) -> AsyncIterator[Batch | None]:
        start, waited = (await start_offsets(await self.committed()))[PARTITION], 0.0
        while True:
            self._appended.clear()
            past = self._end()
            if start < past:
                records = await self._read(start)
                end = records[-1].offset + 1 if records else past  # nothing may be left of what was there
                yield Batch(records, {PARTITION: start}, {PARTITION: end})
                start, waited = end, 0.0
            else:
                waited += POLL_S
                if waited >= IDLE_S:
                    waited = 0.0
                    yield None
                await self._wait_for_more()

    async def _read(self, start: int) -> tuple[Record, ...]:
        """The records of a batch. A large one is read by parts, between which the loop comes to other work."""
        records = self._held_from(start)
        while len(records) < self._batch_size:
            if records:
                start = records[-1].offset + 1
            rows = self.database.read(_BATCH, (start, min(FEW, self._batch_size - len(records))))
            records += [Record(PARTITION, *row) for row in rows]
            if len(rows) < FEW or len(records) >= self._batch_size:
                break
            await asyncio.sleep(0)
        if self._decoded:  # what was read before ``append`` could note it
            end = records[-1].offset if records else start
            self._decoded = {offset: one for offset, one in self._decoded.items() if offset > end}
        return tuple(records)

    def _held_from(self, start: int) -> list[Record]:
        """The first records from ``start`` on, where this process appended them and all are still there.

        Records never change, and no other one ever has their place.
        """
        decoded, records = self._decoded, []
        first = max(start, next(iter(decoded), start))
        for offset in range(first, first + self._batch_size):
            record = decoded.get(offset)
            if record is None:
                break
            records.append(record)
        if records and self.database.read(_COUNT, (start, records[-1].offset)) != [(len(records),)]:
            return []
        return records

    async def _fetch(self, query: str, values: Sequence[Any]) -> list[Record]:
        """The records of a query that makes one row of them."""
        ((listed, joined_keys, joined_values),) = await self.database.fetch(query, values)
        rows = _decode(listed)
        keys, contents = parted(joined_keys, [row[3] for row in rows]), parted(joined_values, [row[4] for row in rows])
        return [
            Record(PARTITION, *row[:3], key, content, row[5])
            for row, key, content in zip(rows, keys, contents, strict=True)
        ]

    async def _wait_for_more(self) -> None:
        """Until this process appends; another process's events are found by looking."""
        try:
            await asyncio.wait_for(self._appended.wait(), POLL_S)
        except TimeoutError:
            return

    async def commit(self, ends: Mapping[int, int]) -> None:
        await self.database.put("UPDATE log SET committed = ?", [(ends[PARTITION],)])

    async def events_of(self, key: StudentKey, *, scan: bool = False) -> list[Record] | None:
        del scan
        return await self._fetch(_OF_STUDENT, (key.tenant, key.student_id.encode()))

    async def pages(self) -> AsyncIterator[Sequence[Record]]:
        last, end = 0, self._end()
        while records := await self._fetch(_PAGE, (last, end)):
            yield records
            last = records[-1].offset

    async def erase(self, key: StudentKey) -> int:
        self._decoded.clear()
        values = (key.tenant, key.student_id.encode())
        removed = await self.database.write(lambda connection: connection.execute(_ERASE, values).rowcount)
        await self.database.scrub()
        return removed

    async def scrub(self, positions: Sequence[Position]) -> None:
        self._decoded.clear()
        await self.database.put("DELETE FROM requests WHERE seq = ?", [(position.offset,) for position in positions])
        await self.database.scrub()

    async def retained_until(self, now: Micros) -> list[RetainedUntil]:
        del now
        return []

    async def purge(self, before: Micros) -> int:
        return await self.database.write(lambda connection: connection.execute(_PURGE, (before,)).rowcount)

    async def workers(self) -> list[str]:
        """None that this log knows of: the data folder's lock keeps others away."""
        return []


def append_rows(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    """Append records (received, tenant, key, value, event id) in a transaction; the offset of the last.

    Those before it have the offsets just below, since one transaction writes at a time.
    """
    insert_rows(connection, _APPEND, rows)
    return int(connection.execute("SELECT max(seq) FROM requests").fetchone()[0])
