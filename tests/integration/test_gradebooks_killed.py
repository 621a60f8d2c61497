"""`kill -9` while scores go to a strict gradebook, which is away at times: each change comes once, and in order.

MASTERY_SEED repeats a run's moments; CHAOS_ROUNDS sets the number of kills.
"""

import json
import os
import random
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from math import floor
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.servers.cache import free_port
from scripts.servers.process import Server
from tests.support.fleet import RESULTS, Fleet, bare_fleet
from tests.support.live import COMMAND, Live, environment
from tests.support.lti_platform import CLIENT, DEPLOYMENT, LEARNER, ForeignPlatform, Visitor, platform_at
from tests.support.strict_gradebook import StrictGradebook, gradebook_at

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(300)]

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "3"))
PEOPLE = ("ada", "bob", "eve")

Json = dict[str, Any]


@dataclass
class Running:
    """The service: where it answers, what is killed, and what it published of each student, in order."""

    api: Live
    killed: Server
    published: Callable[[], dict[str, list[float]]]


@contextmanager
def on_sqlite(home: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    with Live(home / "data", home=home, **settings_on(free_port())) as live:
        yield Running(live, live, lambda: published_in(home / "data"))


@contextmanager
def on_kafka(home: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    fleet = bare_fleet(request.getfixturevalue("kafka"), request.getfixturevalue("redis_server"), home)
    port = free_port()
    api = fleet.api(**settings_on(port))
    worker = fleet.worker(**{name: value for name, value in settings_on(port).items() if name != "PORT"})
    yield Running(api, worker, lambda: published_to(fleet))
    fleet.close()


def settings_on(port: int) -> dict[str, str]:
    return {"PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}", "LTI_ALLOW_PRIVATE": "true"}


def published_in(data_dir: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with sqlite3.connect(data_dir / "mastery.db") as database:
        rows = database.execute("SELECT value FROM results WHERE topic = ? ORDER BY seq", (RESULTS,)).fetchall()
    for (value,) in rows:
        note(found, value)
    return found


def published_to(fleet: Fleet) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    known: set[str] = set()
    for record in fleet.records(RESULTS):
        value = record.value() or b"{}"
        event_id = json.loads(value)["event_id"]
        if event_id not in known:  # after a crash a result may come again, under its id
            known.add(event_id)
            note(found, value)
    return found


def note(found: dict[str, list[float]], value: bytes) -> None:
    said = json.loads(value)
    found.setdefault(said["student_id"], []).append(said["mastery_score"])


def add_platform(running: Running, foreign: ForeignPlatform) -> None:
    named = {"issuer": foreign.url, "client-id": CLIENT, "deployment-id": DEPLOYMENT}
    named |= {
        f"{name}-url": f"{foreign.url}/{at}" for name, at in (("auth", "auth"), ("token", "token"), ("jwks", "keys"))
    }
    words = [word for name, value in named.items() for word in (f"--{name}", value)]
    given = environment(running.api.data_dir, running.api.settings)
    subprocess.run([*COMMAND, "lti", "add", *words], env=given, check=True, timeout=60, capture_output=True)


def launch(running: Running, foreign: ForeignPlatform, who: str) -> str:
    """The id of who is launched, which is in the address of their page."""
    with httpx.Client(base_url=running.api.url, timeout=30) as browser:
        begun = browser.get("/lti/login", params=foreign.login_fields(who))
        opened = browser.post("/lti/launch", data=foreign.answer(begun.headers["location"]))
        for _ in range(5):
            place = opened.headers.get("location", "")
            if "/students/" in place:
                return place.partition("/students/")[2].partition("?")[0].partition("#")[0]
            opened = browser.get(place)
    raise AssertionError(f"the launch of {who} ended at {opened.url}: {opened.text[:500]}")


def answer(running: Running, student_id: str, event_id: str, correct: int) -> bool:
    data = {"total_questions": 100, "correct_answers": correct}
    event = {"event_id": event_id, "event_type": "quiz", "student_id": student_id, "data": data}
    event["timestamp"] = datetime.now(UTC).isoformat()
    with suppress(httpx.TransportError), running.api.client() as client:
        return client.post("/mastery/ingest", json=event).status_code == 202
    return False


def stream(running: Running, students: list[str], chance: random.Random, over: threading.Event) -> None:
    number = 0
    while not over.is_set():
        number += 1
        student_id, correct = chance.choice(students), chance.randint(0, 100)
        while not answer(running, student_id, f"e{number}", correct) and not over.is_set():
            time.sleep(0.05)
        time.sleep(0.02)


def in_per_cent(scores: list[float]) -> list[int]:
    """The changes of whole per cents."""
    return [one for one, _ in groupby(floor(round(100 * score, 6)) for score in scores)]


def holds_within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("opened", [on_sqlite, on_kafka])
def test_killed_between_it_sends_each_change_once_and_in_order(
    opened: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = int(os.environ.get("MASTERY_SEED", random.randrange(2**32)))
    print(f"MASTERY_SEED={seed}")
    chance = random.Random(seed)
    with platform_at() as foreign, gradebook_at(foreign) as book, opened(tmp_path, request) as running:
        foreign.tool_url = running.api.url
        foreign.people = {who: Visitor(f"sub-{who}", who, LEARNER) for who in PEOPLE}
        foreign.forge = lambda claims: book.claims(claims, 1)
        add_platform(running, foreign)
        time.sleep(2.1)  # until the service has read its platforms again
        students = {launch(running, foreign, who): f"sub-{who}" for who in PEOPLE}
        for student_id in students:
            assert answer(running, student_id, "first", 50)
        assert holds_within(60, lambda: all(book.given(sub) for sub in students.values())), running.api.log_text()[
            -3_000:
        ]
        over = threading.Event()
        sender = threading.Thread(target=stream, args=(running, list(students), random.Random(chance.random()), over))
        sender.start()
        try:
            disturb(running, book, chance)
        finally:
            book.answers = None
            over.set()
            sender.join(60)
        check(running, book, students)


def disturb(running: Running, book: StrictGradebook, chance: random.Random) -> None:
    """Kill the service at random moments of its work, while the gradebook is away at times."""
    for number in range(ROUNDS):
        book.answers = 503 if number % 3 == 1 else None
        asked = book.asked
        holds_within(15, lambda asked=asked: book.asked > asked + chance.randint(0, 4))  # type: ignore[misc]
        time.sleep(0.05 * chance.random())
        running.killed.kill()
        running.killed.start()


def check(running: Running, book: StrictGradebook, students: dict[str, str]) -> None:
    def is_whole() -> bool:
        published = running.published()
        return all(book.given(sub) == in_per_cent(published[one]) for one, sub in students.items())

    is_done = holds_within(90, is_whole)
    published = running.published()
    for student_id, sub in students.items():
        assert book.given(sub) == in_per_cent(published[student_id])
    assert is_done
    assert book.refused == [], "a score came late, or was not as AGS has it"
    assert sum(len(book.given(sub)) for sub in students.values()) > 3 * ROUNDS
    print(f"{sum(map(len, book.taken.values()))} scores, {len(book.repeats)} repeats after crashes, {book.asked} calls")
