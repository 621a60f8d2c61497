"""What the metrics of a process have counted since its start, in the few numbers that the operator's page needs."""

import msgspec
from prometheus_client import Counter

from mastery_engine.telemetry.metrics import CALL_BUCKETS, Metrics

PROBES = frozenset(("/health", "/ready", "/metrics"))  # asked all the time by machines; the alerts leave them out, too
LATENCY_BOUNDS = CALL_BUCKETS  # seconds; what took longer is counted above the last
CLIENT_ERROR, SERVER_ERROR = "4", "5"


class Totals(msgspec.Struct, frozen=True):
    """Counts since the start. ``latency`` has one number for each of ``LATENCY_BOUNDS``, and one for what is above."""

    calls: int = 0
    refused: int = 0
    failed: int = 0
    folded: int = 0
    dead: int = 0
    latency: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)

    def since(self, before: "Totals") -> "Totals":
        """What was counted after ``before``."""
        return Totals(
            self.calls - before.calls,
            self.refused - before.refused,
            self.failed - before.failed,
            self.folded - before.folded,
            self.dead - before.dead,
            tuple(now - then for now, then in zip(self.latency, before.latency, strict=True)),
        )


def totals_of(metrics: Metrics) -> Totals:
    """The totals as they are now; some milliseconds of work. Probes are no calls here."""
    calls = refused = failed = 0
    for labels, number in _counted(metrics.requests):
        if labels["endpoint"] not in PROBES:
            calls += number
            refused += number * labels["status"].startswith(CLIENT_ERROR)
            failed += number * labels["status"].startswith(SERVER_ERROR)
    folded = sum(number for labels, number in _counted(metrics.events) if labels["outcome"] == "folded")
    return Totals(calls, refused, failed, folded, sum(n for _, n in _counted(metrics.dead_letters)), _latency(metrics))


def _counted(counter: Counter) -> list[tuple[dict[str, str], int]]:
    return [
        (sample.labels, int(sample.value))
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    ]


def _latency(metrics: Metrics) -> tuple[int, ...]:
    """The histogram of all endpoints together, each call in its own bucket alone."""
    up_to = dict.fromkeys([*map(str, LATENCY_BOUNDS), "+Inf"], 0)
    for metric in metrics.latency.collect():
        for sample in metric.samples:
            if sample.name.endswith("_bucket") and sample.labels["endpoint"] not in PROBES:
                up_to[sample.labels["le"]] += int(sample.value)
    counts = list(up_to.values())
    return tuple(number - before for number, before in zip(counts, [0, *counts], strict=False))
