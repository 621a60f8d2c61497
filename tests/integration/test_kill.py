"""`kill -9` of the serving process at random moments while events stream in: nothing is lost or counted twice.

MASTERY_SEED repeats a run's moments, CHAOS_ROUNDS sets the number of kills (20, or as many as fit into half a minute).
"""

import asyncio
import json
import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import oracle as plain
from tests.support.live import Live, bearer, make_token

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "20"))
LONGEST_S = None if "CHAOS_ROUNDS" in os.environ else 30.0
SENDERS = 4
STUDENTS = [f"student_{number}" for number in range(12)]
CALCULATED = [f"calculated_{number}" for number in range(3)]

Json = dict[str, Any]
Key = tuple[str, str]


@dataclass
class Sent:
    """What went out: every event by student and id, and those of them that were acknowledged."""

    events: dict[Key, Json] = field(default_factory=dict)
    acknowledged: set[Key] = field(default_factory=set)
    components: dict[str, Json] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)


@dataclass
class Sender:
    """One connection, which sends new events, old ones once more, and both together."""

    name: str
    live: Live
    sent: Sent
    chance: random.Random
    made: int = 0

    async def stream(self, over: asyncio.Event) -> None:
        headers = bearer(make_token("service", subject=self.name))
        async with httpx.AsyncClient(base_url=self.live.url, headers=headers, timeout=10) as client:
            while not over.is_set():
                await self._send(client)

    async def _send(self, client: httpx.AsyncClient) -> None:
        """Send some events; where no answer comes give up after a while, not knowing what became of them."""
        events = [self._next() for _ in range(1 if self.chance.random() < 0.6 else self.chance.randint(2, 20))]
        while True:
            try:
                return await self._ingest(client, events)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                if self.chance.random() < 0.1:
                    return None

    def _next(self) -> Json:
        """A new event, or one in four times one that went out before, acknowledged or not."""
        if self.sent.events and self.chance.random() < 0.25:
            return self.chance.choice(list(self.sent.events.values()))
        self.made += 1
        made = event(f"{self.name}-{self.made}", self.chance)
        self.sent.events[made["student_id"], made["event_id"]] = made
        return made

    async def _ingest(self, client: httpx.AsyncClient, events: list[Json]) -> None:
        if len(events) == 1:
            answer = await client.post("/mastery/ingest", json=events[0])
        else:
            answer = await client.post("/mastery/ingest/batch", json={"events": events})
        self.sent.answers[answer.status_code] += 1
        if answer.status_code == 202:
            assert len(events) == 1 or answer.json()["data"]["refused"] == 0, answer.text
            self.sent.acknowledged.update((one["student_id"], one["event_id"]) for one in events)
        else:
            assert answer.status_code == 503, answer.text


@dataclass
class Calculator(Sender):
    """Calculates and records, one student after another; what was not answered is sent again with its key."""

    async def _send(self, client: httpx.AsyncClient) -> None:
        self.made += 1
        student_id = self.chance.choice(CALCULATED)
        components = {name: self.chance.randint(0, 100) / 100 for name in plain.WEIGHTS}
        while True:
            with suppress(httpx.TransportError):
                answer = await client.post(
                    "/mastery/calculate",
                    json={"student_id": student_id, "components": components},
                    headers={"Idempotency-Key": f"{self.name}-{self.made}"},
                )
                self.sent.answers[answer.status_code] += 1
                assert answer.status_code in (200, 503), answer.text
                if answer.status_code == 200:
                    assert answer.json()["data"]["current_mastery"]["components"] == components
                    self.sent.components[student_id] = components
                    return
            await asyncio.sleep(0.02)


def event(event_id: str, chance: random.Random) -> Json:
    """An event of the last 60 days; one in eight is about a student whose components are also set directly."""
    data: Json
    match chance.choice(["completion", "quiz", "quality", "consistency", "answer", "execution"]):
        case "completion" as kind:
            total = chance.randint(1, 30)
            data = {"total_exercises": total, "completed_exercises": chance.randint(0, total)}
            data |= {"difficulty": chance.choice(["beginner", "advanced"]), "topic": chance.choice("abcd")}
        case "quiz" as kind:
            total = chance.randint(1, 30)
            data = {"total_questions": total, "correct_answers": chance.randint(0, total)}
        case "quality" as kind:
            scores = ("code_quality_score", "correctness_score", "efficiency_score")
            data = {name: chance.randint(0, 100) / 100 for name in scores}
        case "consistency" as kind:
            data = {"current_streak": chance.randint(0, 5), "days_since_last_activity": chance.randint(0, 3)}
        case "answer" as kind:
            data = {"item_id": "i", "skills": ["loops"], "correct": chance.random() < 0.5}
        case kind:
            data = {"outcome": "success", "topic": "loops"}
    at = datetime.now(UTC) - timedelta(days=1 + 59 * chance.random())
    student_id = chance.choice(CALCULATED if chance.random() < 0.125 else STUDENTS)
    return {
        "event_id": event_id,
        "event_type": kind,
        "student_id": student_id,
        "timestamp": at.isoformat(),
        "data": data,
    }


async def kill_again_and_again(live: Live, sent: Sent, chance: random.Random) -> int:
    """Kill and start until there were enough rounds, or the time is over; how many there were."""
    began = time.monotonic()
    for done in range(ROUNDS):
        if LONGEST_S is not None and time.monotonic() - began > LONGEST_S:
            return done
        enough = sent.answers.total() + chance.randint(0, 60)
        async with asyncio.timeout(20):
            while sent.answers.total() < enough:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05 * chance.random())
        live.kill()
        await asyncio.to_thread(live.start)
    return ROUNDS


async def statuses(live: Live, keys: list[Key]) -> dict[Key, str]:
    """What the service says of each event."""
    found: dict[Key, str] = {}
    waiting = iter(keys)

    async def ask(client: httpx.AsyncClient) -> None:
        for student_id, event_id in waiting:
            answer = await client.get(f"/students/{student_id}/events/{event_id}")
            assert answer.status_code == 200, answer.text
            found[student_id, event_id] = answer.json()["data"]["status"]

    async with httpx.AsyncClient(base_url=live.url, headers=bearer(make_token()), timeout=30) as client:
        await asyncio.gather(*(ask(client) for _ in range(8)))
    return found


async def settled(live: Live) -> None:
    """Return once nothing waits in the log."""
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=live.url, timeout=30) as client:
        await asyncio.sleep(1.2)  # the depth is measured when the worker has nothing to do, or after a batch
        while "mastery_queue_depth 0.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.1)


@pytest.mark.timeout(0 if LONGEST_S is None else 240)
@pytest.mark.chaos
async def test_killed_at_random_moments_it_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    seed = int(os.environ.get("MASTERY_SEED", random.randrange(2**32)))
    print(f"MASTERY_SEED={seed}")
    chance = random.Random(seed)
    sent, over = Sent(), asyncio.Event()
    with Live(tmp_path / "data", home=tmp_path) as live:
        made = [Sender(f"sender{n}", live, sent, random.Random(chance.random())) for n in range(SENDERS)]
        made.append(Calculator("calculator", live, sent, random.Random(chance.random())))
        async with asyncio.TaskGroup() as senders:
            for one in made:
                senders.create_task(one.stream(over))
            rounds = await kill_again_and_again(live, sent, chance)
            over.set()
        print(f"{rounds} kills, {len(sent.events)} events, {len(sent.acknowledged)} acknowledged, {sent.answers}")
        assert rounds >= 3
        assert sent.answers[202] > 5 * rounds, "too little was sent for this to mean anything"
        assert sent.answers[200] > 0

        await settled(live)
        found = await statuses(live, list(sent.events))
        assert [key for key in sent.acknowledged if found[key] != "processed"] == []
        unsettled = [key for key, status in found.items() if status not in ("processed", "not_processed")]
        assert unsettled == []
        await check_scores(live, [sent.events[key] for key, status in found.items() if status == "processed"], sent)
        live.stop()
        assert live.exit_code == 0
    check_results(tmp_path / "data", {key for key, status in found.items() if status == "processed"})


async def check_scores(live: Live, events: list[Json], sent: Sent) -> None:
    """Every student's state is what a plain computation makes of the events that were processed."""
    now = datetime.now(UTC)
    expected = plain.score([(one, now) for one in events], now)
    async with httpx.AsyncClient(base_url=live.url, headers=bearer(make_token()), timeout=30) as client:
        for student_id in sorted(expected.keys() | sent.components.keys()):
            answer = await client.post("/mastery/query", json={"student_id": student_id})
            current = answer.json()["data"]["current_mastery"]
            if student_id in sent.components:
                assert current["components"] == sent.components[student_id], student_id
                continue
            wanted = expected[student_id]
            components = {name: value or 0.0 for name, value in wanted.components.items()}
            assert current["components"] == pytest.approx(components, abs=1e-4), student_id
            assert current["mastery_score"] == pytest.approx(wanted.score, abs=1e-4), student_id
            assert current["coverage"] == pytest.approx(wanted.coverage, abs=1e-4)
            assert current["level"] == wanted.level


def check_results(data_dir: Path, processed: set[Key]) -> None:
    """Every event that was processed has caused one update, and no more."""
    with sqlite3.connect(data_dir / "mastery.db") as connection:
        rows = connection.execute("SELECT topic, value FROM results").fetchall()
    updates = [json.loads(value) for topic, value in rows if topic == "mastery.results"]
    ids = [json.loads(value)["event_id"] for _, value in rows]
    assert len(set(ids)) == len(ids)
    causes = Counter((one["student_id"], cause) for one in updates for cause in one["caused_by"])
    assert {key: times for key, times in causes.items() if times > 1} == {}
    assert [key for key in processed if key not in causes] == []
    assert {key for key in causes if key[0] in STUDENTS} <= processed
