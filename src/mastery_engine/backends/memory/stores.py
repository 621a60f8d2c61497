"""State in memory: for tests, and for folds whose result nobody keeps."""

from mastery_engine.backends.memory.audit_log import MemoryAuditLog
from mastery_engine.backends.memory.calibrations import MemoryCalibrations
from mastery_engine.backends.memory.checkpoints import MemoryCheckpoints
from mastery_engine.backends.memory.cohorts import MemoryCohorts
from mastery_engine.backends.memory.courses import MemoryCourses
from mastery_engine.backends.memory.credentials import MemoryCredentials
from mastery_engine.backends.memory.deliveries import MemoryDeliveries
from mastery_engine.backends.memory.documents import MemoryDocuments
from mastery_engine.backends.memory.idempotency import MemoryIdempotency
from mastery_engine.backends.memory.jobs import MemoryJobs
from mastery_engine.backends.memory.people import MemoryPeople
from mastery_engine.backends.memory.record_documents import MemoryRecordDocuments
from mastery_engine.backends.memory.refusals import MemoryRefusals
from mastery_engine.backends.memory.registry import MemoryRegistry
from mastery_engine.backends.memory.result_cache import MemoryResultCache
from mastery_engine.backends.memory.statements import MemoryStatements
from mastery_engine.clock import Clock
from mastery_engine.ports.backend import Danger, Stores
from mastery_engine.ports.documents import DirectReader


class MemoryStoreConnection:
    """See ``Connection``. Nothing is held open."""

    async def ping(self) -> None:
        """Memory answers always."""

    async def dangers(self) -> list[Danger]:
        return []

    async def close(self) -> None:
        """The stores go with whoever holds them."""


def open_stores(clock: Clock) -> Stores:
    """Empty stores, each call its own."""
    documents = MemoryDocuments()
    return Stores(
        documents=documents,
        reader=DirectReader(documents),
        cohorts=MemoryCohorts(),
        checkpoints=MemoryCheckpoints(),
        refusals=MemoryRefusals(),
        jobs=MemoryJobs(),
        idempotency=MemoryIdempotency(),
        audit_log=MemoryAuditLog(),
        calibrations=MemoryCalibrations(),
        courses=MemoryCourses(),
        credentials=MemoryCredentials(),
        people=MemoryPeople(),
        registry=MemoryRegistry(),
        deliveries=MemoryDeliveries(),
        statements=MemoryStatements(),
        record_documents=MemoryRecordDocuments(),
        results=MemoryResultCache(clock),
        connection=MemoryStoreConnection(),
    )
