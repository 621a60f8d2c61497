"""Workers and replicas of the API as processes of their own on one Kafka and one Redis, and what is to come of it all.

The expectation is read from the log itself, by a foreign client, and worked out by ``tests.support.oracle``.
"""

import asyncio
import gc
import json
import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from mastery_engine.backends.kafka.asker import committed_of
from mastery_engine.backends.kafka.faults import when_settled
from mastery_engine.backends.kafka.topic_plans import TOPICS
from mastery_engine.backends.redis.stores import open_stores
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import DocumentKey
from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support import oracle as plain
from tests.support.live import EngineProcess, Live

REQUESTS, RESULTS, EVENTS, DEAD = "mastery.requests", "mastery.results", "mastery.events", "mastery.dlq"
GROUP = "mastery-engine-v1"
SESSION_MS = "2000"
COURSES = (None, "default", "rust", "edX/DemoX {2026}")

NOBODY_LINKED: Mapping[str, str] = {}

Json = dict[str, Any]
Place = tuple[str, str, str, str]  # tenant, student, course and event


class Worker(EngineProcess):
    """`mastery-engine worker`."""

    def __init__(self, data_dir: Path, *, home: Path, **settings: str) -> None:
        super().__init__("worker", data_dir, home=home, settings=settings)

    def ready(self) -> bool:
        return '"message":"started"' in self.log_text()


@dataclass
class Fleet:
    """One Kafka, one Redis, and the processes that a test starts on them; ``close`` ends those."""

    kafka: Kafka
    redis: Redis
    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    processes: list[Worker | Live] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def environment(self, **more: str) -> dict[str, str]:
        ours = {"KAFKA_BROKER": self.kafka.bootstrap, "REDIS_HOST": self.redis.url, "LOG_LEVEL": "INFO"}
        return {**ours, "KAFKA_SESSION_TIMEOUT_MS": SESSION_MS, **self.settings, **more}

    def worker(self, **settings: str) -> Worker:
        data, home = self._folders()
        made = Worker(data, home=home, **self.environment(**settings))
        self.processes.append(made)
        made.start()
        return made

    def api(self, **settings: str) -> Live:
        """A replica without a worker, if not asked otherwise."""
        data, home = self._folders()
        made = Live(data, home=home, **self.environment(**{"WORKER_ENABLED": "false", **settings}))
        self.processes.append(made)
        made.start()
        return made

    def _folders(self) -> Any:
        home = self.home / f"process-{next(self._numbers)}"
        home.mkdir()
        return home / "data", home

    def close(self) -> None:
        for process in self.processes:
            process.resume()
            process.kill()
        self.processes.clear()

    def records(self, topic: str) -> list[Message]:
        """Everything in a topic, partition by partition in order."""
        return records_of(self.kafka, topic)

    def wait_until_worked(self, limit: float = 25) -> None:
        """Return once the group has committed everything in the log."""
        deadline = time.monotonic() + limit
        consumer = consumer_of(self.kafka, GROUP)
        try:
            while True:
                ends, done = ends_of(consumer, REQUESTS), when_settled(partial(committed_of, consumer))
                if done == ends:
                    return
                ended = [one.exit_code for one in self.processes if one.exit_code not in (None, 0, -9)]
                assert not ended, f"{ended}\n{self.logs()}"
                assert time.monotonic() < deadline, f"worked up to {done} of {ends}\n{self.logs()}"
                time.sleep(0.05)
        finally:
            consumer.close()

    def logs(self) -> str:
        return "\n".join(f"== {one.home.name}\n{one.log_text()[-2_000:]}" for one in self.processes)

    async def check(self, linked: Mapping[str, str] = NOBODY_LINKED) -> "Truth":
        """Hold store, results and dead letters against the log; what the log says.

        ``linked`` gives the student to whom an id was linked: what came under it is theirs, once a worker has moved it.
        """
        truth = truth_of(self.records(REQUESTS), linked)
        deadline = time.monotonic() + (20 if linked else 0)
        while True:
            try:
                await self._check_documents(truth)
                break
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.5)
        buried = [headers(one) for one in self.records(DEAD) if "dlq.redriven" not in headers(one)]
        places = [(int(one["dlq.partition"]), int(one["dlq.offset"])) for one in buried]
        assert set(places) == truth.refused.keys(), sorted(set(places) ^ truth.refused.keys())[:5]
        self._check_results(truth)
        return truth

    async def _check_documents(self, truth: "Truth") -> None:
        stores = open_stores(self.redis.url, retention_days=90, now=time.monotonic)
        try:
            found_keys = sorted([key async for key in stores.documents.all_keys()])
            documents = dict(zip(found_keys, await stores.documents.load(found_keys), strict=True))
        finally:
            await stores.connection.close()
        left = {key: one for key, one in documents.items() if one is None or not one.student.moved}
        keys, held = list(left), list(left.values())
        now = datetime.now(UTC)
        expected = {
            DocumentKey(tenant, *place): result
            for tenant, events in truth.accepted.items()
            for place, result in plain.scores(events, now).items()
        }
        assert set(keys) == expected.keys(), sorted(set(keys) ^ expected.keys())[:5]
        for key, one in zip(keys, held, strict=True):
            assert one is not None
            found, wanted = mastery_score(one.student.evidence, micros(now), Rules()), expected[key]
            assert list(found.components) == [
                None if value is None else pytest.approx(value, abs=1e-9) for value in wanted.components.values()
            ], key
            assert found.score == pytest.approx(wanted.score, abs=1e-9), key
            assert (found.level, round(found.coverage, 9)) == (wanted.level, round(wanted.coverage, 9)), key

    def _check_results(self, truth: "Truth") -> None:
        """Each event has caused one update; a result that went out again went out as it was.

        Where Redis was killed between a publication and its commit, its events may be told once more, under other ids.
        """
        contents: dict[str, bytes | None] = {}
        told: defaultdict[Place, list[float]] = defaultdict(list)
        for one in [*self.records(RESULTS), *self.records(EVENTS)]:
            said = json.loads(one.value() or b"")
            first = contents.setdefault(said["event_id"], one.value())
            assert first == one.value(), f"one id, two contents: {first!r} and {one.value()!r}"
            known = headers(one)
            assert (one.key() or b"").decode() == said["student_id"] == known["ce_subject"]
            assert (known["ce_id"], known["ce_type"]) == (said["event_id"], said["event_type"])
            assert (known["ce_specversion"], known["tenant"]) == ("1.0", said["tenant"])
        for value in contents.values():
            said = json.loads(value or b"")
            if said["event_type"] == "mastery.updated":
                at = datetime.fromisoformat(said["timestamp"]).timestamp()
                for cause in said["caused_by"]:
                    told[said["tenant"], said["student_id"], said["course_id"], cause].append(at)
        twice = {place: times for place, times in told.items() if not self._may_be_told(sorted(times))}
        assert twice == {}, f"{twice} with Redis killed at {self.redis.kills}"
        owned = {(tenant, truth.linked.get(student_id, student_id), *more) for tenant, student_id, *more in told}
        missing = truth.ids - owned
        assert not missing, sorted(missing)[:5]
        assert owned <= truth.ids or truth.derived

    def _may_be_told(self, times: Sequence[float]) -> bool:
        """Whether Redis was killed between each update and the next; a fold's moment is a little before it reads."""
        return all(any(one <= kill <= other + 2 for kill in self.redis.kills) for one, other in pairwise(times))


def without_topics(server: Kafka) -> None:
    """The broker as it was before the engine came to it."""
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    old = [name for name in TOPICS if name in admin.list_topics(timeout=10).topics]
    for outcome in (admin.delete_topics(old) if old else {}).values():
        outcome.result(10)
    deadline = time.monotonic() + 10
    while set(TOPICS) & admin.list_topics(timeout=10).topics.keys():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def bare_fleet(kafka: Kafka, redis: Redis, home: Path) -> Fleet:
    """A fleet on the run's servers, of which nothing is left of before."""
    without_topics(kafka)
    with redis.client() as client:
        client.flushall()
    return Fleet(kafka, redis, home)


def consumer_of(kafka: Kafka, group: str) -> Consumer:
    return Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, "enable.auto.commit": False})


def ends_of(consumer: Consumer, topic: str) -> dict[int, int]:
    def asked() -> dict[int, int]:
        parts = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        return {part: consumer.get_watermark_offsets(TopicPartition(topic, part), timeout=20)[1] for part in parts}

    return when_settled(asked)


def records_of(kafka: Kafka, topic: str) -> list[Message]:
    """Everything in a topic, partition by partition in order."""
    consumer = consumer_of(kafka, "foreign")
    try:
        ends = ends_of(consumer, topic)
        consumer.assign([TopicPartition(topic, part, OFFSET_BEGINNING) for part, end in ends.items() if end])
        found: list[Message] = []
        deadline = time.monotonic() + 60
        while len(found) < sum(ends.values()):
            assert time.monotonic() < deadline, f"{len(found)} of {ends} in {topic}"
            found += [one for one in consumer.consume(5_000, 0.1) if one.error() is None]
    finally:
        consumer.close()
    return sorted(found, key=lambda one: (one.partition() or 0, one.offset() or 0))


@dataclass
class Truth:
    """What a log holds, as the contract says it: by tenant what is accepted, with receipts; by place what is not."""

    accepted: dict[str, list[tuple[Json, datetime]]]
    refused: dict[tuple[int, int], str]
    ids: set[Place]
    derived: int = 0
    linked: Mapping[str, str] = field(default_factory=dict)


def truth_of(records: Iterable[Message], linked: Mapping[str, str] = NOBODY_LINKED) -> Truth:
    """What the records say; ``linked`` gives the student to whom an id was linked, whose all of its events are."""
    truth = Truth(defaultdict(list), {}, set(), linked=linked)
    for one in records:
        place, known = (one.partition() or 0, one.offset() or 0), headers(one)
        received = datetime.fromtimestamp(one.timestamp()[1] / 1_000, UTC)
        tenant = known.get("tenant") or "default"
        event, beside = opened(one.value())
        event_id = known.get("event_id") or known.get("ce_id") or beside
        if event is not None and "event_id" not in event and event_id:
            event = {**event, "event_id": event_id}
        why = "no tenant" if not plain._matches("[a-z0-9][a-z0-9-]{0,39}", tenant) else None
        why = why or ("no JSON object" if event is None else plain.accepts(event, received))
        if why is not None or event is None:
            truth.refused[place] = why or ""
            continue
        event = {**event, "student_id": linked.get(event["student_id"], event["student_id"])}
        if "event_id" in event:
            truth.ids.add(place_of(event, tenant))
        else:
            truth.derived += 1
        truth.accepted[tenant].append((event, received))
    return truth


def place_of(event: Json, tenant: str = "default") -> Place:
    return tenant, event["student_id"], event.get("course_id", "default"), event["event_id"]


def opened(value: bytes | None) -> tuple[Json | None, str | None]:
    """The envelope in a record, out of its CloudEvent; and the CloudEvent's id."""
    try:
        found = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(found, dict):
        return None, None
    if "specversion" in found and isinstance(found.get("data"), dict):
        return found["data"], found.get("id")
    return found, None


def headers(one: Message) -> dict[str, str]:
    try:
        found: Any = one.headers() or ()
        has_nulls = len(gc.get_referents(found)) < len(found)
    except (SystemError, UnicodeDecodeError):
        return {"tenant": "?"}
    if has_nulls:  # names that are not UTF-8
        return {"tenant": "?"}
    return {name: (value or b"").decode(errors="replace") for name, value in found}


def micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class Load:
    """Events without end in a thread, one in five once more, one in a hundred broken; ``with`` starts and ends it."""

    def __init__(self, fleet: Fleet, name: str, chance: random.Random, *, students: int = 60, pause: float = 0.02):
        self.foreign = Foreign(fleet.kafka)
        self.name, self.chance, self.students, self.pause = name, chance, students, pause
        self.sent: list[Json] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.wait(self.pause):
            some = [self._next() for _ in range(self.chance.randint(1, 20))]
            self.chance.shuffle(some)
            self.foreign.put_events(some)
            if self.chance.random() < 0.1:
                self.foreign.put(self.chance.choice([None, b"junk", b"{}"]), key=b"poison-%d" % len(self.sent))

    def _next(self) -> Json:
        if self.sent and self.chance.random() < 0.2:
            return self.chance.choice(self.sent)
        student = f"{self.name}_{self.chance.randrange(self.students)}"
        self.sent.append(event(f"{self.name}-{len(self.sent)}", self.chance, student, COURSES))
        return self.sent[-1]

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.foreign.flush()

    @property
    def ids(self) -> set[Place]:
        return {place_of(one) for one in self.sent}


class Foreign:
    """Somebody else's producer. ``acknowledged`` holds what Kafka has said it has."""

    def __init__(self, kafka: Kafka, **settings: Any) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": 60_000,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
                **settings,
            }
        )
        self.acknowledged: list[bytes | None] = []
        self.failed: list[str] = []

    def put(
        self, value: bytes | None, *, key: bytes | None = None, headers: Mapping[str, str | bytes] | None = None
    ) -> None:
        def told(error: object, _: Message) -> None:
            if error is None:
                self.acknowledged.append(value)
            else:
                self.failed.append(str(error))

        self._producer.produce(REQUESTS, value, key, headers=list((headers or {}).items()), on_delivery=told)
        self._producer.poll(0)

    def put_events(self, events: Sequence[Json]) -> None:
        for one in events:
            self.put(json.dumps(one).encode(), key=one["student_id"].encode())

    def flush(self) -> None:
        assert self._producer.flush(60) == 0
        assert self.failed == []


def event(event_id: str, chance: random.Random, student_id: str, courses: Sequence[str | None] = (None,)) -> Json:
    """A random event of the last 60 days, in one of the courses; None is none named."""
    kind = chance.choice(["completion", "quiz", "quality", "consistency", "answer", "mastery.calculation.requested"])
    total, share = chance.randint(1, 30), chance.randint(0, 100) / 100
    data: Json = {
        "completion": {
            "total_exercises": total,
            "completed_exercises": chance.randint(0, total),
            "difficulty": chance.choice(["beginner", "intermediate", "advanced"]),
            "topic": chance.choice("abcd"),
        },
        "quiz": {"total_questions": total, "correct_answers": total * share},
        "quality": {"code_quality_score": share, "correctness_score": 0.5, "efficiency_score": 1 - share},
        "consistency": {"current_streak": chance.randint(0, 5), "days_since_last_activity": chance.randint(0, 3)},
        "answer": {"item_id": "i", "skills": ["loops"], "correct": chance.random() < 0.5},
        "mastery.calculation.requested": {"components": {chance.choice(list(plain.WEIGHTS)): share}},
    }[kind]
    if kind in ("quiz", "quality", "answer") and chance.random() < 0.6:  # of few attempts, so that many are corrected
        data["attempt_id"] = chance.choice("abc")
    if kind == "answer" and chance.random() < 0.3:
        data["part_of"] = chance.choice("abc")
    at = datetime.now(UTC) - timedelta(days=1 + 59 * chance.random())
    course_id = chance.choice(courses)
    return {
        "event_id": event_id,
        "event_type": kind,
        "student_id": student_id,
        "timestamp": at.isoformat(),
        "data": data,
        **({} if course_id is None else {"course_id": course_id}),
    }


def events(name: str, number: int, chance: random.Random, students: int = 60) -> list[Json]:
    return [event(f"{name}-{n}", chance, f"{name}_{chance.randrange(students)}") for n in range(number)]


def seed() -> int:
    """The seed of this run; MASTERY_SEED repeats one."""
    chosen = int(os.environ.get("MASTERY_SEED", random.randrange(2**32)))
    print(f"MASTERY_SEED={chosen}")
    return chosen


def pause(seconds: float) -> None:
    """Let the load and the fleet go on; in an async test too, where nothing else is to run meanwhile."""
    time.sleep(seconds)


def until(what: Any, limit: float = 30) -> None:
    """Wait until something is true; Redis may be away meanwhile."""
    deadline = time.monotonic() + limit
    while True:
        try:
            if what():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < deadline, "it did not come to it in time"
        time.sleep(0.05)


def with_topic(kafka: Kafka, name: str, partitions: int = 1) -> str:
    """A topic of somebody else's, which the broker makes for nobody by itself; its name."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(20)
    return name
