"""What many events and students need, on paper: the plan follows the demand, and the document says the same."""

import re
from pathlib import Path

import msgspec

from mastery_engine.lab.bench.sizing import Assumptions, Demand, Measured, planned

SCALE = Path(__file__).parents[3] / "docs" / "scale.md"
WORKER = 150.0  # µs, as the document has it


def test_twice_the_events_need_twice_the_workers_and_more_students_more_memory_alone() -> None:
    measured, given = Measured(worker=120.0), Assumptions()
    one, two = (planned(Demand(events=events), measured, given) for events in (50_000, 100_000))
    assert (one.workers, two.workers) == (10, 20)
    assert (one.partitions, two.partitions) == (20, 40)
    assert one.brokers == two.brokers == 3, "as many as there are replicas"
    assert two.disk_gib > one.disk_gib
    larger = planned(Demand(events=50_000, students=20_000_000), measured, given)
    assert (larger.workers, larger.disk_gib) == (one.workers, one.disk_gib)
    assert larger.redis_gib > 3.9 * one.redis_gib
    assert larger.shards > one.shards
    assert larger.dollars > one.dollars


def test_the_document_has_the_plan() -> None:
    told = dict(re.findall(r"^\| ([^|]+?) \| \**\$?([\d,.]+)", SCALE.read_text(), re.MULTILINE))
    plan = msgspec.structs.asdict(planned(Demand(), Measured(worker=WORKER), Assumptions()))
    rows = {
        "workers, a core each": "workers",
        "partitions of `mastery.requests`": "partitions",
        "brokers of 4 cores": "brokers",
        "Redis shards, each with a replica": "shards",
        "replicas of the API": "api",
        "documents in Redis, GiB": "redis_gib",
        "records on the brokers' disks, GiB": "disk_gib",
        "documents read and written, MiB/s": "documents_mib_s",
        "US dollars a month": "dollars",
    }
    assert {name: float(told[row].replace(",", "")) for row, name in rows.items()} == plan
