"""State in one SQLite file."""

from mastery_engine.backends.memory.result_cache import MemoryResultCache
from mastery_engine.backends.sqlite.audit_log import SqliteAuditLog
from mastery_engine.backends.sqlite.calibrations import SqliteCalibrations
from mastery_engine.backends.sqlite.checkpoints import SqliteCheckpoints
from mastery_engine.backends.sqlite.cohorts import SqliteCohorts
from mastery_engine.backends.sqlite.courses import SqliteCourses
from mastery_engine.backends.sqlite.credentials import SqliteCredentials
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.deliveries import SqliteDeliveries
from mastery_engine.backends.sqlite.disk import dangers_of_disk
from mastery_engine.backends.sqlite.documents import SqliteDocuments
from mastery_engine.backends.sqlite.idempotency import SqliteIdempotency
from mastery_engine.backends.sqlite.jobs import SqliteJobs
from mastery_engine.backends.sqlite.people import SqlitePeople
from mastery_engine.backends.sqlite.record_documents import SqliteRecordDocuments
from mastery_engine.backends.sqlite.refusals import SqliteRefusals
from mastery_engine.backends.sqlite.registry import SqliteRegistry
from mastery_engine.backends.sqlite.statements import SqliteStatements
from mastery_engine.clock import Clock
from mastery_engine.ports.backend import Danger, Stores
from mastery_engine.ports.documents import DirectReader


class SqliteStoreConnection:
    """See ``Connection``. The logs may share the file: whoever closes it first closes it for both."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ping(self) -> None:
        self._database.read("SELECT 1 FROM marks LIMIT 1")
        await self._database.ping()

    async def dangers(self) -> list[Danger]:
        return dangers_of_disk(self._database.path)

    async def close(self) -> None:
        await self._database.close()


def open_stores(database: Database, clock: Clock) -> Stores:
    """The stores in a file; results are cached in memory, since one process serves from a file."""
    documents = SqliteDocuments(database)
    return Stores(
        documents=documents,
        reader=DirectReader(documents),
        cohorts=SqliteCohorts(database),
        checkpoints=SqliteCheckpoints(database),
        refusals=SqliteRefusals(database),
        jobs=SqliteJobs(database),
        idempotency=SqliteIdempotency(database),
        audit_log=SqliteAuditLog(database),
        calibrations=SqliteCalibrations(database),
        courses=SqliteCourses(database),
        credentials=SqliteCredentials(database),
        people=SqlitePeople(database),
        registry=SqliteRegistry(database),
        deliveries=SqliteDeliveries(database),
        statements=SqliteStatements(database),
        record_documents=SqliteRecordDocuments(database),
        results=MemoryResultCache(clock),
        connection=SqliteStoreConnection(database),
    )
