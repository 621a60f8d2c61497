"""What many events and students need, on paper: workers, partitions, brokers, shards, bytes and money a month.

Each figure follows from what was measured here of one event, one document and one student, and from the assumptions
that ``Assumptions`` names with their values. docs/scale.md has the table, and what breaks first.
"""

from math import ceil

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.lab.bench.large_class import large_class
from mastery_engine.lab.bench.measures import Line, shown

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
    broker: float = 13.0
    redis: float = 17.0  # on Redis Cluster, where each document has a script of its own
    event: int = 320
    result: int = 600
    document: int = 3_300
    student: int = 4_300  # the document, its cold ids and two keys in Redis
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
    dollars: float


def planned(demand: Demand, measured: Measured, given: Assumptions) -> Plan:
    """A worker uses one core, and a partition has one worker: twice as many, since none can be taken away later."""
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
    redis = demand.students * measured.student / 2**30
    by_time = demand.events * measured.redis / 1e6 / given.busy
    shards = max(ceil(redis / given.shard_gib), ceil(by_time))
    api = max(2, ceil(demand.queries / (measured.queries * given.busy)))
    machines = (workers + api + brokers * given.broker_cores + 2 * shards) * given.core_hour
    memory = 2 * 2 * redis * given.memory_gib_hour  # a replica of each, and as much again while it saves
    return Plan(
        workers=workers,
        partitions=2 * workers,
        brokers=brokers,
        shards=shards,
        api=api,
        redis_gib=round(redis, 1),
        disk_gib=round(disk),
        documents_mib_s=round(2 * demand.events * measured.document / 2**20),
        dollars=round((machines + memory) * HOURS + disk * given.disk_gib_month),
    )


def sizing(runs: int, until: Micros, events: int) -> list[Line]:
    """The cost of an event of a large class, as measured here, and what follows. Raises StartRefused."""
    measured = large_class(runs, until, events)
    demand = Demand()
    plan = planned(demand, Measured(worker=measured[0].median), Assumptions())
    what = f"for {demand.events:,} events/s of {demand.students:,} students"
    return [
        *measured,
        *[
            shown("scale", f"{what}: {name}", unit, [value])
            for name, unit, value in (
                ("workers, of a core each", "", plan.workers),
                ("partitions", "", plan.partitions),
                ("brokers", "", plan.brokers),
                ("Redis shards, each with a replica", "", plan.shards),
                ("replicas of the API", "", plan.api),
                ("documents in Redis", "GiB", plan.redis_gib),
                ("records on the brokers' disks", "GiB", plan.disk_gib),
                ("documents read and written", "MiB/s", plan.documents_mib_s),
                ("a month", "US dollars", plan.dollars),
            )
        ],
    ]
