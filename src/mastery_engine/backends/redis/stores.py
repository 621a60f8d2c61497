"""State in Redis, and the cache in front of it that queries are answered from."""

from collections.abc import Callable
from functools import partial

from redis.asyncio import Redis

from mastery_engine.backends.redis.audit_log import RedisAuditLog
from mastery_engine.backends.redis.batch_loader import BatchLoader
from mastery_engine.backends.redis.calibrations import RedisCalibrations
from mastery_engine.backends.redis.changes import changes
from mastery_engine.backends.redis.checkpoints import RedisCheckpoints
from mastery_engine.backends.redis.client import Client, connect, disconnect
from mastery_engine.backends.redis.cohorts import RedisCohorts
from mastery_engine.backends.redis.courses import RedisCourses
from mastery_engine.backends.redis.credentials import RedisCredentials
from mastery_engine.backends.redis.deliveries import RedisDeliveries
from mastery_engine.backends.redis.document_cache import DocumentCache
from mastery_engine.backends.redis.documents import RedisDocuments
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.backends.redis.health import dangers_of, try_write
from mastery_engine.backends.redis.idempotency import RedisIdempotency
from mastery_engine.backends.redis.jobs import RedisJobs
from mastery_engine.backends.redis.keys import life_ms
from mastery_engine.backends.redis.people import RedisPeople
from mastery_engine.backends.redis.record_documents import RedisRecordDocuments
from mastery_engine.backends.redis.refusals import RedisRefusals
from mastery_engine.backends.redis.registry import RedisRegistry
from mastery_engine.backends.redis.result_cache import RedisResultCache
from mastery_engine.backends.redis.statements import RedisStatements
from mastery_engine.ports.backend import Danger, Stores
from mastery_engine.ports.documents import DocumentReader, PromptReader


class RedisStoreConnection:
    """See ``Connection``. The reader listens on a connection of its own, and is closed first."""

    def __init__(self, client: Client, reader: DocumentReader) -> None:
        self._client = client
        self._reader = reader

    @or_unavailable
    async def ping(self) -> None:
        """It writes, so that a full server and a replica are seen."""
        await try_write(self._client)

    @or_unavailable
    async def dangers(self) -> list[Danger]:
        return await dangers_of(self._client)

    async def close(self) -> None:
        await self._reader.close()
        await disconnect(self._client)


def open_stores(host: str, *, retention_days: int, now: Callable[[], float]) -> Stores:
    """The stores on the Redis that ``host`` names; they connect when they are first used. Raises StartRefused.

    ``now`` is a clock that never goes back, in seconds.
    """
    client, life = connect(host), life_ms(retention_days)
    documents = RedisDocuments(client, life_ms=life)
    reader = _reader(client, documents, now)
    return Stores(
        documents=documents,
        reader=reader,
        cohorts=RedisCohorts(client, life_ms=life),
        checkpoints=RedisCheckpoints(client),
        refusals=RedisRefusals(client, life_ms=life),
        jobs=RedisJobs(client, life_ms=life),
        idempotency=RedisIdempotency(client),
        audit_log=RedisAuditLog(client),
        calibrations=RedisCalibrations(client),
        courses=RedisCourses(client),
        credentials=RedisCredentials(client),
        people=RedisPeople(client),
        registry=RedisRegistry(client),
        deliveries=RedisDeliveries(client),
        statements=RedisStatements(client, life_ms=life),
        record_documents=RedisRecordDocuments(client, life_ms=life),
        results=RedisResultCache(client),
        connection=RedisStoreConnection(client, reader),
    )


def _reader(client: Client, documents: RedisDocuments, now: Callable[[], float]) -> DocumentCache:
    """Of a Cluster one part may be away, which is to fail nobody else: there each load goes by itself."""
    if not isinstance(client, Redis):
        return DocumentCache(PromptReader(documents), now=now)
    return DocumentCache(BatchLoader(PromptReader(documents)), now=now, watch=partial(changes, client, now))
