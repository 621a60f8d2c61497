"""Deliveries in SQLite, and a row for each lane in which any waits: which is its first, and when that is free."""

import sqlite3
from collections.abc import Sequence
from typing import get_args

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.deliveries import Delivery, DeliveryState, pack_delivery, place, unpack_delivery

PAGE = 1_000  # rows that one job removes, so that others need not wait for all

_PUT = (
    "INSERT OR IGNORE INTO deliveries (sink, delivery_id, lane, tenant, student_id, queued, state, ended, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FIND = "SELECT body FROM deliveries WHERE sink = ? AND delivery_id = ?"
_CHANGE = "UPDATE deliveries SET state = ?, ended = ?, body = ? WHERE sink = ? AND delivery_id = ?"
_REMOVE = "DELETE FROM deliveries WHERE sink = ? AND delivery_id = ?"
_FIRST = "SELECT turn, body FROM deliveries WHERE sink = ? AND lane = ? AND state = 'waiting' ORDER BY turn LIMIT 1"
_SET_LANE = "INSERT OR REPLACE INTO delivery_lanes VALUES (?, ?, ?, ?)"
_END_LANE = "DELETE FROM delivery_lanes WHERE sink = ? AND lane = ?"
_FREE = (
    "SELECT body FROM delivery_lanes JOIN deliveries USING (turn) WHERE delivery_lanes.sink = ? AND free_from <= ? "
    "ORDER BY free_from, delivery_lanes.lane LIMIT ?"
)
_NEXT = "SELECT min(free_from) FROM delivery_lanes WHERE sink = ?"
_LISTED = (
    "SELECT body FROM deliveries WHERE sink = ? AND state = ? AND (queued, delivery_id) < (?, ?) "
    "ORDER BY queued DESC, delivery_id DESC LIMIT ?"
)
_OF_STUDENT = "SELECT body FROM deliveries WHERE tenant = ? AND student_id = ? ORDER BY queued, delivery_id, sink"
_SOME_OF_STUDENT = "SELECT sink, delivery_id, lane FROM deliveries WHERE tenant = ? AND student_id = ? LIMIT ?"
_SOME_OF_SINK = "SELECT sink, delivery_id, lane FROM deliveries WHERE sink = ? LIMIT ?"
_SOME_ENDED = "SELECT sink, delivery_id, lane FROM deliveries WHERE ended < ? LIMIT ?"
LATEST = 2**63 - 1


class SqliteDeliveries:
    """See ``DeliveryQueue``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enqueue(self, deliveries: Sequence[Delivery]) -> int:
        rows = [_row(one) for one in deliveries]
        return await self._database.write(lambda connection: _enqueue(connection, rows))

    async def lease(self, sink: str, now: Micros, until: Micros, limit: int) -> list[Delivery]:
        next_due = await self.next_due(sink)
        if next_due is None or next_due > now:
            return []  # without a write, which nearly every look at a sink would be
        return await self._database.write(lambda connection: _lease(connection, sink, now, until, limit))

    async def settle(self, deliveries: Sequence[Delivery]) -> None:
        await self._database.write(lambda connection: _settle(connection, deliveries))

    async def next_due(self, sink: str) -> Micros | None:
        ((free_from,),) = self._database.read(_NEXT, (sink,))
        return None if free_from is None else int(free_from)

    async def find(self, sink: str, delivery_id: str) -> Delivery | None:
        rows = self._database.read(_FIND, (sink, delivery_id))
        return unpack_delivery(rows[0][0]) if rows else None

    async def page(self, sink: str, state: DeliveryState | None, before: str, limit: int) -> list[Delivery]:
        queued, _, delivery_id = before.partition(" ")
        after = (int(queued), delivery_id) if before else (LATEST, "")
        found: list[Delivery] = []
        for listed in get_args(DeliveryState) if state is None else (state,):
            rows = await self._database.fetch(_LISTED, (sink, listed, *after, limit))
            found += [unpack_delivery(body) for (body,) in rows]
        return sorted(found, key=place, reverse=True)[:limit]

    async def again(self, sink: str, delivery_id: str, now: Micros) -> bool:
        return await self._database.write(lambda connection: _again(connection, sink, delivery_id, now))

    async def remove_sink(self, sink: str) -> int:
        return await self._remove(_SOME_OF_SINK, sink)

    async def of_student(self, key: StudentKey) -> list[Delivery]:
        return [unpack_delivery(body) for (body,) in await self._database.fetch(_OF_STUDENT, key)]

    async def erase(self, key: StudentKey) -> int:
        return await self._remove(_SOME_OF_STUDENT, *key)

    async def purge(self, before: Micros) -> int:
        return await self._remove(_SOME_ENDED, before)

    async def _remove(self, which: str, *values: str | Micros) -> int:
        removed = 0
        while True:
            page = await self._database.write(lambda connection: _remove_some(connection, which, values))
            removed += page
            if page < PAGE:
                return removed


def _row(one: Delivery) -> tuple[str | bytes | int | None, ...]:
    body = pack_delivery(one)
    return (one.sink, one.delivery_id, one.lane, *one.student, one.queued, one.state, one.ended, body)


def _enqueue(connection: sqlite3.Connection, rows: Sequence[Sequence[str | bytes | int | None]]) -> int:
    new = 0
    for row in rows:
        if connection.execute(_PUT, row).rowcount == 1:
            new += 1
            _set_lane(connection, str(row[0]), str(row[2]))
    return new


def _lease(connection: sqlite3.Connection, sink: str, now: Micros, until: Micros, limit: int) -> list[Delivery]:
    bodies = connection.execute(_FREE, (sink, now, limit)).fetchall()
    leased = [msgspec.structs.replace(unpack_delivery(body), leased=until) for (body,) in bodies]
    for one in leased:
        _change(connection, one)
    return leased


def _settle(connection: sqlite3.Connection, deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        known = _known(connection, delivery.sink, delivery.delivery_id)
        if known is not None and known.leased == delivery.leased != 0:
            _change(connection, msgspec.structs.replace(delivery, leased=0))


def _again(connection: sqlite3.Connection, sink: str, delivery_id: str, now: Micros) -> bool:
    known = _known(connection, sink, delivery_id)
    if known is None:
        return False
    if known.state == "waiting":
        _change(connection, msgspec.structs.replace(known, due=now))
        return True
    anew = msgspec.structs.replace(known, state="waiting", attempts=0, ended=None, due=now)
    connection.execute(_REMOVE, (sink, delivery_id))
    _enqueue(connection, [_row(anew)])  # as a new row it has a new turn
    return True


def _remove_some(connection: sqlite3.Connection, which: str, values: Sequence[str | Micros]) -> int:
    rows = connection.execute(which, (*values, PAGE)).fetchall()
    connection.executemany(_REMOVE, [(sink, delivery_id) for sink, delivery_id, _ in rows])
    for sink, lane in {(sink, lane) for sink, _, lane in rows}:
        _set_lane(connection, sink, lane)
    return len(rows)


def _known(connection: sqlite3.Connection, sink: str, delivery_id: str) -> Delivery | None:
    row = connection.execute(_FIND, (sink, delivery_id)).fetchone()
    return None if row is None else unpack_delivery(row[0])


def _change(connection: sqlite3.Connection, one: Delivery) -> None:
    connection.execute(_CHANGE, (one.state, one.ended, pack_delivery(one), one.sink, one.delivery_id))
    _set_lane(connection, one.sink, one.lane)


def _set_lane(connection: sqlite3.Connection, sink: str, lane: str) -> None:
    """Note which delivery is the first of a lane, and when it is free."""
    row = connection.execute(_FIRST, (sink, lane)).fetchone()
    if row is None:
        connection.execute(_END_LANE, (sink, lane))
    else:
        connection.execute(_SET_LANE, (sink, lane, row[0], unpack_delivery(row[1]).free_from))
