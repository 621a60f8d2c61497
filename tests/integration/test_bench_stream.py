"""The stream bench's runs work what they are given, on real servers; the figures are the bench's own business."""

from pathlib import Path

import msgspec
import pytest

from mastery_engine.errors import StartRefused
from mastery_engine.lab import bench_stream
from mastery_engine.wiring import system_clock
from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.fleet import REQUESTS, RESULTS, records_of

EVENTS = 600


@pytest.mark.xdist_group("kafka")
@pytest.mark.parametrize("what", ["engine", "floor"])
def test_a_run_works_every_record(kafka: Kafka, redis_server: Redis, what: str) -> None:
    environment = {"KAFKA_BROKER": kafka.bootstrap, "REDIS_HOST": f"127.0.0.1:{redis_server.port}"}
    records = bench_stream._records(EVENTS, system_clock(), 1)
    assert 0 < bench_stream._timed(what, environment, records) < 60
    assert len(records_of(kafka, REQUESTS)) == EVENTS + bench_stream.WARMING
    results = records_of(kafka, RESULTS)
    if what == "engine":
        causes = [cause for one in results for cause in msgspec.json.decode(one.value() or b"")["caused_by"]]
        assert len(causes) == len(set(causes)) == EVENTS + bench_stream.WARMING
    else:
        assert len({one.key() for one in results}) > 200


def test_without_the_source_tree_it_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_stream, "ROOT", tmp_path)
    with pytest.raises(StartRefused, match="source tree"), bench_stream._servers():
        pass
