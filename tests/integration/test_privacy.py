"""Consent and erasure on Kafka and Redis, with events under way and workers that lag."""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import redis as redis_client

from mastery_engine.domain.consent import History, counts, merged, unpack_note
from mastery_engine.domain.events.event import LearningEvent, decode
from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.commands import command
from tests.support.fleet import DEAD, EVENTS, REQUESTS, RESULTS, Fleet, Foreign, event, pause, until
from tests.support.live import Live
from tests.support.real_servers import RealServers

pytestmark = [pytest.mark.xdist_group("privacy"), pytest.mark.timeout(240)]

Json = dict[str, Any]


@pytest.fixture(scope="module")
def fleet(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Redis that, killed, forgets all since it was last told to save."""
    home = tmp_path_factory.mktemp("privacy")
    with (
        real_servers.started("Apache Kafka", lambda: Kafka(home=home / "kafka")) as kafka,
        real_servers.started("Redis", lambda: Redis(home=home / "redis", persistence="none")) as redis,
    ):
        fleet = Fleet(kafka, redis, home)
        yield fleet
        fleet.close()


@pytest.fixture(scope="module")
def api(fleet: Fleet) -> Live:
    return fleet.api()


class Stream:
    """One student's quizzes without end, past the API, as another service sends them."""

    def __init__(self, fleet: Fleet, student: str) -> None:
        self.foreign, self.student, self.sent = Foreign(fleet.kafka), student, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.wait(0.005):
            made = event(f"{self.student}-{self.sent}", random.Random(self.sent), self.student)
            data = {"total_questions": 1_000, "correct_answers": self.sent % 1_001}
            made |= {"event_type": "quiz", "data": data, "timestamp": datetime.now(UTC).isoformat()}
            self.foreign.put_events([made])
            self.sent += 1

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.foreign.flush()


def everything_in(redis: Redis) -> bytes:
    """All keys and values of Redis, as one text."""
    client = redis_client.Redis.from_url(redis.url)
    found: list[bytes] = []
    for name in client.scan_iter(count=1_000):
        found.append(name)
        kind = client.type(name)
        if kind == b"string":
            found.append(client.get(name) or b"")
        elif kind != b"none":  # a key whose life has just ended
            read = {
                b"hash": client.hgetall,
                b"set": client.smembers,
                b"stream": client.xrange,
                b"zset": lambda one: client.zrange(one, 0, -1),
            }[kind]
            found.append(repr(read(name)).encode())
    client.close()
    return b"\n".join(found)


def asked(api: Live, method: str, path: str, body: Json | None = None, status: int = 200) -> Any:
    with api.client() as client:
        answer = client.request(method, f"/compliance/{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json().get("data")


def test_who_is_erased_while_events_stream_in_stays_erased(fleet: Fleet, api: Live) -> None:
    student = f"erased-{uuid4().hex}"
    worker, other = fleet.worker(), fleet.worker()
    with Stream(fleet, student) as stream:
        until(lambda: student.encode() in everything_in(fleet.redis))
        asked(api, "PUT", f"students/{student}/consent", {"profiling": True})
        worker.pause()
        pause(0.3)
        said = asked(api, "DELETE", f"students/{student}")
        worker.resume()
        pause(1)
    assert stream.sent > 50
    topics = {one["where"]: one["until"] for one in said["ages_out"] if one["where"].startswith("topic ")}
    assert topics.keys() == {f"topic {name}" for name in (REQUESTS, RESULTS, EVENTS, DEAD)}
    assert all(one > said["erased_at"] for one in topics.values())
    fleet.wait_until_worked()
    assert student.encode() not in everything_in(fleet.redis)
    asked(api, "GET", f"students/{student}/export", status=404)
    dead = fleet.records(DEAD)
    buried = [one for one in dead if student.encode() in (one.key() or b"") + (one.value() or b"")]
    assert buried == []
    assert dead
    for one in (worker, other):
        one.stop()
    command(fleet, "replay")
    assert student.encode() not in everything_in(fleet.redis)


def test_what_counts_was_allowed_when_it_was_received_and_a_replay_says_the_same(fleet: Fleet, api: Live) -> None:
    student = f"wavering-{uuid4().hex}"
    worker = fleet.worker()

    def is_as_saved(saved: float | None) -> bool:
        return quiz_of(api, student) == saved

    def has_moved(as_saved: Callable[[], bool]) -> bool:
        return not as_saved()

    with Stream(fleet, student) as stream:
        for turn in range(6):
            pause(0.2)
            if turn % 3 == 0:
                worker.pause()
            asked(api, "PUT", f"students/{student}/consent", {"processing": turn % 2 == 1})
            if turn == 1:
                fleet.redis.save()
                as_saved = partial(is_as_saved, quiz_of(api, student))
            if turn % 3 == 2:
                worker.resume()
            if turn == 2:
                until(partial(has_moved, as_saved))
            if turn == 4:
                fleet.redis.kill()
                fleet.redis.start()
                until(as_saved)
        pause(0.2)
    fleet.wait_until_worked()
    mean = mean_allowed(fleet, student, stream.sent)
    until(lambda: quiz_of(api, student) == pytest.approx(mean, abs=2e-4))
    worker.stop()
    command(fleet, "replay")
    assert quiz_of(api, student) == pytest.approx(mean, abs=2e-4)
    said = command(fleet, "export", student, "--scan-log")
    assert {one["event_id"] for one in said["events"]} == {one.event_id for one in events_of(fleet, student)}


def quiz_of(api: Live, student: str) -> float | None:
    """None where the student is not known (yet)."""
    with api.client() as client:
        answer = client.post("/mastery/query", json={"student_id": student})
    return float(answer.json()["data"]["current_mastery"]["components"]["quiz"]) if answer.is_success else None


def mean_allowed(fleet: Fleet, student: str, sent: int) -> float:
    """The mean of the results that were allowed at their receipt, by the log alone."""
    history = history_of(fleet)
    received = events_of(fleet, student)
    allowed = [one for one in received if counts(one, history, default=True)]
    assert 0 < len(allowed) < len(received) == sent
    return sum(one.data.correct_answers for one in allowed) / len(allowed) / 1_000  # type: ignore[attr-defined]


def history_of(fleet: Fleet) -> History:
    """The longest history in the topic, as a foreign client reads it."""
    found: dict[bytes, History] = {}
    for one in fleet.records("mastery.consent"):
        name = one.key() or b""
        found[name] = merged(found.get(name, ()), unpack_note(one.value() or b"", one.timestamp()[1] * 1_000))
    return max(found.values(), key=len)


def events_of(fleet: Fleet, student: str) -> list[LearningEvent]:
    return [
        decode(one.value() or b"", received=one.timestamp()[1] * 1_000)
        for one in fleet.records(REQUESTS)
        if one.key() == student.encode()
    ]


def test_the_topic_of_consent_holds_no_names(fleet: Fleet, api: Live) -> None:
    asked(api, "PUT", "students/a-plain-name/consent", {"profiling": False})
    assert all(
        b"a-plain-name" not in (one.key() or b"") + (one.value() or b"") for one in fleet.records("mastery.consent")
    )
    again = fleet.api()  # another replica knows it too
    assert asked(again, "GET", "students/a-plain-name/consent")["profiling"] is False
