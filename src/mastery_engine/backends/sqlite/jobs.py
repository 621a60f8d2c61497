"""Batches in SQLite."""

import sqlite3

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.jobs import BatchJob, WithoutStudent, answered, names_student

_PUT = (
    "INSERT OR IGNORE INTO batches (tenant, batch_id, subject, priority, created, caller, request, answer) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_ANSWER = (
    "UPDATE batches SET caller = ?, request = ?, answer = ? "
    "WHERE tenant = ? AND batch_id = ? AND caller = ? AND request = ? AND answer IS NULL"
)
_CHANGE = "UPDATE batches SET caller = ?, request = ?, answer = ? WHERE tenant = ? AND batch_id = ?"
_FIND = (
    "SELECT tenant, batch_id, subject, priority, created, caller, request, answer FROM batches "
    "WHERE tenant = ? AND batch_id = ?"
)
_OPEN = (
    "SELECT tenant, batch_id, subject, priority, created, caller, request, answer FROM batches "
    "WHERE answer IS NULL ORDER BY created"
)
_OF_TENANT = (
    "SELECT tenant, batch_id, subject, priority, created, caller, request, answer FROM batches WHERE tenant = ? "
    "ORDER BY created"
)
_REMOVE = "DELETE FROM batches WHERE tenant = ? AND batch_id = ?"
_PURGE = "DELETE FROM batches WHERE created < ?"


class SqliteJobs:
    """See ``JobStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, job: BatchJob) -> None:
        await self._database.put(_PUT, [msgspec.structs.astuple(job)])

    async def answer(self, job: BatchJob, answer: bytes) -> bool:
        done = answered(job, answer)
        row = (done.caller, done.request, done.answer, job.tenant, job.batch_id, job.caller, job.request)
        return await self._database.write(lambda connection: connection.execute(_ANSWER, row).rowcount) == 1

    async def find(self, tenant: str, batch_id: str) -> BatchJob | None:
        rows = await self._database.fetch(_FIND, (tenant, batch_id))
        return BatchJob(*rows[0]) if rows else None

    async def open(self) -> list[BatchJob]:
        return [BatchJob(*row) for row in await self._database.fetch(_OPEN)]

    async def of(self, key: StudentKey) -> list[BatchJob]:
        jobs = [BatchJob(*row) for row in await self._database.fetch(_OF_TENANT, (key.tenant,))]
        return [job for job in jobs if names_student(job, key)]

    async def erase(self, key: StudentKey, without: WithoutStudent) -> int:
        def write(connection: sqlite3.Connection) -> int:
            jobs = [BatchJob(*row) for row in connection.execute(_OF_TENANT, (key.tenant,)).fetchall()]
            named = [(job, without(job)) for job in jobs if names_student(job, key)]
            for job, left in named:
                name = (job.tenant, job.batch_id)
                if left is None:
                    connection.execute(_REMOVE, name)
                elif left != job:
                    connection.execute(_CHANGE, (left.caller, left.request, left.answer, *name))
            return sum(left != job for job, left in named)

        return await self._database.write(write)

    async def purge(self, before: Micros) -> int:
        return await self._database.write(lambda connection: connection.execute(_PURGE, (before,)).rowcount)
