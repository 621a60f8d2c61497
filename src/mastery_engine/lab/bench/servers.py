"""Kafka and Redis of a bench's own, on loopback; topics and keys made anew, records put in, processor time read."""

import os
import signal
import subprocess  # nosec B404
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, ConsumerGroupState, Producer
from confluent_kafka.admin import AdminClient
from redis import Redis

from mastery_engine.backends.kafka.asker import committed_of, ends_of
from mastery_engine.backends.kafka.faults import when_settled
from mastery_engine.backends.kafka.settings import GROUP, KafkaSettings
from mastery_engine.backends.kafka.topic_plans import TOPICS
from mastery_engine.backends.kafka.topics import ensure_topics
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.peer_environments import ROOT
from mastery_engine.ports.event_log import REQUESTS_TOPIC

PATIENCE_S, TOLD_S = 120, 10
TICKS = os.sysconf("SC_CLK_TCK")


class Servers(msgspec.Struct, frozen=True):
    """How the two are reached, as settings of the engine, and their processes."""

    environment: dict[str, str]
    kafka: int
    redis: int


@contextmanager
def servers() -> Iterator[Servers]:
    """Kafka and Redis while they are needed. Raises StartRefused where they cannot be had."""
    if not (ROOT / "scripts" / "servers").is_dir():
        raise StartRefused("This part starts Kafka and Redis with scripts/servers: run it from the source tree.")
    started = subprocess.Popen(  # nosec B603
        [sys.executable, "-m", "scripts.servers"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = [started.stdout.readline() for _ in range(2)] if started.stdout else []
        environment = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines if "=" in line)
        if environment.keys() != {"KAFKA_BROKER", "REDIS_HOST"}:
            raise StartRefused(f"Kafka and Redis did not start: {started.communicate(timeout=PATIENCE_S)[1].strip()}")
        processes = dict(_children(started.pid))
        kafka = next(pid for name, pid in processes.items() if name == "java")
        yield Servers(environment, kafka, next(pid for name, pid in processes.items() if name != "java"))
    finally:
        started.terminate()
        started.wait(PATIENCE_S)


def _children(parent: int) -> Iterator[tuple[str, int]]:
    """Names and ids of a process's children."""
    for task in Path(f"/proc/{parent}/task").iterdir():
        for pid in (task / "children").read_text().split():
            yield Path(f"/proc/{pid}/comm").read_text().strip(), int(pid)


@contextmanager
def working(environment: dict[str, str], count: int = 1) -> Iterator[list[int]]:
    """Workers while they run, by their process ids; they may be held still meanwhile."""
    argv = [sys.executable, "-m", "mastery_engine", "worker"]
    with tempfile.TemporaryDirectory() as folder:
        started = [
            subprocess.Popen(  # nosec B603
                argv,
                env={**os.environ, **environment, "DATA_DIR": f"{folder}/{place}", "LOG_LEVEL": "ERROR"},
                stdout=subprocess.DEVNULL,
            )
            for place in range(count)
        ]
        try:
            yield [process.pid for process in started]
        finally:
            for process in started:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            for process in started:
                process.wait(PATIENCE_S)


@contextmanager
def asking(environment: dict[str, str]) -> Iterator[Consumer]:
    """A client that asks about the workers' group, and is not in it."""
    asker = Consumer({"bootstrap.servers": environment["KAFKA_BROKER"], "group.id": GROUP, "enable.auto.commit": False})
    try:
        yield asker
    finally:
        asker.close()


def lag_of(asker: Consumer) -> int:
    """How many records of the log are not committed yet."""
    ends, committed = when_settled(partial(ends_of, asker)), when_settled(partial(committed_of, asker))
    return sum(ends.values()) - sum(committed.values())


def drained(asker: Consumer, *, on_wait: Callable[[int], None] = lambda _: None) -> None:
    """Wait until all that is in the log is worked and committed. Raises StartRefused where it gets no less.

    Every 10 s ``on_wait`` is told how many records are left.
    """
    least, deadline, told = lag_of(asker), time.monotonic() + PATIENCE_S, time.monotonic()
    while left := lag_of(asker):
        now = time.monotonic()
        if left < least:
            least, deadline = left, now + PATIENCE_S
        if now > deadline:
            raise StartRefused("The workers do not get on with the log: see what they wrote above.")
        if now > told + TOLD_S:
            told = now
            on_wait(left)
        time.sleep(0.01)


def shared_out(environment: dict[str, str], count: int) -> None:
    """Wait until so many workers share the partitions, and no more of them move. Raises StartRefused."""
    admin = AdminClient(KafkaSettings(environment["KAFKA_BROKER"]).client())
    deadline = time.monotonic() + PATIENCE_S
    while True:
        group = when_settled(lambda: admin.describe_consumer_groups([GROUP])[GROUP].result(20))
        busy = [member for member in group.members if member.assignment.topic_partitions]
        if group.state == ConsumerGroupState.STABLE and len(group.members) == len(busy) == count:
            return
        if time.monotonic() > deadline:
            raise StartRefused("The workers do not share the partitions: see what they wrote above.")
        time.sleep(0.05)


def cpu_seconds(processes: Iterable[int]) -> float:
    """Processor time that running processes have used so far, in seconds."""
    total = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_mib(pid: int) -> float:
    """The memory of a running process that is in use, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def fresh(environment: dict[str, str]) -> None:
    """Topics without a record, and a Redis without a key."""
    with Redis.from_url(f"redis://{environment['REDIS_HOST']}") as store:
        store.flushall()
    settings = KafkaSettings(environment["KAFKA_BROKER"])
    admin = AdminClient(settings.client())
    old = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
    for outcome in (admin.delete_topics(old) if old else {}).values():
        outcome.result(20)
    while set(TOPICS) & admin.list_topics(timeout=10).topics.keys():
        time.sleep(0.05)
    ensure_topics(settings)


def produce(environment: dict[str, str], records: Iterable[tuple[str, bytes]], *, rate: int | None = None) -> None:
    """Put records (student, value) into the log, as a foreign client does.

    At most ``rate`` a second, as an open loop: late ones are made up for.
    """
    producer = Producer({"bootstrap.servers": environment["KAFKA_BROKER"], "linger.ms": 5})
    started = time.perf_counter()
    for number, (name, value) in enumerate(records):
        if rate is not None and number % 50 == 0:
            time.sleep(max(0.0, started + number / rate - time.perf_counter()))
        while True:
            try:
                producer.produce(REQUESTS_TOPIC, value, name)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    producer.flush(PATIENCE_S)
