"""The only place that names concrete stores, logs, the clock and chance."""

import fcntl
import logging
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from time import monotonic, time_ns
from types import TracebackType
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from mastery_engine.auth.jwks import KeySet
from mastery_engine.auth.tokens import Tokens
from mastery_engine.backends.sqlite.database import FILE_NAME, Database
from mastery_engine.backends.sqlite.event_log import SqliteLog
from mastery_engine.backends.sqlite.store import SqliteStore
from mastery_engine.domain.courses.curriculum import Curriculum, curriculum_from
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.rules import Rules, rules_from
from mastery_engine.errors import InvalidInput, StartRefused
from mastery_engine.model_files import skill_model
from mastery_engine.ports.clock import Clock
from mastery_engine.ports.documents import DocumentCache, Store
from mastery_engine.ports.event_log import EventLog
from mastery_engine.ports.result_cache import Kept
from mastery_engine.services import Mastery
from mastery_engine.services.consents import Consents
from mastery_engine.settings import Settings
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.tracing import Tracing, provider_for

if TYPE_CHECKING:
    from limits.aio.storage import Storage

    from mastery_engine.backends.kafka.settings import KafkaSettings

logger = logging.getLogger(__name__)

SECRET_FILE = "jwt-secret"  # nosec B105
PSEUDONYM_FILE = "pseudonym-key"
LOCK_FILE = "worker.lock"

# Small batches leave the loop to HTTP; larger ones, where there is none, cost fewer round trips and documents an event.
SERVING_BATCH = 500
WORKER_BATCH = 20_000


def system_clock() -> Micros:
    return time_ns() // 1_000


def new_id() -> str:
    return str(uuid4())


def open_mastery(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    new_id: Callable[[], str] = new_id,
    metrics: Metrics | None = None,
    batch_size: int = SERVING_BATCH,
    tracing: Tracing | None = None,
) -> Mastery:
    """The engine on what the settings name; ``batch_size`` is the most events that the worker reads at once.

    Raises StartRefused.
    """
    database = Database(data_folder(settings) / FILE_NAME) if settings.is_on_one_machine else None
    metrics = metrics or Metrics()
    store, documents, kept = _store(settings, database)
    log = _log(settings, database, batch_size, metrics)
    key = (settings.pseudonym_key or kept_secret(settings, PSEUDONYM_FILE)).encode()
    return Mastery(
        store,
        log,
        rules(settings),
        clock,
        metrics,
        new_id,
        documents,
        kept,
        skill_model=skill_model(settings),
        curriculum=curriculum(settings),
        tracing=tracing or tracing_for(settings),
        consents=Consents(log, clock, key, default=settings.consent_default == "given"),
    )


def tracing_for(settings: Settings) -> Tracing:
    """Where spans go; nowhere where traces are off. Raises StartRefused."""
    return Tracing(provider_for(settings.otel_exporter_otlp_endpoint) if settings.trace_enabled else None)


def _store(settings: Settings, database: Database | None) -> tuple[Store, DocumentCache | None, Kept | None]:
    """The store, and where that is a network away, what queries are answered from and what replicas keep together."""
    if settings.store == "sqlite" and database is not None:
        return SqliteStore(database), None, None
    if settings.store == "dapr":
        from mastery_engine.backends.dapr.client import DaprState
        from mastery_engine.backends.dapr.store import DaprStore

        state = DaprState(settings.dapr_state_store or "", port=settings.dapr_http_port, token=settings.dapr_api_token)
        return DaprStore(state, retention_days=settings.gdpr_retention_days), None, None
    from redis.asyncio import Redis

    from mastery_engine.backends.redis.batch_loader import LoadsTogether
    from mastery_engine.backends.redis.changes import changes
    from mastery_engine.backends.redis.client import connect
    from mastery_engine.backends.redis.document_cache import CachedDocuments
    from mastery_engine.backends.redis.result_cache import KeptInRedis
    from mastery_engine.backends.redis.store import RedisStore

    client = connect(settings.redis_host or "")
    store = RedisStore(client, retention_days=settings.gdpr_retention_days)
    if not isinstance(client, Redis):  # of a Cluster one part may be away, which is to fail nobody else
        return store, CachedDocuments(store, now=monotonic), KeptInRedis(client)
    watch = partial(changes, client, monotonic)
    return store, CachedDocuments(LoadsTogether(store), now=monotonic, watch=watch), KeptInRedis(client)


def _log(settings: Settings, database: Database | None, batch_size: int, metrics: Metrics) -> EventLog:
    if settings.log == "sqlite" and database is not None:
        return SqliteLog(database, batch_size=batch_size)
    from mastery_engine.backends.kafka.event_log import KafkaLog

    return KafkaLog(kafka_settings(settings), batch_size=batch_size, rebalanced=metrics.rebalances.inc)


@asynccontextmanager
async def limit_storage(settings: Settings) -> AsyncIterator["Storage | None"]:
    """Where callers' windows are kept: in Redis, shared by all replicas, else in this process; None: nowhere."""
    if not settings.rate_limit_enabled:
        yield None
    elif settings.store == "redis":
        from mastery_engine.backends.redis.client import connect
        from mastery_engine.backends.redis.rate_windows import RedisWindows

        async with connect(settings.redis_host or "") as client:
            yield RedisWindows(client)
    else:
        from limits.aio.storage import MemoryStorage

        yield MemoryStorage()


def kafka_settings(settings: Settings) -> "KafkaSettings":
    """The part of the settings that is Kafka's."""
    from mastery_engine.backends.kafka.settings import KafkaSettings

    return KafkaSettings(
        bootstrap=settings.kafka_broker or "",
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username,
        password=settings.kafka_password,
        ca_file=str(settings.kafka_ca_file) if settings.kafka_ca_file else None,
        create_topics=settings.kafka_create_topics,
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication or 0,
        retention_days=settings.kafka_retention_days,
        session_timeout_ms=settings.kafka_session_timeout_ms,
    )


def rules(settings: Settings) -> Rules:
    """The school's rules, or the defaults; the retention is a setting."""
    retention = settings.gdpr_retention_days
    if settings.rules_file is None:
        return Rules(retention_days=retention)
    try:
        return rules_from(settings.rules_file.read_bytes(), overrides={"retention_days": retention})
    except (OSError, InvalidInput) as error:
        raise StartRefused(f"RULES_FILE {settings.rules_file} cannot be used: {error}") from error


def curriculum(settings: Settings) -> Curriculum:
    """The school's course, or the engine's own. Raises StartRefused."""
    file = settings.curriculum_file
    try:
        packaged = files("mastery_engine").joinpath("curriculum.yaml")
        return curriculum_from((packaged if file is None else file).read_bytes())
    except (OSError, InvalidInput) as error:
        raise StartRefused(f"CURRICULUM_FILE {file} cannot be used: {error}") from error


def tokens(settings: Settings, clock: Clock = system_clock) -> Tokens:
    """The maker and checker of tokens, with the secret of the settings or of the data folder."""
    keys = KeySet(settings.jwt_jwks_url, clock) if settings.jwt_jwks_url else None
    return Tokens(
        settings.jwt_secret or (None if keys else kept_secret(settings, SECRET_FILE)),
        clock,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        keys=keys,
    )


def kept_secret(settings: Settings, name: str) -> str:
    """A secret that development makes once and keeps, so that all commands on a data folder agree."""
    path = data_folder(settings) / name
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)  # whole or not at all, and the first process wins
    return path.read_text().strip()


def data_folder(settings: Settings) -> Path:
    """The data folder, made where it is missing. Raises StartRefused where it cannot be."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartRefused(f"DATA_DIR {settings.data_dir} cannot be made: {error}. Set DATA_DIR to another.") from error
    return settings.data_dir


class WorkerLock:
    """Held by the one process that works a data folder's log; it goes with the process, however that ends."""

    def __init__(self, settings: Settings) -> None:
        self._path = data_folder(settings) / LOCK_FILE if settings.is_on_one_machine else None
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Whether the log may be worked here now; where nothing lives in the data folder, always."""
        if self._path is None:
            return True
        if self._file is not None:
            return True
        try:
            file = self._path.open("a")
        except OSError as error:
            raise StartRefused(
                f"DATA_DIR {self._path.parent} cannot be written ({error.strerror}): set DATA_DIR to another folder."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> "WorkerLock":
        if not self.take():
            raise StartRefused(
                f"Another process works {self._path and self._path.parent} already: stop it first, or set DATA_DIR to "
                "another folder."
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
