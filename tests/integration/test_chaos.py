"""Random rounds: workers, the API, Redis and Kafka are killed, stopped and frozen under a load with repeats and poison.

CHAOS_ROUNDS sets how many (5; `make chaos` does 50), MASTERY_SEED repeats a run.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from mastery_engine.domain.people.identity import Identity, external_student_id
from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.fleet import COURSES, Fleet, Foreign, Json, Load, Place, Worker, event, pause, place_of, seed
from tests.support.live import SECRET, Live
from tests.support.real_servers import RealServers

PEOPLE = 4  # who have identities of other platforms
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "5"))

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.chaos, pytest.mark.timeout(0 if ROUNDS > 5 else 240)]


@pytest.fixture
def fleet(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("chaos")
    with (
        real_servers.started("Apache Kafka", lambda: Kafka(home=home / "kafka")) as kafka,
        real_servers.started("Redis", lambda: Redis(home=home / "redis", persistence="snapshots")) as redis,
    ):
        fleet = Fleet(kafka, redis, home)
        yield fleet
        fleet.close()


class Chaos:
    """Two workers and a replica of the API, and what may befall them."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self.fleet, self.chance = fleet, chance
        self.workers: list[Worker] = [fleet.worker(), fleet.worker()]
        self.api: Live = fleet.api()
        self.foreign = Foreign(fleet.kafka)
        self.acknowledged: set[Place] = set()
        self.sent: list[Json] = []
        self.linked: dict[str, str] = {}
        self._left = [Identity("https://lms.example", f"{number}") for number in range(PEOPLE)]
        self._own = {self._own_id(person): f"http_{person.id}" for person in self._left}

    @staticmethod
    def _own_id(person: Identity) -> str:
        """Under what the events of a person come whom no profile names."""
        return external_student_id(SECRET.encode(), "default", person)

    def round(self) -> str:
        faults: list[Callable[[], Any]] = [self.kill, self.stop, self.freeze, self.no_api, self.no_redis]
        fault = self.chance.choice([*faults, self.no_kafka, self.neither])
        self.ingest()
        self.link()
        fault()
        self.ingest()
        self.link()
        pause(self.chance.random())
        return fault.__name__

    def ingest(self) -> None:
        """Some events over HTTP and some to Kafka, under both ids of people; whatever is acknowledged is to be kept."""
        with self.api.client() as client:
            for _ in range(self.chance.randint(1, 5)):
                one = self._next()
                with suppress(httpx.TransportError):
                    if client.post("/mastery/ingest", json=one).status_code == 202:
                        self.acknowledged.add(place_of(one))
        self.foreign.put_events([self._next() for _ in range(self.chance.randint(1, 5))])

    def _next(self) -> Json:
        """A new event, or one from before, perhaps under another id of the same person."""
        whose = f"http_{self.chance.randrange(9)}", self.chance.choice(list(self._own))
        if not self.sent or self.chance.random() < 0.7:
            self.sent.append(event(f"http-{len(self.sent)}", self.chance, self.chance.choice(whose), COURSES))
            return self.sent[-1]
        one = self.chance.choice(self.sent)
        ids = next((ids for ids in self._own.items() if one["student_id"] in ids), (one["student_id"],))
        return {**one, "student_id": self.chance.choice(ids)}

    def link(self) -> None:
        """Give somebody the identity of which events came, perhaps, until it is acknowledged."""
        if self._left:
            person = self._left[0]
            with self.api.client() as client, suppress(httpx.TransportError):
                body = {"external": [{"system": person.system, "id": person.id}]}
                if client.put(f"/students/http_{person.id}/profile", json=body).status_code == 200:
                    self.linked[self._own_id(person)] = f"http_{person.id}"
                    self._left.pop(0)

    def link_all(self) -> None:
        """As whoever had no answer: again."""
        deadline = time.monotonic() + 60
        while self._left:
            self.link()
            assert time.monotonic() < deadline, self.fleet.logs()
        self.foreign.flush()

    def _one(self) -> Worker:
        return self.workers.pop(self.chance.randrange(len(self.workers)))

    def kill(self) -> None:
        self._one().kill()
        self.workers.append(self.fleet.worker())

    def stop(self) -> None:
        one = self._one()
        one.stop()
        assert one.exit_code == 0, one.log_text()[-3_000:]
        self.workers.append(self.fleet.worker())

    def freeze(self) -> None:
        one = self.chance.choice(self.workers)
        one.pause()
        pause(3 * self.chance.random())
        one.resume()

    def no_api(self) -> None:
        self.api.kill()
        self.api.start()

    def no_redis(self) -> None:
        self.fleet.redis.kill()
        pause(self.chance.random())
        self.fleet.redis.start()

    def no_kafka(self) -> None:
        self.fleet.kafka.kill()
        pause(self.chance.random())
        self.fleet.kafka.start()

    def neither(self) -> None:
        self.fleet.kafka.kill()
        self.no_redis()
        self.fleet.kafka.start()


async def test_whatever_befalls_them_nothing_is_lost_or_counted_twice(fleet: Fleet) -> None:
    chance = random.Random(seed())
    chaos = Chaos(fleet, chance)
    with Load(fleet, "chaos", random.Random(chance.random())) as load:
        for number in range(ROUNDS):
            print(f"round {number + 1}: {chaos.round()}")
    chaos.link_all()
    fleet.wait_until_worked(60)
    truth = await fleet.check(chaos.linked)
    acknowledged = {(tenant, chaos.linked.get(one, one), *more) for tenant, one, *more in chaos.acknowledged}
    assert load.ids | acknowledged <= truth.ids
    print(f"{len(truth.ids)} events, {len(chaos.acknowledged)} of them over HTTP, {len(truth.refused)} refused")
