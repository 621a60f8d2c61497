"""What many events and students need, on paper: workers, partitions, brokers, shards, bytes and money a month.

Each figure follows from what was measured here of one event, one document and one student, and from the assumptions
that ``Assumptions`` names with their values. docs/scale.md has the table, made by this, and what breaks first.
"""

import os
from collections.abc import Sequence
from math import ceil
from statistics import mean

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import pack
from mastery_engine.lab.bench.document import parted
from mastery_engine.lab.bench.large_class import large_class
from mastery_engine.lab.bench.measures import Line, shown
from mastery_engine.lab.bench.term import at_work
from mastery_engine.settings import settings_from
from mastery_engine.wiring import curriculum

BYTES = "bytes of a document with a month"
HOURS = 730  # of a month
SECONDS_A_DAY = 86_400


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What comes: events a second at the peak, each another student's, and queries."""

    events: int = 100_000
    students: int = 5_000_000
    queries: int = 3_000


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """µs of processor time an event, bytes of what is stored, and queries a second of a process."""

    worker: float
    document: int
    broker: float = 13.0
    redis: float = 17.0  # on Redis Cluster, where each document has a script of its own
    event: int = 320
    result: int = 600
    beside: int = 550  # of a student in Redis beside the document: its key with the expiry, what is rounded up
    queries: int = 1_600


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """Prices are those of a common cloud's machines on demand in US dollars, and change."""

    busy: float = 0.6  # of a processor at the peak: the rest takes up what waits after a deployment
    mean_to_peak: float = 0.1  # events of a day, to a day of the peak
    compressed: float = 0.35  # what is left of records by lz4
    kept_days: int = 30
    replicas: int = 3
    shard_gib: float = 8.0  # a shard that saves itself needs as much again
    broker_cores: int = 4
    core_hour: float = 0.045  # with 4 GiB
    memory_gib_hour: float = 0.006
    disk_gib_month: float = 0.10


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed."""

    workers: int
    partitions: int
    brokers: int
    shards: int
    api: int
    redis_gib: float
    disk_gib: float
    documents_mib_s: float
    shard_gbit_s: float
    dollars: float


def planned(demand: Demand, measured: Measured, given: Assumptions) -> Plan:
    """A worker uses one core, and a partition has one worker: twice as many, in tens, since none can be taken away."""
    workers = ceil(demand.events * measured.worker / 1e6 / given.busy)
    record = measured.event + measured.result
    disk = (
        demand.events
        * given.mean_to_peak
        * SECONDS_A_DAY
        * given.kept_days
        * record
        * given.compressed
        * given.replicas
        / 2**30
    )
    cores = demand.events * measured.broker * given.replicas / 1e6 / given.busy
    brokers = max(given.replicas, ceil(cores / given.broker_cores))
    redis = demand.students * (measured.document + measured.beside) / 2**30
    by_time = demand.events * measured.redis / 1e6 / given.busy
    shards = max(ceil(redis / given.shard_gib), ceil(by_time))
    api = max(2, ceil(demand.queries / (measured.queries * given.busy)))
    machines = (workers + api + brokers * given.broker_cores + 2 * shards) * given.core_hour
    memory = 2 * 2 * redis * given.memory_gib_hour  # a replica of each, and as much again while it saves
    return Plan(
        workers=workers,
        partitions=10 * ceil(2 * workers / 10),
        brokers=brokers,
        shards=shards,
        api=api,
        redis_gib=round(redis, 1),
        disk_gib=round(disk),
        documents_mib_s=round(2 * demand.events * measured.document / 2**20),
        shard_gbit_s=round(demand.events * measured.document * 8 / 1e9 / shards, 1),
        dollars=round((machines + memory) * HOURS + disk * given.disk_gib_month),
    )


def rows_of(demand: Demand, measured: Measured, given: Assumptions, plan: Plan) -> list[tuple[str, float, str]]:
    """What is needed, how much of it, and what that follows from."""
    records = measured.event + measured.result
    student = measured.document + measured.beside
    each_way = demand.events * measured.document * 8 / 1e9
    return [
        ("workers, a core each", plan.workers, f"{demand.events:,} × {measured.worker:g} µs / {given.busy:g}"),
        (
            "partitions of `mastery.requests`",
            plan.partitions,
            "twice the workers, in tens: one has one worker at most, and none can be taken away later",
        ),
        (
            f"brokers of {given.broker_cores} cores",
            plan.brokers,
            f"{measured.broker:g} µs an event and replica; replication {given.replicas}",
        ),
        (
            "Redis shards, each with a replica",
            plan.shards,
            f"{measured.redis:g} µs a document on Redis Cluster, and {given.shard_gib:g} GiB a shard",
        ),
        (
            "replicas of the API",
            plan.api,
            f"{measured.queries:,} queries a second of a process, {given.busy:.0%} of it",
        ),
        (
            "documents in Redis, GiB",
            plan.redis_gib,
            f"{student:,} bytes a student; as much again to save a shard, and for each replica",
        ),
        (
            "records on the brokers' disks, GiB",
            plan.disk_gib,
            f"{records:,} bytes each, lz4 to {given.compressed:g}, {given.kept_days} days, {given.replicas} replicas",
        ),
        (
            "documents read and written, MiB/s",
            plan.documents_mib_s,
            f"{measured.document:,} bytes each way: {each_way:.1f} Gbit/s each way between workers and Redis",
        ),
        ("a shard's network, Gbit/s each way", plan.shard_gbit_s, "the same, shared out"),
        (
            "US dollars a month",
            plan.dollars,
            f"a core ${given.core_hour:g}, memory ${given.memory_gib_hour:g}, disk ${given.disk_gib_month:.2f}",
        ),
    ]


def on_paper(measured: Measured, when: str) -> str:
    """What docs/scale.md says between its marks, by what was measured, and when."""
    demand, given = Demand(), Assumptions()
    rows = rows_of(demand, measured, given, planned(demand, measured, given))
    comes = (
        f"{demand.events:,} events a second, each another student's (the dearest case), and {demand.queries:,} queries"
    )
    said = [
        f"{comes} a second;",
        f"{demand.students:,} students, whose documents have {measured.document:,} bytes after a month;",
        f"{measured.worker:g} µs of a worker's processor time an event, Kafka's and Redis' clients included ({when});",
        f"{given.busy:.0%} of a processor used at the peak;",
        f"a day's events are {given.mean_to_peak:.0%} of those of a day that is all peak.",
    ]
    table = [f"| {what} | {value:,} | {why} |" for what, value, why in rows]
    head = ["| what | needed | follows from |", "|---|---|---|"]
    return "\n".join(["", *[f"- {line}" for line in said], "", *head, *table, "", ""])


def with_plan(document: str, when: str, lines: Sequence[Line]) -> str:
    """The document with the plan by these lines of ``sizing`` between its marks. Raises InvalidInput without marks."""
    before, _, after = parted(document)
    worker, document_bytes = (
        next(line.median for line in lines if line.what == what) for what in (lines[0].what, BYTES)
    )
    return before + on_paper(Measured(worker=round(worker), document=round(document_bytes)), when) + after


def sizing(runs: int, until: Micros, events: int) -> list[Line]:
    """The cost of an event of a large class and its document, as measured here, and what follows.

    Raises StartRefused.
    """
    lines = large_class(runs, until, events)
    models = at_work(until, 1, curriculum(settings_from(os.environ)))
    size = shown("class", BYTES, "bytes", [round(mean(len(pack(model.student)) for model in models))])
    demand, given = Demand(), Assumptions()
    measured = Measured(worker=round(lines[0].median), document=round(size.median))
    rows = rows_of(demand, measured, given, planned(demand, measured, given))
    what = f"for {demand.events:,} events/s of {demand.students:,} students"
    return [*lines, size, *[shown("scale", f"{what}: {name}", "", [value]) for name, value, _ in rows]]
