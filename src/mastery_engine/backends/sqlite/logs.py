"""The logs on one machine: tables of one SQLite file."""

import sqlite3

from mastery_engine.backends.sqlite.consent_ledger import SqliteConsentLedger
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.dead_letters import SqliteDeadLetters
from mastery_engine.backends.sqlite.event_log import SqliteEventLog
from mastery_engine.backends.sqlite.result_log import SqliteResultLog
from mastery_engine.ports.backend import Logs


def open_logs(database: Database, *, batch_size: int = 500) -> Logs:
    """The logs in a database, which closes with them. ``batch_size`` is the most that one batch of events holds."""
    events = SqliteEventLog(database, batch_size=batch_size)
    return Logs(
        events=events,
        results=SqliteResultLog(database),
        dead_letters=SqliteDeadLetters(database, events),
        consents=SqliteConsentLedger(database),
        connection=SqliteLogConnection(database),
    )


class SqliteLogConnection:
    """See ``Connection``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ping(self) -> None:
        """It writes, so that a full disk is seen."""
        await self._database.write(_change_and_restore)

    async def close(self) -> None:
        await self._database.close()


def _change_and_restore(connection: sqlite3.Connection) -> None:
    """SQLite writes no page on which nothing has changed since it was read."""
    connection.execute("UPDATE log SET committed = committed + 1")
    connection.execute("UPDATE log SET committed = committed - 1")
