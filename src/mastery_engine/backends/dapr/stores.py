"""All state behind one state component of a Dapr sidecar."""

from mastery_engine.backends.dapr.audit_log import DaprAuditLog
from mastery_engine.backends.dapr.calibrations import DaprCalibrations
from mastery_engine.backends.dapr.checkpoints import DaprCheckpoints
from mastery_engine.backends.dapr.client import DaprState
from mastery_engine.backends.dapr.cohorts import DaprCohorts
from mastery_engine.backends.dapr.courses import DaprCourses
from mastery_engine.backends.dapr.credentials import DaprCredentials
from mastery_engine.backends.dapr.deliveries import DaprDeliveries
from mastery_engine.backends.dapr.documents import DaprDocuments
from mastery_engine.backends.dapr.expiry import ExpiryProbe
from mastery_engine.backends.dapr.idempotency import DaprIdempotency
from mastery_engine.backends.dapr.jobs import DaprJobs
from mastery_engine.backends.dapr.people import DaprPeople
from mastery_engine.backends.dapr.refusals import DaprRefusals
from mastery_engine.backends.dapr.registry import DaprRegistry
from mastery_engine.backends.dapr.result_cache import DaprResultCache
from mastery_engine.backends.dapr.witness import Witness
from mastery_engine.domain.moments import DAY, SECOND
from mastery_engine.ports.backend import Danger, Stores
from mastery_engine.ports.documents import PromptReader


class DaprStoreConnection:
    """See ``Connection``. What the servers behind the sidecar are set to, it does not tell."""

    def __init__(self, state: DaprState) -> None:
        self._state = state
        self._expiry = ExpiryProbe(state)

    async def ping(self) -> None:
        await self._state.ping()

    async def dangers(self) -> list[Danger]:
        return await self._expiry.dangers()

    async def close(self) -> None:
        await self._state.close()


def open_stores(store: str, *, port: int, token: str | None, retention_days: int) -> Stores:
    """The stores behind the component ``store`` of the sidecar on this machine's ``port``."""
    return stores_on(DaprState(store, port=port, token=token), retention_days=retention_days)


def stores_on(state: DaprState, *, retention_days: int) -> Stores:
    """The stores on a state, which their connection closes. A day is more than the retention: days are UTC's."""
    life_s = (retention_days + 1) * DAY // SECOND
    witness = Witness(state)
    documents = DaprDocuments(state, witness, life_s=life_s)
    return Stores(
        documents=documents,
        reader=PromptReader(documents),
        cohorts=DaprCohorts(state, life_s=life_s),
        checkpoints=DaprCheckpoints(state, witness),
        refusals=DaprRefusals(state, life_s=life_s),
        jobs=DaprJobs(state, life_s=life_s),
        idempotency=DaprIdempotency(state),
        audit_log=DaprAuditLog(state, life_s=life_s),
        calibrations=DaprCalibrations(state),
        courses=DaprCourses(state),
        credentials=DaprCredentials(state),
        people=DaprPeople(state),
        registry=DaprRegistry(state),
        deliveries=DaprDeliveries(state),
        results=DaprResultCache(state),
        connection=DaprStoreConnection(state),
    )
