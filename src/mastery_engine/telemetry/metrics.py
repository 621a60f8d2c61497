"""The metrics for Prometheus. Every name is documented in ``docs/operations.md``; a test compares the two."""

from collections import Counter as Counts
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mastery_engine.domain.events.event import NAME_OF, LearningEvent
from mastery_engine.domain.moments import SECOND, Micros

CALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BATCH_BUCKETS = (1, 10, 50, 100, 250, 500, 1_000, 5_000, 20_000)
FOLD_BUCKETS = (0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
TOKEN_BUCKETS = (25, 50, 100, 200, 400, 800, 1_600, 3_200)
MOST_PARTITIONS = 100
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
WRITES_PER_S, MOST_WRITES = 5.0, 20.0


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._text = b""
        self._writes_left = MOST_WRITES
        self._written_at: Micros = 0
        self._calls: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "mastery_http_requests", "HTTP calls answered.", ["endpoint", "method", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "mastery_http_request_seconds",
            "Seconds from an HTTP call to its answer.",
            ["endpoint"],
            buckets=CALL_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("mastery_http_requests_in_flight", "HTTP calls under way.", registry=self.registry)
        self.connections = Gauge("mastery_http_connections", "Open connections of HTTP.", registry=self.registry)
        self.connections_refused = Counter(
            "mastery_http_connections_refused",
            "Connections that were answered and closed before there was a request, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.events = Counter(
            "mastery_events",
            "Learning events by kind and outcome: accepted, refused or folded.",
            ["event_type", "outcome"],
            registry=self.registry,
        )
        self.door_messages = Counter(
            "mastery_door_messages",
            "Messages of other platforms by door and outcome: evidence, ignored or refused.",
            ["door", "outcome"],
            registry=self.registry,
        )
        self.lti_launches = Counter(
            "mastery_lti_launches",
            "Launches of learning platforms by outcome: learner, instructor, choice, registered, or why it was refused"
            ".",
            ["outcome"],
            registry=self.registry,
        )
        self.lti_rosters = Counter(
            "mastery_lti_rosters",
            "Rosters of learning platforms' classes by outcome: read or failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.badges = Counter(
            "mastery_badges",
            "Badges by what became of them: issued, revoked or erased.",
            ["outcome"],
            registry=self.registry,
        )
        self.fold_seconds = Histogram(
            "mastery_fold_seconds", "Seconds to fold one batch.", buckets=FOLD_BUCKETS, registry=self.registry
        )
        self.commit_seconds = Histogram(
            "mastery_commit_seconds",
            "Seconds to commit one batch of documents.",
            buckets=FOLD_BUCKETS,
            registry=self.registry,
        )
        self.conflicts = Counter(
            "mastery_commit_conflicts",
            "Documents folded again because another writer changed them first.",
            registry=self.registry,
        )
        self.joins_refused = Counter(
            "mastery_cohort_joins_refused",
            "Times that events named a cohort which has its 10,000 members.",
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "mastery_queue_depth", "Records in the log that are not folded yet.", registry=self.registry
        )
        self.lag = Gauge(
            "mastery_consumer_lag",
            "Records of a partition that are not folded, or whose results are not published yet.",
            ["partition"],
            registry=self.registry,
        )
        self.rebalances = Counter(
            "mastery_rebalances",
            "Times that partitions were assigned to this worker or taken from it.",
            registry=self.registry,
        )
        self.batch_records = Histogram(
            "mastery_batch_records", "Records in one batch.", buckets=BATCH_BUCKETS, registry=self.registry
        )
        self.dead_letters = Counter(
            "mastery_dead_letters", "Records that became dead letters, by error code.", ["code"], registry=self.registry
        )
        self.results = Counter(
            "mastery_results_published", "Results published, by type.", ["event_type"], registry=self.registry
        )
        self.results_not_followed = Counter(
            "mastery_results_not_followed",
            "Results that could not become deliveries or badges because of a fault in the engine, by what makes them.",
            ["follower"],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "mastery_deliveries",
            "Attempts to deliver to others over HTTP, by kind of receiver and outcome: delivered, retried or failed.",
            ["receiver", "outcome"],
            registry=self.registry,
        )
        self.answer_tokens = Histogram(
            "mastery_mcp_answer_tokens",
            "Tokens in an answer of an MCP tool.",
            ["tool"],
            buckets=TOKEN_BUCKETS,
            registry=self.registry,
        )
        self.streams = Gauge("mastery_streams_open", "Open streams of students' mastery.", registry=self.registry)
        self.worker_up = Gauge(
            "mastery_worker_up", "1 while the worker of this process runs, else 0.", registry=self.registry
        )

    def answered(self, endpoint: str, method: str, status: int, seconds: float | None) -> None:
        """Count an answered call; streams pass no ``seconds``, since their length is not a latency."""
        method = method if method in METHODS else "other"  # else anybody could make labels without end
        known = self._calls.get((endpoint, method, status))
        if known is None:  # finding the children of labels is slow, so it is done once
            named = self.requests.labels(endpoint, method, str(status)), self.latency.labels(endpoint)
            known = self._calls[endpoint, method, status] = named
        requests, latency = known
        requests.inc()
        if seconds is not None:
            latency.observe(seconds)

    def set_lag(self, lag: Mapping[int, int]) -> None:
        """Set the lag of each partition; partitions from ``MOST_PARTITIONS`` on share the label "others"."""
        self.queue_depth.set(sum(lag.values()))
        labelled = Counts[str]()
        for partition, number in lag.items():
            labelled[str(partition) if partition < MOST_PARTITIONS else "others"] += number
        for label, number in labelled.items():
            self.lag.labels(label).set(number)

    def count_folded(self, events: Iterable[LearningEvent]) -> None:
        for kind, number in Counts([type(event.data) for event in events]).items():
            self.events.labels(NAME_OF[kind], "folded").inc(number)

    def text(self, now: Micros) -> bytes:
        """All metrics in Prometheus's text format.

        Anybody may ask, and writing them takes milliseconds: who asks more than 5 times a second (20 at once) is given
        the last text again.
        """
        since, self._written_at = now - self._written_at, now
        self._writes_left = min(MOST_WRITES, self._writes_left + max(0, since) * WRITES_PER_S / SECOND)
        if self._writes_left >= 1.0:
            self._writes_left -= 1.0
            self._text = generate_latest(self.registry)
        return self._text
