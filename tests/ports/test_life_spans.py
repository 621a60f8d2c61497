"""What is still true after months behind Dapr, where keys expire: on a fake state, whose clock the tests move.

A retention is 90 days. What an index leads to must not be lost with the index, and no index may grow without end.
"""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from zlib import crc32

import msgspec
import pytest

from mastery_engine.backends.dapr.index import SHARDS, listed
from mastery_engine.backends.dapr.stores import stores_on
from mastery_engine.domain.cohorts.cohort import Cohort, Due, Naming
from mastery_engine.domain.moments import DAY, SECOND, Day, day_of
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import FellBack, Unavailable
from mastery_engine.ports.audit_log import AuditFilter
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.cohorts import Join
from mastery_engine.ports.deliveries import Delivery
from mastery_engine.ports.documents import DocumentChange
from mastery_engine.ports.jobs import BatchJob, names_student
from mastery_engine.ports.registry import RegistryWrite
from mastery_engine.ports.result_cache import LIFE_S, ResultKey
from tests.support import stores as support
from tests.support.dapr_stores import RETENTION_DAYS
from tests.support.fakes.dapr_state import MONGODB, REDIS, FakeDaprState, Gate
from tests.support.samples import NOW, TODAY, Clock
from tests.support.stores import (
    ADA,
    ADAS,
    BOB,
    BOBS,
    EVE,
    calendars_of,
    cold_ids,
    everyone,
    job,
    newest,
    put,
    read,
    record,
    refusal,
    roster,
)

STEP = 13  # days between two days on which anything happens
SPANS = [91, 200, 400]
EXAM = Due(TODAY + 500, "loops", "exam", 60)
CLASS = Cohort("Class", ("ada", "bob"), ("eve",), (EXAM,))


class World:
    """One state, the processes that work on it, and time."""

    def __init__(self, component: str) -> None:
        self.clock = Clock()
        self.sidecar = FakeDaprState(self.clock, component=component)
        self.stores = self.process()

    def process(self) -> Stores:
        """The stores of one more process."""
        return stores_on(self.sidecar.state(), retention_days=RETENTION_DAYS)

    @property
    def today(self) -> Day:
        return day_of(self.clock())

    @property
    def first_day(self) -> Day:
        """The first day that counts."""
        return self.today - RETENTION_DAYS + 1

    async def purge(self) -> None:
        """As once a day, by a process that was started this day."""
        stores = self.process()
        await support.purge(stores, (self.today - RETENTION_DAYS) * DAY)
        await everyone(stores.documents)

    async def pass_days(self, days: int, do: Callable[[], Awaitable[Any]] | None = None, *, purged: bool) -> None:
        """Days pass; every few of them something is done, and the state is purged or not."""
        until = self.clock() + days * DAY
        while self.clock() < until:
            self.clock.tick(min(STEP * DAY, until - self.clock()))
            if do is not None:
                await do()
            if purged:
                await self.purge()

    def names(self, start: str) -> list[str]:
        """All names in the values of an index."""
        return [name for key in self.sidecar.keys_from(f"index:{start}:") for name in self.sidecar.value(key)]

    def mentions(self, text: str) -> list[str]:
        """The keys whose value has this text."""
        return [
            key for key in self.sidecar.keys_from("") if text in msgspec.json.encode(self.sidecar.value(key)).decode()
        ]


@pytest.fixture(params=[REDIS, MONGODB])
async def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


class Process:
    """One process doing one thing, request by request."""

    def __init__(self, world: World, do: Callable[[Stores], Awaitable[Any]]) -> None:
        self._gate = Gate(world.sidecar.transport)
        self.stores = stores_on(world.sidecar.state(transport=self._gate), retention_days=RETENTION_DAYS)
        self.task: asyncio.Task[Any] = asyncio.ensure_future(do(self.stores))

    async def go_on(self, requests: int = 10_000) -> bool:
        """Do so many more requests, or all; whether all is done."""
        await self._gate.let_through(requests, self.task)
        if self.task.done():
            self.task.result()
        return self.task.done()

    async def die(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def interleavings(
    one: Callable[[], Awaitable[tuple[World, Process, Process]]], *, most: int = 100
) -> AsyncIterator[World]:
    """The world after two processes, however one stops and lets the other overtake it: each way a world of its own.

    The first stops after some requests, ``most`` of them, the second after some, the first goes on to its end, and then
    the second.
    """
    first_is_done = False
    before = 0
    while not first_is_done and before <= most:
        second_is_done = False
        between = 0
        while not second_is_done:
            world, first, second = await one()
            first_is_done = await first.go_on(before)
            second_is_done = await second.go_on(between)
            assert await first.go_on()
            assert await second.go_on()
            yield world
            between += 1
        before += 1


PURGED = pytest.mark.parametrize("purged", [False, True], ids=["unpurged", "purged"])
DAYS = pytest.mark.parametrize("days", SPANS)


# ---- students


async def write_each(stores: Stores, students: Sequence[StudentKey | DocumentKey]) -> None:
    """One more event for each of these students."""
    keys = [DocumentKey(*key) for key in students]
    loaded = await stores.documents.load(keys)
    changes = [
        DocumentChange(key, stored.version if stored else 0, support.student(), None)
        for key, stored in zip(keys, loaded, strict=True)
    ]
    assert all(await stores.documents.commit(changes))


@DAYS
@PURGED
async def test_who_goes_on_learning_is_in_the_index_and_clearing_leaves_no_document(
    world: World, days: int, purged: bool
) -> None:
    keys = [DocumentKey("default", f"s{number}") for number in range(50)]
    await write_each(world.stores, keys)
    await put(world.stores.documents, keys[0], 1, cold={1: b"x" * 8})
    await world.pass_days(days, lambda: write_each(world.stores, keys), purged=purged)
    assert sorted(await everyone(world.stores.documents)) == sorted(keys)
    await world.process().documents.clear()
    assert await everyone(world.stores.documents) == []
    assert await world.stores.documents.load(keys) == [None] * 50
    assert not any(world.sidecar.value(key)["body"] for key in world.sidecar.keys_from("d:"))
    assert world.sidecar.keys_from("c:") == []
    world.clock.tick(2 * DAY)
    await world.purge()
    assert world.names("students") == []


@PURGED
async def test_documents_and_cold_ids_expire_and_leave_the_index(world: World, purged: bool) -> None:
    await put(world.stores.documents, ADA, cold={1: b"x" * 8})
    await put(world.stores.documents, BOB, cold={1: b"x" * 8})
    await world.pass_days(RETENTION_DAYS - 1, purged=purged)
    assert await cold_ids(world.stores.documents) == {1: b"x" * 8}
    await put(world.stores.documents, BOB, 1, cold={2: b"y" * 8})
    await world.pass_days(3, purged=purged)
    assert await read(world.stores.documents) is None
    assert await cold_ids(world.stores.documents, BOB) == {2: b"y" * 8}
    assert await everyone(world.stores.documents) == [BOBS]
    assert world.names("students") == ['["default","bob"]']
    assert world.sidecar.keys_from("c:default:ada") == []
    assert await put(world.stores.documents, ADA) or await put(world.process().documents, ADA)
    assert sorted(await everyone(world.stores.documents)) == [ADAS, BOBS]


@pytest.mark.parametrize("component", [REDIS, MONGODB])
async def test_who_writes_while_their_old_name_is_taken_out_is_in_the_index(component: str) -> None:
    key = first_in_the_index()

    async def write(stores: Stores) -> None:
        while not await put(stores.documents, key):
            await read(stores.documents, key)

    async def one() -> tuple[World, Process, Process]:
        world = World(component)
        await put(world.stores.documents, key)
        world.clock.tick(100 * DAY)
        return world, Process(world, lambda stores: anext(stores.documents.all_keys(), None)), Process(world, write)

    ways = 0
    async for world in interleavings(one, most=12):
        assert await read(world.stores.documents, key) is not None
        assert await everyone(world.stores.documents) == [key]
        ways += 1
    assert ways > 80


async def test_who_folds_while_all_is_cleared_begins_anew_and_is_in_the_index() -> None:
    key = first_in_the_index()

    async def fold(stores: Stores) -> None:
        while True:
            stored = await read(stores.documents, key)
            version, number = (0, 0) if stored is None else (stored[0], 1)
            if await put(stores.documents, key, version, number):
                return

    async def one() -> tuple[World, Process, Process]:
        world = World(REDIS)
        await put(world.stores.documents, key, cold={1: b"x" * 8})
        return world, Process(world, lambda stores: stores.documents.clear()), Process(world, fold)

    ways = 0
    outcomes = set()
    async for world in interleavings(one, most=8):
        stored = await read(world.stores.documents, key)
        assert world.sidecar.keys_from("c:") == []
        outcomes.add(None if stored is None else (stored[0], stored[1] == support.student(0)))
        assert await everyone(world.stores.documents) == ([] if stored is None else [key])
        ways += 1
    assert outcomes == {None, (1, True)}
    assert ways > 30


@DAYS
@PURGED
async def test_who_goes_on_learning_in_another_course_is_found_there_by_name(
    world: World, days: int, purged: bool
) -> None:
    rust, go = ADAS._replace(course_id="rust"), ADAS._replace(course_id="go")
    await write_each(world.stores, [rust, go])
    await world.pass_days(days, lambda: write_each(world.stores, [rust]), purged=purged)
    documents = world.process().documents
    (courses,) = await documents.of_students([ADA])
    assert courses.keys() == {"rust"} if days > RETENTION_DAYS + 1 else {"rust"} <= courses.keys()
    assert rust in await everyone(documents)
    await support.erase(world.stores, ADA)
    assert world.mentions("ada") == []
    assert (await documents.of_students([ADA]), await everyone(documents)) == ([{}], [])
    world.clock.tick(2 * DAY)
    assert [key for key in world.sidecar.keys_from("") if "ada" in key] == []


async def test_a_course_whose_document_expired_leaves_the_indexes_and_may_come_again(world: World) -> None:
    rust = ADAS._replace(course_id="rust")
    await write_each(world.stores, [rust, ADAS])
    await world.pass_days(RETENTION_DAYS + 2, lambda: write_each(world.stores, [ADAS]), purged=True)
    assert (world.names("students"), world.names("courses")) == (['["default","ada"]'], [])
    assert await put(world.stores.documents, rust) or await put(world.process().documents, rust)
    (courses,) = await world.stores.documents.of_students([ADA])
    assert courses.keys() == {"default", "rust"}


def first_in_the_index() -> DocumentKey:
    """A student who is in the first of the index's values."""
    keys = [DocumentKey("d", f"s{number}") for number in range(1_000)]
    return next(key for key in keys if crc32(listed(*key.student).encode()) % SHARDS == 0)


# ---- cohorts


async def due(stores: Stores, key: StudentKey, *named: str, since: Day = 0) -> dict[str, list[Due]]:
    calendars = await calendars_of(stores.cohorts, key, named, since=since)
    return {cohort_id: list(calendar) for cohort_id, calendar in calendars.items()}


@DAYS
@PURGED
async def test_what_admins_said_is_so_until_they_say_something_else(world: World, days: int, purged: bool) -> None:
    assert await world.stores.cohorts.put("default", "py", 0, CLASS)
    await world.pass_days(days, purged=purged)
    stores = world.process()
    assert (await roster(stores.cohorts)).cohort == CLASS
    assert await stores.cohorts.put_into(ADA) == {"py"}
    assert [await due(stores, key) for key in (ADA, BOB, EVE)] == [{"py": [EXAM]}, {"py": [EXAM]}, {}]
    await stores.cohorts.join([Join(EVE, "py", world.today)])
    assert await due(stores, EVE, "py") == {}


@DAYS
@PURGED
async def test_who_joins_again_and_again_is_in_and_can_be_taken_out(world: World, days: int, purged: bool) -> None:
    await world.stores.cohorts.put("default", "py", 0, Cohort("Class", (), (), (EXAM,)))
    await world.stores.cohorts.join([Join(ADA, "py", world.today), Join(BOB, "py", world.today)])
    await world.pass_days(days, lambda: world.stores.cohorts.join([Join(ADA, "py", world.today)]), purged=purged)
    stores = world.process()
    assert (await roster(stores.cohorts, since=world.first_day)).joined == {"ada"}
    assert await due(stores, ADA, "py", since=world.first_day) == {"py": [EXAM]}
    assert await due(stores, BOB, "py", since=world.first_day) == {}
    if purged:
        assert (await roster(stores.cohorts)).joined == {"ada"}
    await stores.cohorts.clear_joins()
    assert (await roster(stores.cohorts)).joined == frozenset()
    assert await due(stores, ADA, "py") == {}
    assert (world.names("joined-cohorts"), world.names("joined:default:7079")) == ([], [])


async def test_a_cohort_that_nobody_joins_any_more_leaves_the_list(world: World) -> None:
    await world.stores.cohorts.join([Join(ADA, "py", TODAY), Join(ADA, "go", TODAY)])
    await world.pass_days(80, lambda: world.stores.cohorts.join([Join(BOB, "go", world.today)]), purged=True)
    assert world.names("joined-cohorts") == ['["default","go"]', '["default","py"]']
    await world.pass_days(20, lambda: world.stores.cohorts.join([Join(BOB, "go", world.today)]), purged=True)
    assert world.names("joined-cohorts") == ['["default","go"]']
    await world.pass_days(100, purged=True)
    world.clock.tick(2 * DAY)
    assert world.sidecar.keys_from("index:joined") + world.sidecar.keys_from("joins:") == []


@DAYS
async def test_who_is_erased_is_in_no_roster_afterwards(world: World, days: int) -> None:
    """As the service does it: what the document names, and what admins said."""
    stores = world.stores
    erased = StudentKey("default", "erased_student")
    await stores.cohorts.put("default", "go", 0, Cohort("Go", ("bob", "erased_student"), ("eve",), (EXAM,)))

    async def learn() -> None:
        await write_each(stores, [erased, BOB])
        await stores.cohorts.join([Join(key, "py", world.today) for key in (erased, BOB)])

    await learn()
    await world.pass_days(days, learn, purged=False)
    for cohort_id in {"py"} | await stores.cohorts.put_into(erased):
        await stores.cohorts.leave(erased, [cohort_id])
        known = await roster(stores.cohorts, cohort_id)
        without = known.cohort.without(erased.student_id)
        assert await stores.cohorts.put("default", cohort_id, known.version, without)
    await support.erase(stores, erased)
    for cohort_id, left in (("py", {"bob"}), ("go", {"bob"})):
        assert (await roster(stores.cohorts, cohort_id)).members == left
    assert world.mentions(erased.student_id) == []
    assert await everyone(stores.documents) == [BOBS]
    world.clock.tick(2 * DAY)
    assert [key for key in world.sidecar.keys_from("") if erased.student_id in key] == []


async def test_calendars_cost_one_request_where_events_name_all_cohorts_and_else_two(world: World) -> None:
    await world.stores.cohorts.put("default", "py", 0, CLASS)
    await world.stores.cohorts.put("default", "go", 0, CLASS)
    await world.stores.cohorts.put(
        "default", "big", 0, Cohort("Big", tuple(f"s{n:04}" for n in range(500)), (), (EXAM,))
    )
    await world.stores.cohorts.join([Join(EVE, "big", TODAY), Join(ADA, "py", TODAY)])
    costs = [
        (ADA, ("go", "py"), {"py": [EXAM], "go": [EXAM]}, 1),
        (ADA, ("py",), {"py": [EXAM], "go": [EXAM]}, 2),
        (EVE, ("big",), {"big": [EXAM]}, 1),
        (EVE, ("big", "py"), {"big": [EXAM]}, 1),
    ]
    for key, named, expected, requests in costs:
        world.sidecar.requests.clear()
        assert await due(world.stores, key, *named) == expected
        assert world.sidecar.requests == ["/v1.0/state/statestore/bulk"] * requests


async def test_a_cohort_that_no_admin_spoke_of_is_looked_up_once_a_day(world: World) -> None:
    await world.stores.cohorts.join([Join(ADA, "py", TODAY)])
    assert await due(world.stores, ADA, "py") == {}
    for _ in range(3):
        world.sidecar.requests.clear()
        assert await due(world.stores, ADA, "py") == {}
        assert len(world.sidecar.requests) == 1
    await world.stores.cohorts.put("default", "py", 0, CLASS)
    await world.pass_days(3, purged=False)
    assert await due(world.stores, ADA, "py") == {"py": [EXAM]}


async def test_a_word_whose_writer_ended_anywhere_leaves_no_wrong_answer(world: World) -> None:
    """After any number of requests; then another process answers, and the next word is heard."""
    keys = (ADA, BOB, EVE)
    words = [CLASS, Cohort("Other", ("eve",), ("ada",), (Due(TODAY + 1),)), Cohort("Third", ("ada", "eve"), ("bob",))]
    ended_early = 0
    for requests in range(40):
        for number, word in enumerate(words):
            writer = world.process()
            before = await roster(writer.cohorts)
            await writer.connection.ping()
            world.sidecar.away_after = requests
            try:
                assert await writer.cohorts.put("default", "py", before.version, word)
            except Unavailable:
                ended_early += 1
            world.sidecar.away_after = None
            for reader in (world.process(), world.process()):
                for key in keys:
                    said = await calendars_of(reader.cohorts, key, ["py"], since=0)
                    known = await roster(reader.cohorts)
                    is_in = key.student_id in known.members and bool(known.cohort.calendar)
                    assert (said == {"py": known.cohort.calendar}) == is_in, (requests, number, key)
                    assert ("py" in await reader.cohorts.put_into(key)) >= (key.student_id in known.cohort.put)
    assert 20 < ended_early < 100
    known = await roster(world.stores.cohorts)
    assert known.cohort == words[-1]
    assert [sorted(await world.stores.cohorts.put_into(key)) for key in keys] == [["py"], [], ["py"]]
    world.sidecar.requests.clear()
    await due(world.stores, ADA, "py")
    assert len(world.sidecar.requests) == 1


async def test_a_word_that_is_read_while_it_is_put_and_then_left_leaves_no_wrong_answer(world: World) -> None:
    """Its writer is seen by a reader after some requests, and ends after some more."""
    words = [CLASS, Cohort("Other", ("eve",), ("ada",), (Due(TODAY + 1),))]
    number, seen, is_done = 0, 0, False
    while not is_done:
        for more in range(8):
            before = await roster(world.process().cohorts)
            word = words[number % 2]
            number += 1

            async def write(stores: Stores, version: int = before.version, word: Cohort = word) -> None:
                assert await stores.cohorts.put("default", "py", version, word)

            writer = Process(world, write)
            is_done = await writer.go_on(seen)
            await roster(world.process().cohorts)
            await writer.go_on(more)
            await writer.die()
            for key in (ADA, BOB, EVE):
                said = await calendars_of(world.process().cohorts, key, [], since=0)
                (value,) = await world.sidecar.state().read(["cohort:default:7079"])
                known = (
                    Cohort() if value is None else msgspec.msgpack.decode(b64decode(value.data["cohort"]), type=Cohort)
                )
                assert said == ({"py": known.calendar} if key.student_id in known.put else {}), (seen, more, key)
        seen += 1
    assert seen > 8


async def test_a_word_that_loses_leaves_nothing_beside_the_students(world: World) -> None:
    """However one of two writers overtakes the other: the loser put other students in."""

    async def one() -> tuple[World, Process, Process]:
        before = await roster(world.stores.cohorts)

        def writing(*put_in: str) -> Callable[[Stores], Awaitable[Any]]:
            word = Cohort("Class", put_in, (), (EXAM,))
            return lambda stores: stores.cohorts.put("default", "py", before.version, word)

        turn = before.version % 2
        return (
            world,
            Process(world, writing(f"first_{turn}", "both")),
            Process(world, writing(f"second_{turn}", "both")),
        )

    winners = set()
    async for _ in interleavings(one):
        known = await roster(world.stores.cohorts)
        winners.add(
            known.cohort.put[0].split("_")[0] if known.cohort.put[0] != "both" else known.cohort.put[1].split("_")[0]
        )
        for name in ("first_0", "first_1", "second_0", "second_1", "both"):
            key = StudentKey("default", name)
            assert await world.stores.cohorts.put_into(key) == ({"py"} if name in known.cohort.put else set())
            assert await due(world.stores, key) == ({"py": [EXAM]} if name in known.cohort.put else {})
    assert winners == {"first", "second"}


async def test_of_many_words_at_once_the_last_is_what_everybody_hears(world: World) -> None:
    names = [f"s{number}" for number in range(6)]

    async def speak(name: str, day: Day) -> None:
        stores = world.process()
        while True:
            before = await roster(stores.cohorts)
            now_put = tuple(sorted(frozenset(before.cohort.put) ^ {name}))
            word = Cohort("Class", now_put, tuple(sorted(frozenset(names) - frozenset(now_put))), (Due(day),))
            if await stores.cohorts.put("default", "py", before.version, word):
                return

    for turn in range(5):
        await asyncio.gather(*(speak(name, TODAY + turn * 10 + place) for place, name in enumerate(names)))
        known = await roster(world.stores.cohorts)
        for name in names:
            key = StudentKey("default", name)
            expected = {"py": known.cohort.calendar} if name in known.members else {}
            assert await calendars_of(world.process().cohorts, key, [], since=0) == expected
    await world.stores.cohorts.join([Join(StudentKey("default", "s0"), "py", TODAY)])
    world.sidecar.requests.clear()
    await calendars_of(world.stores.cohorts, StudentKey("default", "s0"), ["py"], since=0)
    assert len(world.sidecar.requests) == 1


# ---- checkpoints and floods


@DAYS
@PURGED
async def test_a_quiet_log_keeps_its_checkpoint_and_its_floods(world: World, days: int, purged: bool) -> None:
    before = world.stores.checkpoints
    await before.move("log", {0: 0}, {0: 5}, (await before.read("log")).server_epoch)
    await before.set_flood("log", 3, flooded=True)
    await world.pass_days(days, purged=purged)
    after = world.process().checkpoints
    assert (await after.read("log")).offsets == {0: 5}
    assert await after.floods("log") == {3}
    await after.clear()
    assert (await after.read("log")).offsets == {}
    await after.set_flood("log", 3, flooded=False)
    world.clock.tick(2 * DAY)
    assert world.sidecar.keys_from("marks:") + world.sidecar.keys_from("index:floods:") == []


async def test_a_process_that_was_idle_for_days_goes_on_from_its_checkpoint(world: World) -> None:
    """Although the batch that comes then changes no document."""
    await put(world.stores.documents, ADA)
    checkpoints = world.stores.checkpoints
    await checkpoints.move("log", {0: 0}, {0: 5}, (await checkpoints.read("log")).server_epoch)
    await world.pass_days(5, purged=False)
    await checkpoints.move("log", {0: 5}, {0: 6}, (await checkpoints.read("log")).server_epoch)
    assert (await checkpoints.read("log")).offsets == {0: 6}


async def test_a_store_that_falls_back_while_a_checkpoint_moves_has_it_moved_back(world: World) -> None:
    checkpoints, state = world.stores.checkpoints, world.sidecar.state()
    epoch = (await checkpoints.read("log")).server_epoch
    await checkpoints.move("log", {0: 0, 1: 0}, {0: 5, 1: 7}, epoch)
    entries = world.sidecar.snapshot()
    await put(world.stores.documents, ADA)
    moved: list[dict[str, int]] = []

    async def fall_back() -> None:
        """As soon as the checkpoint has moved, without what was written before that."""
        while (world.sidecar.value("marks:log") or {}).get("0") != 9:
            await asyncio.sleep(0)
        moved.append(world.sidecar.value("marks:log"))
        checkpoint = world.sidecar.snapshot()["marks:log"]
        world.sidecar.restore({**entries, "marks:log": checkpoint})

    falling = asyncio.create_task(fall_back())
    with pytest.raises(FellBack):
        await checkpoints.move("log", {0: 5}, {0: 9}, epoch)
    await falling
    assert moved == [{"0": 9, "1": 7}]
    assert (await world.process().checkpoints.read("log")).offsets == {0: 5, 1: 7}
    await state.close()


async def test_many_who_write_at_once_are_no_fall_back(world: World) -> None:
    checkpoints = world.stores.checkpoints
    keys = [DocumentKey("default", f"s{number}") for number in range(20)]

    async def answer_at_once() -> None:
        for version in range(10):
            for key in keys:
                await put(world.stores.documents, key, version)

    async def work() -> None:
        for offset in range(40):
            epoch = (await checkpoints.read("log")).server_epoch
            await checkpoints.move("log", {0: offset}, {0: offset + 1}, epoch)

    await asyncio.gather(answer_at_once(), *(answer_at_once() for _ in range(2)), work())
    assert (await checkpoints.read("log")).offsets == {0: 40}


# ---- audit records


@pytest.mark.parametrize("days", [*SPANS, 130])  # soon after what was written at first has expired
@PURGED
async def test_an_audit_log_has_all_of_the_retention(world: World, days: int, purged: bool) -> None:
    """Though its last new page was begun long ago."""
    stores = world.stores
    await stores.audit_log.append([record(number, at=world.clock()) for number in range(150)])
    await world.pass_days(days, lambda: stores.audit_log.append([record(at=world.clock())]), purged=purged)
    first = (world.today - RETENTION_DAYS) * DAY
    wanted = AuditFilter(start=first)
    expected = [at for at in range(NOW + days * DAY, NOW, -DAY) if at >= first and happened(at, days)]
    page = await world.process().audit_log.page("default", wanted, limit=1_000)
    assert [found.at for found in page.records] == expected
    assert await world.process().audit_log.purge(world.clock() + 1) >= len(expected)
    assert await newest(stores) == []


def happened(at: int, days: int) -> bool:
    """Whether something was done at a moment of ``pass_days``."""
    day = (at - NOW) // DAY
    return day % STEP == 0 or day == days


async def test_an_audit_log_does_not_grow_without_end(world: World) -> None:
    async def append() -> None:
        await world.stores.audit_log.append([record(number, at=world.clock()) for number in range(60)])

    await append()
    await world.pass_days(400, append, purged=True)
    pages = world.sidecar.keys_from("audit:default:")
    assert len(pages) <= 2 + RETENTION_DAYS // STEP
    first, last = world.sidecar.value("audit:default")
    assert (last - first, last > 20) == (len(pages) - 1, True)
    await world.pass_days(RETENTION_DAYS + STEP, purged=True)
    assert world.names("audit-tenants") == []
    world.clock.tick(2 * DAY)
    assert world.sidecar.keys_from("audit:") == []
    await append()
    assert len(await newest(world.stores, limit=100)) == 60
    assert world.names("audit-tenants") == ["default"]


@pytest.mark.parametrize("component", [REDIS, MONGODB])
async def test_who_appends_while_all_else_is_purged_is_on_record(component: str) -> None:
    async def one() -> tuple[World, Process, Process]:
        world = World(component)
        await world.stores.audit_log.append([record(number) for number in range(150)])
        world.clock.tick(90 * DAY)
        return (
            world,
            Process(world, lambda stores: stores.audit_log.purge(NOW + 1)),
            Process(world, lambda stores: stores.audit_log.append([record(3, at=world.clock())])),
        )

    ways = 0
    async for world in interleavings(one):
        assert world.names("audit-tenants") == ["default"]
        await world.pass_days(60, purged=False)
        await world.stores.audit_log.append([record(4, at=world.clock())])
        assert [found.subject for found in await newest(world.process())][:2] == ["user-4", "user-3"]
        ways += 1
    assert ways > 60


# ---- refusals, batches, results


async def test_a_refusal_that_is_noted_while_its_old_name_is_taken_out_is_in_the_list(world: World) -> None:
    async def one() -> tuple[World, Process, Process]:
        await world.stores.refusals.put([refusal(at=world.clock())])
        world.clock.tick(100 * DAY)
        again = refusal(at=world.clock())
        return (
            world,
            Process(world, lambda stores: stores.refusals.purge(world.clock() - DAY)),
            Process(world, lambda stores: stores.refusals.put([again])),
        )

    ways = 0
    async for _ in interleavings(one):
        assert [known.at for known in await world.stores.refusals.of(ADA)] == [world.clock()]
        ways += 1
    assert ways > 20


@PURGED
async def test_no_list_has_what_is_not_there_after_a_purge(world: World, purged: bool) -> None:
    async def work() -> None:
        await world.stores.refusals.put([refusal(f"e-{world.today}", at=world.clock())])
        await world.stores.jobs.put(job(f"open-{world.today}", world.clock()))
        worked = job(f"b-{world.today}", world.clock())
        await world.stores.jobs.put(worked)
        assert await world.stores.jobs.answer(worked, b"{}")

    await work()
    await world.pass_days(300, work, purged=purged)
    await world.purge()
    counts = {index: len(world.names(index)) for index in ("refusals", "batches", "open-batches")}
    kept = [day for day in range(300 + 1) if happened(NOW + day * DAY, 300) and day >= 300 - RETENTION_DAYS]
    assert counts == {"refusals": len(kept), "batches": 2 * len(kept), "open-batches": len(kept)}
    assert len(world.sidecar.keys_from("r:")) == len(kept)
    assert len([key for key in world.sidecar.keys_from("b:") if world.sidecar.value(key)]) == 2 * len(kept)
    assert len(await world.process().refusals.of(ADA)) == len(kept)
    assert len(await world.process().jobs.open()) == len(kept)
    await world.pass_days(100, purged=purged)
    await world.purge()
    world.clock.tick(2 * DAY)
    assert [key for start in ("r:", "b:", "index:") for key in world.sidecar.keys_from(start)] == []


async def test_a_refusal_of_today_is_erased_though_the_list_is_old(world: World) -> None:
    await world.stores.refusals.put([refusal("first")])
    await world.pass_days(80, purged=False)
    await world.stores.refusals.put([refusal("first", at=world.clock())])
    await world.pass_days(20, purged=False)
    assert [known.event_id for known in await world.stores.refusals.of(ADA)] == ["first"]
    assert await world.stores.refusals.erase(ADA) == 1
    assert world.sidecar.keys_from("r:") == []


@pytest.mark.parametrize("component", [REDIS, MONGODB])
@pytest.mark.parametrize("is_whole", [True, False], ids=["the batch goes", "the row goes"])
async def test_an_answer_that_comes_while_a_student_is_erased_does_not_name_them(
    component: str, is_whole: bool
) -> None:
    sent = msgspec.structs.replace(job(), request=b'["ada","bob"]')

    def without(batch: BatchJob) -> BatchJob | None:
        if is_whole:
            return None
        answer = None if batch.answer is None else batch.answer.replace(b"ada", b"gone")
        return msgspec.structs.replace(batch, request=batch.request.replace(b"ada", b"gone"), answer=answer)

    async def one() -> tuple[World, Process, Process]:
        world = World(component)
        await world.stores.jobs.put(sent)
        return (
            world,
            Process(world, lambda stores: stores.jobs.erase(ADA, without)),
            Process(world, lambda stores: stores.jobs.answer(sent, b'["ada","bob"]')),
        )

    ways = 0
    async for world in interleavings(one):
        held = await world.stores.jobs.find("default", "b-1")
        assert (held is None) is is_whole
        assert held is None or not names_student(held, ADA)
        if is_whole:
            assert (world.names("batches"), world.names("open-batches")) == ([], [])
        ways += 1
    assert ways >= 10


async def test_a_result_is_cached_for_five_minutes_for_all_processes(world: World) -> None:
    key = ResultKey("default", "größe: 1||2", "forecast")
    await world.stores.results.put(key, "7", b"value")
    other = world.process().results
    world.clock.tick((LIFE_S - 1) * SECOND)
    assert await other.get(key, "7") == b"value"
    await other.put(key._replace(kind="standings"), "8", b"another")
    world.clock.tick(SECOND)
    assert await other.get(key, "7") is None
    assert await other.get(key._replace(kind="standings"), "8") == b"another"
    await world.stores.results.drop("default", "größe: 1||2")
    assert world.sidecar.keys_from("result") == []
    world.sidecar.away_after = 0
    await other.put(key, "7", b"value")
    assert await other.get(key, "7") is None
    with pytest.raises(Unavailable):
        await other.drop("default", "ada")


# ---- small records, and deliveries


def waits(name: str, lane: str = "lane", at: int = NOW) -> Delivery:
    return Delivery("webhook/1", name, lane, ADA, at, at, b"x")


async def sent_now(stores: Stores, now: int) -> list[str]:
    """All that may be sent, in its order, and how it ended."""
    names: list[str] = []
    while leased := await stores.deliveries.lease("webhook/1", now, now + SECOND, 9):
        names += [one.delivery_id for one in leased]
        await stores.deliveries.settle([msgspec.structs.replace(one, state="delivered", ended=now) for one in leased])
    return names


@PURGED
async def test_a_record_lives_until_it_is_removed_or_expires_and_no_list_grows_without_end(
    world: World, purged: bool
) -> None:
    registry = world.stores.registry
    await registry.write("badges", [RegistryWrite("t/1", b"for good", owner=ADA)], world.clock())

    async def use() -> None:
        now = world.clock()
        lives = RegistryWrite(f"t/{now}", b"x", owner=ADA, expires=now + DAY)
        assert await world.process().registry.write("lti-once", [lives], now) == [True]
        if purged:
            await world.process().registry.purge(now)

    await world.pass_days(400, use, purged=False)
    (entry,) = await world.process().registry.find("badges", ["t/1"], world.clock())
    assert entry is not None
    assert [table for table, _ in await registry.owned(ADA, world.clock())] == ["badges", "lti-once"]
    await registry.purge(world.clock() + 2 * DAY)
    world.clock.tick(2 * DAY)
    await registry.purge(world.clock())
    assert (world.names("registry:lti-once"), len(world.names("owned:default:ada"))) == ([], 1)
    assert await registry.erase(ADA) == 1
    world.clock.tick(2 * DAY)
    assert [key for start in ("registry:", "index:") for key in world.sidecar.keys_from(start)] == []


@PURGED
async def test_what_waits_is_sent_after_months_and_what_was_sent_leaves_nothing(world: World, purged: bool) -> None:
    await world.stores.deliveries.enqueue([waits("old"), waits("older", "other")])
    assert len(await world.stores.deliveries.lease("webhook/1", NOW, NOW + SECOND, 1)) == 1

    async def purge() -> None:
        if purged:
            await world.process().deliveries.purge(world.clock() - 7 * DAY)

    await world.pass_days(200, purge, purged=False)
    assert sorted(await sent_now(world.process(), world.clock())) == ["old", "older"]
    world.clock.tick(6 * DAY)
    await purge()
    assert len(await world.process().deliveries.of_student(ADA)) == 2
    world.clock.tick(40 * DAY)
    assert await world.process().deliveries.of_student(ADA) == []
    await world.process().deliveries.purge(world.clock())
    world.clock.tick(2 * DAY)
    assert [key for start in ("delivery:", "lane:", "index:") for key in world.sidecar.keys_from(start)] == []


@pytest.mark.parametrize("component", [REDIS, MONGODB])
async def test_what_is_queued_while_its_lane_is_found_empty_is_sent(component: str) -> None:
    async def one() -> tuple[World, Process, Process]:
        world = World(component)
        await world.stores.deliveries.enqueue([waits("1")])
        assert await sent_now(world.stores, NOW) == ["1"]
        return (
            world,
            Process(world, lambda stores: sent_now(stores, NOW)),
            Process(world, lambda stores: stores.deliveries.enqueue([waits("2"), waits("3")])),
        )

    ways = 0
    async for world in interleavings(one):
        await sent_now(world.process(), NOW)
        states = [known.state for known in await world.process().deliveries.of_student(ADA)]
        assert states == ["delivered"] * 3
        ways += 1
    assert ways > 20


@pytest.mark.parametrize("component", [REDIS, MONGODB])
async def test_of_two_who_send_at_once_nobody_overtakes_and_none_is_left(component: str) -> None:
    sent: list[str] = []

    async def send(stores: Stores) -> None:
        sent.extend(await sent_now(stores, NOW))

    async def one() -> tuple[World, Process, Process]:
        world = World(component)
        sent.clear()
        await world.stores.deliveries.enqueue([waits("1"), waits("2"), waits("3")])
        return world, Process(world, send), Process(world, send)

    ways = 0
    async for world in interleavings(one, most=8):
        await send(world.process())
        assert sorted(sent) == ["1", "2", "3"]
        ways += 1
    assert ways > 50


@pytest.mark.parametrize("component", [REDIS, MONGODB])
async def test_one_that_is_to_be_sent_again_while_others_are_sent_is_sent_again(component: str) -> None:
    async def one() -> tuple[World, Process, Process]:
        world = World(component)
        await world.stores.deliveries.enqueue([waits("1"), waits("2")])
        (first,) = await world.stores.deliveries.lease("webhook/1", NOW, NOW + SECOND, 1)
        await world.stores.deliveries.settle([msgspec.structs.replace(first, state="failed", ended=NOW, attempts=3)])
        return (
            world,
            Process(world, lambda stores: sent_now(stores, NOW)),
            Process(world, lambda stores: stores.deliveries.again("webhook/1", "1", NOW)),
        )

    ways = 0
    async for world in interleavings(one, most=10):
        await sent_now(world.process(), NOW)
        states = [known.state for known in await world.process().deliveries.of_student(ADA)]
        assert states == ["delivered"] * 2
        ways += 1
    assert ways > 30


@pytest.mark.parametrize("component", [REDIS, MONGODB])
async def test_a_record_that_comes_back_while_its_name_is_taken_out_is_listed(component: str) -> None:
    write = RegistryWrite("t/1", b"x", owner=ADA, expires=NOW + 40 * DAY)

    async def one() -> tuple[World, Process, Process]:
        world = World(component)
        await world.stores.registry.write("badges", [RegistryWrite("t/1", b"x", owner=ADA, expires=NOW + DAY)], NOW)
        world.clock.tick(2 * DAY)
        return (
            world,
            Process(world, lambda stores: stores.registry.purge(world.clock())),
            Process(world, lambda stores: stores.registry.write("badges", [write], world.clock())),
        )

    ways = 0
    async for world in interleavings(one, most=6):
        assert len(await world.process().registry.page("badges", "t/", "", 9, world.clock())) == 1
        assert len(await world.process().registry.owned(ADA, world.clock())) == 1
        ways += 1
    assert ways > 20


# ---- data that an older engine left


NEW_KEYS = ("calendar:", "joins:", "said:")


async def left_by_an_older_engine(world: World) -> None:
    """All that there is expires but admins' words, and what only this engine writes is not there."""
    for key in world.sidecar.keys_from(""):
        if key.startswith(NEW_KEYS):
            world.sidecar.drop(key)
        elif not key.startswith("cohort:"):
            world.sidecar.expire(key, (RETENTION_DAYS + 1) * 86_400)


@pytest.fixture
async def older(world: World) -> World:
    await world.stores.cohorts.put("default", "py", 0, CLASS)
    await world.stores.cohorts.put("default", "put", 0, Cohort("Put", ("ada", "dan"), (), (EXAM,)))
    await world.stores.cohorts.join([Join(key, "py", TODAY) for key in (ADA, EVE)])
    await world.stores.cohorts.put("default", "open", 0, Cohort("Open", (), ("eve",), (EXAM,)))
    await world.stores.cohorts.join([Join(key, "open", TODAY) for key in (BOB, EVE)])
    await world.stores.cohorts.join([Join(ADA, "events", TODAY)])
    await write_each(world.stores, [ADA, BOB, EVE])
    await world.stores.audit_log.append([record(number) for number in range(150)])
    await world.stores.checkpoints.move("log", {}, {0: 5}, (await world.stores.checkpoints.read("log")).server_epoch)
    await world.stores.checkpoints.set_flood("log", 3, flooded=True)
    await left_by_an_older_engine(world)
    return world


async def test_what_an_older_engine_wrote_is_read_wholly_and_then_no_more(older: World) -> None:
    stores = older.process()
    for key, named, expected in (
        (ADA, ("py", "events"), {"py": [EXAM], "put": [EXAM]}),
        (BOB, ("open",), {"py": [EXAM], "open": [EXAM]}),
        (EVE, ("py", "open"), {}),
    ):
        assert await due(stores, key, *named, since=TODAY) == expected
        older.sidecar.requests.clear()
        assert await due(stores, key, *named, since=TODAY) == expected
        assert len(older.sidecar.requests) <= 2
    assert await due(stores, ADA, "py", since=TODAY + 1) == {"py": [EXAM], "put": [EXAM]}


async def test_a_word_that_an_older_engine_put_beside_this_one_is_heard_once_the_roster_is_read(world: World) -> None:
    """As in the minutes of an upgrade: the older engine writes the word and its hints alone."""
    await world.stores.cohorts.put("default", "py", 0, CLASS)
    calendar = world.sidecar.snapshot()["calendar:default:7079"]
    said = {key: entry for key, entry in world.sidecar.snapshot().items() if key.startswith("said:")}
    await world.stores.cohorts.put("default", "py", 1, Cohort("Class", ("ada", "bob", "eve"), (), (Due(TODAY + 9),)))
    world.sidecar.restore({**world.sidecar.snapshot(), "calendar:default:7079": calendar, **said})
    stores = world.process()
    await roster(stores.cohorts)
    assert [await due(stores, key) for key in (ADA, BOB, EVE)] == [{"py": [Due(TODAY + 9)]}] * 3


async def test_who_joined_by_an_older_engine_did_so_in_the_default_course(world: World) -> None:
    await world.stores.cohorts.join([Join(ADA, "py", TODAY)])
    kept = {key: entry for key, entry in world.sidecar.snapshot().items() if not key.startswith("first:")}
    world.sidecar.restore(kept)
    stores = world.process()
    await stores.cohorts.join([Join(BOB, name, TODAY, Naming(NOW, "art")) for name in ("py", "new")])
    assert [(await roster(stores.cohorts, name)).course_id for name in ("py", "new")] == ["default", "art"]


@pytest.mark.parametrize("purged", [True, False])
async def test_the_course_of_a_cohort_is_known_for_as_long_as_events_join_it(world: World, purged: bool) -> None:
    await world.stores.cohorts.join([Join(ADA, "py", TODAY, Naming(NOW, "art"))])

    async def use() -> None:
        await world.process().cohorts.join([Join(BOB, "py", world.today, Naming(world.clock(), "physics"))])

    await world.pass_days(400, use, purged=purged)
    assert (await roster(world.process().cohorts)).course_id == "art"


async def test_what_an_older_engine_wrote_becomes_sound_by_use(older: World) -> None:
    async def use() -> None:
        stores = older.process()
        await write_each(stores, [ADA, BOB])
        await stores.cohorts.join([Join(ADA, "py", older.today), Join(ADA, "events", older.today)])
        await roster(stores.cohorts, "put")
        await stores.audit_log.append([record(at=older.clock())])
        await stores.checkpoints.floods("log")
        checkpoint = await stores.checkpoints.read("log")
        offset = checkpoint.offsets.get(0, 0)
        await stores.checkpoints.move("log", {0: offset}, {0: offset + 1}, checkpoint.server_epoch)

    await older.pass_days(400, use, purged=True)
    await older.pass_days(60, purged=True)
    stores = older.process()
    assert sorted(await everyone(stores.documents)) == [ADAS, BOBS]
    assert (await stores.checkpoints.read("log")).offsets[0] > 30
    assert await stores.checkpoints.floods("log") == {3}
    expected: dict[StudentKey, set[str]] = {
        ADA: {"py", "put"},
        BOB: {"py"},
        StudentKey("default", "dan"): {"put"},
        EVE: set(),
    }
    for key, cohort_ids in expected.items():
        assert await stores.cohorts.put_into(key) == cohort_ids
    for key, cohort_ids in expected.items():
        assert await due(stores, key, since=older.first_day) == {cohort_id: [EXAM] for cohort_id in cohort_ids}
    assert len(await newest(stores, limit=100)) == 3
    assert older.names("joined-cohorts") == ['["default","events"]', '["default","py"]']
    await support.clear(stores)
    assert not any(older.sidecar.value(key)["body"] for key in older.sidecar.keys_from("d:"))
    assert (await roster(stores.cohorts, "py")).joined == frozenset()
    assert (await stores.checkpoints.read("log")).offsets == {}


@pytest.fixture(autouse=True)
async def _nothing_is_left_waiting() -> AsyncIterator[None]:
    yield
    assert len(asyncio.all_tasks()) == 1
