"""Who follows results gets each once it is published; what goes wrong with one follower stops nobody else."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mastery_engine.domain.results import Result, StruggleDetected, result_id
from mastery_engine.errors import Unavailable
from mastery_engine.ports.result_log import NO_TRACES
from mastery_engine.services.outgoing import Outgoing
from mastery_engine.telemetry.metrics import Metrics
from tests.support.samples import NOW

RESULTS = [
    StruggleDetected("default", f"s{number}", NOW, (f"e{number}",), "loops", "repeated", "thrice", NOW)
    for number in range(4)
]


class Log:
    """Notes what is done, in its order."""

    def __init__(self, done: list[Any]) -> None:
        self.done = done

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        self.done.append(("published", [result.student_id for result in results], dict(traceparents)))


class Follows:
    """See ``Follower``; it fails at some students."""

    def __init__(self, done: list[Any], name: str, fails: Mapping[str, Exception] | None = None) -> None:
        self.done, self.name, self.fails = done, name, fails or {}

    async def follow(self, results: Sequence[Result]) -> None:
        for result in results:
            if result.student_id in self.fails:
                raise self.fails[result.student_id]
        self.done.append((self.name, [result.student_id for result in results]))


def failures(registry: CollectorRegistry, follower: str) -> float:
    return registry.get_sample_value("mastery_results_not_followed_total", {"follower": follower}) or 0.0


async def test_followers_come_after_the_log_each_with_all_results() -> None:
    done: list[Any] = []
    followers = [Follows(done, "grades"), Follows(done, "badges")]
    outgoing = Outgoing(Log(done), followers, Metrics())  # type: ignore[arg-type]
    await outgoing.publish(RESULTS[:2], {"a": "b"})
    both = ["s0", "s1"]
    assert done == [("published", both, {"a": "b"}), ("grades", both), ("badges", both)]


async def test_a_fault_of_a_follower_costs_the_result_that_it_is_in(caplog: pytest.LogCaptureFixture) -> None:
    done: list[Any] = []
    metrics = Metrics()
    broken = Follows(done, "grades", {"s1": ValueError("broken"), "s3": KeyError("x")})
    await Outgoing(Log(done), [broken, Follows(done, "badges")], metrics).publish(RESULTS)  # type: ignore[arg-type]
    assert done[1:] == [("grades", ["s0"]), ("grades", ["s2"]), ("badges", ["s0", "s1", "s2", "s3"])]
    assert failures(metrics.registry, "grades") == 2
    assert failures(metrics.registry, "badges") == 0
    named = [getattr(record, "result", None) for record in caplog.records]
    assert named == [result_id(RESULTS[1]), result_id(RESULTS[3])]


async def test_a_store_that_is_away_has_the_batch_published_again() -> None:
    done: list[Any] = []
    away = Follows(done, "grades", {"s0": Unavailable("away")})
    outgoing = Outgoing(Log(done), [away, Follows(done, "badges")], Metrics())  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await outgoing.publish(RESULTS)
    assert len(done) == 1
    away.fails = {}
    await outgoing.publish(RESULTS)
    assert [what for what, *_ in done] == ["published", "published", "grades", "badges"]
