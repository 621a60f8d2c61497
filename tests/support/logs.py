"""The logs of every backend, for the suites of their ports, and what these suites put in and read out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from mastery_engine.backends.kafka import logs as kafka_logs
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory.result_log import MemoryResultLog
from mastery_engine.backends.sqlite import logs as sqlite_logs
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.events.event import LearningEvent, decode
from mastery_engine.domain.results import ThresholdReached, Updated, message
from mastery_engine.ports.backend import Logs
from mastery_engine.ports.dead_letters import DeadLetter
from mastery_engine.ports.event_log import Batch, EventLog, Position, Record
from scripts.servers.kafka import Kafka
from tests.support.fleet import EVENTS, RESULTS, records_of, without_topics
from tests.support.samples import NOW

BATCH_SIZE = 4


class OpenedLogs(NamedTuple):
    """Logs whose batches have four records at most, and what went out on them: all that consumers could see, by id.

    ``stamps``: the log itself says when something was received.
    """

    logs: Logs
    sent: Callable[[], Awaitable[list[dict[str, Any]]]]
    stamps: bool = False


@asynccontextmanager
async def memory(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[OpenedLogs]:
    logs = memory_logs.open_logs(batch_size=BATCH_SIZE)
    results = logs.results
    assert isinstance(results, MemoryResultLog)

    async def sent() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(message(result)) for result in results.published.values()]

    yield OpenedLogs(logs, sent)
    await logs.connection.close()


@asynccontextmanager
async def sqlite(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[OpenedLogs]:
    database = Database(home / "log.db")
    logs = sqlite_logs.open_logs(database, batch_size=BATCH_SIZE)

    async def sent() -> list[dict[str, Any]]:
        return [msgspec.json.decode(value) for (value,) in database.read("SELECT value FROM results ORDER BY seq")]

    yield OpenedLogs(logs, sent)
    await logs.connection.close()


@asynccontextmanager
async def kafka(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[OpenedLogs]:
    server: Kafka = request.getfixturevalue("kafka")
    await asyncio.to_thread(without_topics, server)
    logs = kafka_logs.open_logs(KafkaSettings(server.bootstrap, partitions=1), batch_size=BATCH_SIZE)

    async def sent() -> list[dict[str, Any]]:
        first: dict[str, dict[str, Any]] = {}
        for record in await asyncio.to_thread(lambda: [*records_of(server, RESULTS), *records_of(server, EVENTS)]):
            result = msgspec.json.decode(record.value() or b"")
            first.setdefault(result["event_id"], result)
        return list(first.values())

    yield OpenedLogs(logs, sent, stamps=True)
    await logs.connection.close()


Opener = Callable[[Path, pytest.FixtureRequest], AbstractAsyncContextManager[OpenedLogs]]

# By the name of the backend's folder; a test holds this against the folders that there are.
LOGS: dict[str, Opener] = {"memory": memory, "sqlite": sqlite, "kafka": kafka}
MARKS = {"kafka": pytest.mark.xdist_group("kafka")}


def logs_fixture() -> Any:
    """A fixture that opens the logs of each backend in turn: a suite says ``opened = logs_fixture()``."""

    @pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in LOGS])
    async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenedLogs]:
        async with LOGS[request.param](tmp_path, request) as logs:
            yield logs

    return opened


# What Kafka promises otherwise: one group reads, what is old goes by itself, and who redrives is one operator.
on_one_machine = pytest.mark.parametrize("opened", ["memory", "sqlite"], indirect=True)


# ---- reading


async def batches_from(log: EventLog, starts: Mapping[int, int] | None = None) -> AsyncIterator[Batch | None]:
    """The log's batches from some offsets on; from its beginning where none are given."""

    async def start_offsets(committed: Mapping[int, int]) -> Mapping[int, int]:
        return dict.fromkeys(committed, 0) if starts is None else starts

    async for batch in log.batches(start_offsets):
        yield batch


async def read(log: EventLog, starts: Mapping[int, int] | None = None) -> list[Batch]:
    """All batches up to the log's end."""
    ends, batches = await log.ends(), []
    reached: dict[int, int] = {}
    async with asyncio.timeout(10):
        async for batch in batches_from(log, starts):
            if batch is None:
                if any(ends.values()) and not reached and starts is None:
                    continue  # a reader that has not been given its partitions yet
                break
            batches.append(batch)
            reached |= batch.ends
            if all(reached.get(partition, 0) >= end for partition, end in ends.items()):
                break
    return batches


async def records(log: EventLog, starts: Mapping[int, int] | None = None) -> list[Record]:
    """All records up to the log's end."""
    return [record for batch in await read(log, starts) for record in batch.records]


def decoded(found: Sequence[Record], received: int = NOW) -> list[LearningEvent]:
    """Records as the events that they hold."""
    return [decode(record.value or b"", received=received, tenant=record.tenant) for record in found]


def place(record: Record) -> Position:
    return Position(record.partition, record.offset)


# ---- what goes in


def updated(
    event_id: str = "e-1", score: float = 0.5, at: int = NOW, tenant: str = "default", student_id: str = "ada"
) -> Updated:
    causes, components = ("e-0", event_id), (0.5, None, 0.5, 0.5)
    return Updated(tenant, student_id, at, causes, score, 0.0, "developing", components, 0.7)


def reached(event_id: str = "e-1") -> ThresholdReached:
    return ThresholdReached("default", "ada", NOW, (event_id,), "developing", "beginner", 0.5, 0.0)


def letter(offset: int = 0, **more: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "topic": "mastery.requests",
        "partition": 0,
        "offset": offset,
        "tenant": "default",
        "key": b"ada",
        "value": b'{"event_id": "e-1", "student_id": "ada"}',
        "headers": {},
        "received": NOW,
        "student_id": "ada",
        "event_id": "e-1",
        "code": "VALIDATION_ERROR",
        "message": "größer",
        "attempts": 1,
        "at": NOW + 1,
    }
    return DeadLetter(**{**fields, **more})
