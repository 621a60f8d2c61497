"""What a backend opens: the ports on its servers, and the connection that they share."""

from typing import Protocol

import msgspec

from mastery_engine.ports.audit_log import AuditLog
from mastery_engine.ports.calibrations import CalibrationStore
from mastery_engine.ports.checkpoints import Checkpoints
from mastery_engine.ports.cohorts import CohortStore
from mastery_engine.ports.consent_ledger import ConsentLedger
from mastery_engine.ports.courses import CourseStore
from mastery_engine.ports.credentials import CredentialStore
from mastery_engine.ports.dead_letters import DeadLetterQueue
from mastery_engine.ports.deliveries import DeliveryQueue
from mastery_engine.ports.documents import DocumentReader, DocumentStore
from mastery_engine.ports.event_log import EventLog
from mastery_engine.ports.idempotency import IdempotencyStore
from mastery_engine.ports.jobs import JobStore
from mastery_engine.ports.people import PeopleStore
from mastery_engine.ports.record_documents import RecordDocumentStore
from mastery_engine.ports.refusals import RefusalStore
from mastery_engine.ports.registry import RegistryStore
from mastery_engine.ports.result_cache import ResultCache
from mastery_engine.ports.result_log import ResultLog
from mastery_engine.ports.statements import StatementStore


class Danger(msgspec.Struct, frozen=True):
    """A setting of a server by which what was acknowledged may be lost, or may count wrongly.

    ``message`` says what is wrong, what may be lost and what to set; it names no host, since readiness shows it to
    anyone. Where ``is_certain`` is false it may be harmless, or could not be looked at: that stops no start.
    """

    message: str
    is_certain: bool = True


class Connection(Protocol):
    """What a backend holds open."""

    async def ping(self) -> None:
        """Raises Unavailable, in words that name no host, where the servers do not answer or take no write."""
        ...

    async def dangers(self) -> list[Danger]:
        """The servers' dangerous settings as they are now. Raises Unavailable where they do not answer."""
        ...

    async def close(self) -> None:
        """Let go of everything, after writing what waits; may be called twice."""
        ...


class Stores(msgspec.Struct, frozen=True):
    """State, one part for each capability; ``reader`` gives documents to queries.

    A backend that keeps no statements has None for ``statements`` and ``record_documents``.
    """

    documents: DocumentStore
    reader: DocumentReader
    cohorts: CohortStore
    checkpoints: Checkpoints
    refusals: RefusalStore
    jobs: JobStore
    idempotency: IdempotencyStore
    audit_log: AuditLog
    calibrations: CalibrationStore
    courses: CourseStore
    credentials: CredentialStore
    people: PeopleStore
    registry: RegistryStore
    deliveries: DeliveryQueue
    results: ResultCache
    connection: Connection
    statements: StatementStore | None = None
    record_documents: RecordDocumentStore | None = None


class Logs(msgspec.Struct, frozen=True):
    """Records in and out, one part for each capability."""

    events: EventLog
    results: ResultLog
    dead_letters: DeadLetterQueue
    consents: ConsentLedger
    connection: Connection
