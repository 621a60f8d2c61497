"""One, two and three workers on six partitions, and a model of what a machine carries, checked against them.

The model: a worker alone does ``r`` events a second; an event costs ``c`` seconds of processor time in all of worker,
broker and Redis. So N workers on a machine of P processors do min(N·r, P / c). On machines of their own the broker's
and Redis's shares fall away from a worker's, and N workers do N·r as long as there are partitions, and as long as the
broker and the Redis shards, whose shares of ``c`` are shown, are not busy all the time.
"""

import os
import signal
import time
from collections.abc import Sequence

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.lab.bench.measures import Line, shown
from mastery_engine.lab.bench.servers import (
    Servers,
    asking,
    cpu_seconds,
    drained,
    fresh,
    produce,
    servers,
    shared_out,
    working,
)
from mastery_engine.lab.bench.stream import MOST_EVENTS, class_events

MOST_WORKERS = 3
PARTITIONS = 6


class Throughput(msgspec.Struct, frozen=True):
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
    by_count: dict[int, list[Throughput]] = {count: [] for count in range(1, MOST_WORKERS + 1)}
    with servers() as running:
        for run in range(runs):
            records = class_events(number, until, run)
            for count, measured in by_count.items():
                measured.append(_measured(running, records, number, count))
    alone = by_count[1]
    lines: list[Line] = []
    processors = os.cpu_count() or 1
    for count, measured in by_count.items():
        named = f"{count} worker{'s' if count > 1 else ''}"
        lines.append(
            shown("workers", f"{named} on {PARTITIONS} partitions", "events/s", [run.rate for run in measured])
        )
        if count > 1:
            shares = [
                min(count * single.rate, processors * 1e6 / single.cost) / together.rate
                for single, together in zip(alone, measured, strict=True)
            ]
            lines.append(shown("workers", f"model to measured, {named}", "", shares))
    return [
        *lines,
        shown("workers", "processor time an event: a worker", "µs", [single.worker for single in alone]),
        shown("workers", "processor time an event: Kafka's broker", "µs", [single.broker for single in alone]),
        shown("workers", "processor time an event: Redis", "µs", [single.redis for single in alone]),
    ]


def _measured(running: Servers, records: Sequence[tuple[str, bytes]], number: int, count: int) -> Throughput:
    fresh(running.environment)
    produce(running.environment, records[:-number])
    with working(running.environment, count) as pids, asking(running.environment) as asker:
        shared_out(running.environment, count)
        drained(asker)
        for pid in pids:  # they hold still while the log is filled: they share this machine with who fills it
            os.kill(pid, signal.SIGSTOP)
        produce(running.environment, records[-number:])
        servants = (pids, [running.kafka], [running.redis])
        before = [cpu_seconds(processes) for processes in servants]
        started = time.perf_counter()
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        drained(asker)
        rate = number / (time.perf_counter() - started)
        used = [(cpu_seconds(processes) - was) / number * 1e6 for processes, was in zip(servants, before, strict=True)]
    return Throughput(rate, *used)
