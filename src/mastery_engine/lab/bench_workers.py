"""One, two and three workers on six partitions, and a model of what a machine carries, checked against them.

The model: a worker alone does ``r`` events a second; an event costs ``c`` seconds of processor time in all of worker,
broker and Redis. So N workers on a machine of P processors do min(N·r, P / c). On machines of their own the broker's
and Redis's shares fall away from a worker's, and N workers do N·r as long as there are partitions, and as long as the
broker and the Redis shards, whose shares of ``c`` are shown, are not busy all the time.
"""

import os
import signal
import subprocess  # nosec B404
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, TopicPartition

from mastery_engine.domain.moments import Micros
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench_stream import MOST_EVENTS, class_events
from mastery_engine.lab.measures import Line, shown
from mastery_engine.lab.servers import PATIENCE_S, Servers, cpu_seconds, fresh, produce, servers
from mastery_engine.logs.base import REQUESTS_TOPIC
from mastery_engine.logs.kafka_settings import GROUP

MOST_WORKERS = 3
PARTITIONS = 6


class Measured(msgspec.Struct, frozen=True):
    """Events a second of some workers together; processor time an event, in µs, of workers, broker and Redis."""

    rate: float
    worker: float
    broker: float
    redis: float

    @property
    def cost(self) -> float:
        return self.worker + self.broker + self.redis


def workers(runs: int, until: Micros, events: int) -> list[Line]:
    """As many events as the stream's, which are in the log before the workers go on. Raises StartRefused."""
    number = min(events, MOST_EVENTS)
    found: dict[int, list[Measured]] = {count: [] for count in range(1, MOST_WORKERS + 1)}
    with servers() as running:
        for run in range(runs):
            records = class_events(number, until, run)
            for count, measured in found.items():
                measured.append(_measured(running, records, number, count))
    alone = found[1]
    lines: list[Line] = []
    processors = os.cpu_count() or 1
    for count, measured in found.items():
        named = f"{count} worker{'s' if count > 1 else ''}"
        lines.append(
            shown("workers", f"{named} on {PARTITIONS} partitions", "events/s", [one.rate for one in measured])
        )
        if count > 1:
            shares = [
                min(count * one.rate, processors * 1e6 / one.cost) / other.rate
                for one, other in zip(alone, measured, strict=True)
            ]
            lines.append(shown("workers", f"model to measured, {named}", "", shares))
    return [
        *lines,
        shown("workers", "processor time an event: a worker", "µs", [one.worker for one in alone]),
        shown("workers", "processor time an event: Kafka's broker", "µs", [one.broker for one in alone]),
        shown("workers", "processor time an event: Redis", "µs", [one.redis for one in alone]),
    ]


def _measured(running: Servers, records: Sequence[tuple[str, bytes]], number: int, count: int) -> Measured:
    fresh(running.environment)
    produce(running.environment, records[:-number])
    with tempfile.TemporaryDirectory() as folder, _workers(running.environment, Path(folder), count) as pids:
        _wait(running.environment)
        for pid in pids:  # they hold still while the log is filled: they share this machine with who fills it
            os.kill(pid, signal.SIGSTOP)
        produce(running.environment, records[-number:])
        servants = (pids, [running.kafka], [running.redis])
        before = [cpu_seconds(some) for some in servants]
        started = time.perf_counter()
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        _wait(running.environment)
        rate = number / (time.perf_counter() - started)
        used = [(cpu_seconds(some) - was) / number * 1e6 for some, was in zip(servants, before, strict=True)]
    return Measured(rate, *used)


@contextmanager
def _workers(environment: dict[str, str], folder: Path, count: int) -> Iterator[list[int]]:
    """The ids of workers while they run."""
    argv = [sys.executable, "-m", "mastery_engine", "worker"]
    started = [
        subprocess.Popen(  # nosec B603
            argv,
            env={**os.environ, **environment, "DATA_DIR": str(folder / str(place)), "LOG_LEVEL": "ERROR"},
            stdout=subprocess.DEVNULL,
        )
        for place in range(count)
    ]
    try:
        yield [one.pid for one in started]
    finally:
        for one in started:
            one.send_signal(signal.SIGCONT)
            one.terminate()
        for one in started:
            one.wait(PATIENCE_S)


def _wait(environment: dict[str, str]) -> None:
    """Until all that is in the log is worked and committed. Raises StartRefused."""
    asker = Consumer({"bootstrap.servers": environment["KAFKA_BROKER"], "group.id": GROUP, "enable.auto.commit": False})
    deadline = time.monotonic() + PATIENCE_S
    try:
        while waiting(asker):
            if time.monotonic() > deadline:
                raise StartRefused("The workers do not get on with the log: see what they wrote above.")
            time.sleep(0.01)
    finally:
        asker.close()


def waiting(asker: Consumer) -> int:
    """How many records of the log are not committed yet."""
    parts = [
        TopicPartition(REQUESTS_TOPIC, part)
        for part in asker.list_topics(REQUESTS_TOPIC).topics[REQUESTS_TOPIC].partitions
    ]
    ends = [asker.get_watermark_offsets(part, timeout=10)[1] for part in parts]
    committed = [max(one.offset, 0) for one in asker.committed(parts, timeout=10)]
    return sum(ends) - sum(committed)
