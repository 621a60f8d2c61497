"""The logs on one machine: tables of one SQLite file."""

from mastery_engine.backends.sqlite.consent_ledger import SqliteConsentLedger
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.dead_letters import SqliteDeadLetters
from mastery_engine.backends.sqlite.disk import dangers_of_disk
from mastery_engine.backends.sqlite.event_log import SqliteEventLog
from mastery_engine.backends.sqlite.result_log import SqliteResultLog
from mastery_engine.ports.backend import Danger, Logs


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
        await self._database.ping()

    async def dangers(self) -> list[Danger]:
        return dangers_of_disk(self._database.path)

    async def close(self) -> None:
        await self._database.close()
