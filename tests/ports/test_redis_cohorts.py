"""Cohorts in Redis: what a question about one student costs, and words that an older engine wrote."""

import asyncio
from collections.abc import Iterable

import msgspec
import pytest

from mastery_engine.backends.redis.client import Client, connect, disconnect
from mastery_engine.backends.redis.cohorts import RedisCohorts
from mastery_engine.backends.redis.keys import life_ms
from mastery_engine.domain.cohorts.cohort import Cohort, Due, Naming
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.cohorts import Join
from scripts.servers.redis import Redis, RedisCluster
from tests.support.samples import NOW, TODAY
from tests.support.stores import ADA, BOB, EVE, RETENTION_DAYS, calendars_of, on, roster, stores_fixture

stores = stores_fixture()
pytestmark = pytest.mark.parametrize("stores", on("redis", "cluster"), indirect=True)

EXAM, ESSAY = Due(TODAY, "loops", "exam", 60), Due(TODAY + 1)
CLASS = Cohort("Class", ("ada",), ("eve",), (EXAM,))
RECORD = "mastery:cohort:{default:py}"


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Redis | RedisCluster:
    """The one that the stores are on."""
    name = request.node.callspec.params["stores"]
    server: Redis | RedisCluster = request.getfixturevalue({"redis": "redis_server", "cluster": "redis_cluster"}[name])
    return server


def calls(server: Redis | RedisCluster, command: str) -> int:
    """How often the servers have run a command, on their own or within a script."""
    count = 0
    for node in server.nodes if isinstance(server, RedisCluster) else [server]:
        with node.client() as client:
            count += client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)
    return count


def write_as_an_older_engine(server: Redis | RedisCluster, version: int, cohort: Cohort) -> None:
    """The word and its hints, and nothing of calendars."""
    with server.client() as client:
        client.set(RECORD, version.to_bytes(8, "big") + msgspec.msgpack.encode(cohort))
        for student_id in cohort.put:
            client.sadd(f"mastery:{{default:{student_id}}}:g", "py")


async def due(stores: Stores, key: StudentKey) -> list[Due]:
    calendars = await calendars_of(stores.cohorts, key, ["py"], since=TODAY)
    assert calendars.keys() <= {"py"}
    return list(calendars.get("py", ()))


async def test_words_of_an_older_engine_count_before_and_after_one_of_ours(
    stores: Stores, server: Redis | RedisCluster
) -> None:
    await stores.cohorts.join([Join(EVE, "py", TODAY), Join(BOB, "py", TODAY)])
    write_as_an_older_engine(server, 1, CLASS)
    assert [await due(stores, key) for key in (ADA, BOB, EVE)] == [[EXAM], [EXAM], []]
    write_as_an_older_engine(server, 2, Cohort("Two", ("eve",), ("bob",), (ESSAY,)))
    assert [await due(stores, key) for key in (ADA, BOB, EVE)] == [[], [], [ESSAY]]
    assert await stores.cohorts.put("default", "py", 2, Cohort("Three", ("ada", "eve"), ("bob",), (EXAM,)))
    assert [await due(stores, key) for key in (ADA, BOB, EVE)] == [[EXAM], [], [EXAM]]
    write_as_an_older_engine(server, 4, Cohort("Four", ("bob",), ("ada",), (ESSAY,)))
    assert [await due(stores, key) for key in (ADA, BOB, EVE)] == [[], [ESSAY], [ESSAY]]
    assert await stores.cohorts.put("default", "py", 4, Cohort("Five", ("bob",), (), (EXAM,)))
    assert [await due(stores, key) for key in (ADA, BOB, EVE)] == [[], [EXAM], [EXAM]]
    assert (await roster(stores.cohorts)).version == 5


async def test_who_joined_by_an_older_engine_did_so_in_the_default_course(
    stores: Stores, server: Redis | RedisCluster
) -> None:
    with server.client() as client:
        client.zadd(f"{RECORD}:in", {"ada": TODAY})
    await stores.cohorts.join([Join(BOB, "py", TODAY, Naming(NOW, "art")), Join(BOB, "new", TODAY, Naming(NOW, "art"))])
    assert [(await roster(stores.cohorts, name)).course_id for name in ("py", "new")] == ["default", "art"]


async def test_a_question_about_one_student_reads_no_roster(stores: Stores, server: Redis | RedisCluster) -> None:
    members = tuple(f"s{number}" for number in range(3_000))
    for cohort_id in ("py", "go", "rust"):
        assert await stores.cohorts.put("default", cohort_id, 0, Cohort(cohort_id, ("ada", *members), (), (EXAM,)))
    await stores.cohorts.join([Join(StudentKey("default", name), "py", TODAY) for name in members])
    reads = ("get", "smembers", "hgetall", "zrange", "zrangebyscore", "eval")
    before = {command: calls(server, command) for command in reads}
    assert (await calendars_of(stores.cohorts, ADA, ["py", "elsewhere"], since=TODAY)).keys() == {"py", "go", "rust"}
    cost = {command: calls(server, command) - before[command] for command in reads}
    # One round trip to one server; a Cluster's shards are each asked for their cohorts.
    scripts = 1 if isinstance(server, Redis) else 4
    # Of each cohort that an admin spoke of, the first event that named it is read besides.
    assert cost == {**dict.fromkeys(reads, 0), "smembers": 1, "eval": scripts, "get": 3}


async def test_a_hint_that_a_crash_left_behind_makes_nobody_a_member(
    stores: Stores, server: Redis | RedisCluster
) -> None:
    """Hints are written before the word, and taken back after it."""
    assert await stores.cohorts.put("default", "py", 0, CLASS)
    with server.client() as client:
        client.sadd("mastery:{default:bob}:g", "py", "never-written")
        client.sadd("mastery:{default:eve}:g", "py")
    assert await stores.cohorts.put_into(BOB) == {"py", "never-written"}
    assert [await due(stores, key) for key in (ADA, BOB, EVE)] == [[EXAM], [], []]


class SlowToTakeBack(RedisCohorts):
    """Takes no hint back before it may."""

    def __init__(self, client: Client, *, life_ms: int) -> None:
        super().__init__(client, life_ms=life_ms)
        self.is_about_to, self.may = asyncio.Event(), asyncio.Event()

    async def _hint(self, change: str, cohort_id: str, hints: Iterable[str]) -> None:
        if change == "srem":
            self.is_about_to.set()
            await self.may.wait()
        await super()._hint(change, cohort_id, hints)


async def test_who_is_put_in_again_meanwhile_is_not_lost(stores: Stores, server: Redis | RedisCluster) -> None:
    client = connect(server.url)
    slow = SlowToTakeBack(client, life_ms=life_ms(RETENTION_DAYS))
    assert await stores.cohorts.put("default", "py", 0, CLASS)
    taking_out = asyncio.create_task(slow.put("default", "py", 1, Cohort("Two", ("bob",), (), (EXAM,))))
    await slow.is_about_to.wait()
    assert await stores.cohorts.put("default", "py", 2, Cohort("Three", ("ada",), (), (EXAM,)))
    slow.may.set()
    assert await taking_out
    assert [await stores.cohorts.put_into(key) for key in (ADA, BOB)] == [{"py"}, frozenset()]
    assert [await due(stores, key) for key in (ADA, BOB)] == [[EXAM], []]
    await disconnect(client)


async def test_of_many_words_at_once_the_hints_are_those_of_the_last(stores: Stores) -> None:
    async def change(turn: int) -> None:
        before = await roster(stores.cohorts)
        put = {*before.cohort.put} ^ {f"s{turn % 5}", f"s{turn % 3}"}
        await stores.cohorts.put("default", "py", before.version, Cohort("Class", tuple(sorted(put))))

    for _ in range(20):
        await asyncio.gather(*map(change, range(10)))
    put = (await roster(stores.cohorts)).cohort.put
    for student_id in (f"s{number}" for number in range(5)):
        hinted = await stores.cohorts.put_into(StudentKey("default", student_id))
        assert hinted == ({"py"} if student_id in put else frozenset())


async def test_a_word_that_lost_leaves_what_the_other_said(stores: Stores, server: Redis | RedisCluster) -> None:
    assert await stores.cohorts.put("default", "py", 0, CLASS)
    assert not await stores.cohorts.put("default", "py", 0, Cohort("late", ("bob",), ("ada",), (ESSAY,)))
    assert [await due(stores, key) for key in (ADA, BOB, EVE)] == [[EXAM], [], []]
    assert await stores.cohorts.put_into(BOB) == frozenset()
    with server.client() as client:
        told = client.hgetall(f"{RECORD}:by")
    assert told.keys() == {b":version", b":calendar", b"ada", b"eve"}
