"""What is the state API's own, behind a real sidecar on a real Redis and behind the fake one, which must agree."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from mastery_engine.backends.dapr.client import DaprState, Replacement, Value, Write
from mastery_engine.backends.dapr.stores import stores_on
from mastery_engine.domain.cohorts.cohort import Cohort
from mastery_engine.domain.student import DocumentKey
from mastery_engine.errors import FellBack, Unavailable
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.cohorts import Join
from mastery_engine.ports.documents import DocumentChange
from scripts.servers.dapr import Dapr
from scripts.servers.redis import Redis
from tests.support.dapr_stores import RETENTION_DAYS, TOKEN, running_sidecar
from tests.support.fakes.dapr_state import FakeDaprState
from tests.support.samples import TODAY, Clock
from tests.support.sidecars import STATE, redis_state
from tests.support.stores import ADA, ADAS, BOB, BOBS, MARKS, everyone, job, put, read, record, refusal, student

REAL = [pytest.param("daprd", marks=MARKS["daprd"])]
DAYS_91 = 91 * 86_400
PREFIX = "mastery-engine||"


class Server(NamedTuple):
    """A state component behind a sidecar, and what an operator could do to it.

    ``lives`` are the keys with the seconds that they live, None where they do not expire.
    """

    port: int
    transport: httpx.AsyncBaseTransport | None
    lives: Callable[[], dict[str, float | None]]
    expire: Callable[[str, int], None]
    falls_back: Callable[[], Any]

    def state(self, token: str | None = TOKEN) -> DaprState:
        """The client of one more process."""
        return DaprState(STATE, port=self.port, token=token, transport=self.transport)

    def stores(self, token: str | None = TOKEN) -> Stores:
        """The stores of one more process."""
        return stores_on(self.state(token), retention_days=RETENTION_DAYS)

    def client(self) -> httpx.AsyncClient:
        """A client that knows nothing of the engine."""
        url = f"http://127.0.0.1:{self.port}"
        return httpx.AsyncClient(base_url=url, headers={"dapr-api-token": TOKEN}, transport=self.transport)


def fake() -> Server:
    sidecar = FakeDaprState(Clock(), token=TOKEN)

    @contextmanager
    def falls_back() -> Iterator[None]:
        entries = sidecar.snapshot()
        yield
        sidecar.restore(entries)

    def lives() -> dict[str, float | None]:
        return {key: sidecar.life_s(key) for key in sidecar.keys_from("")}

    return Server(1, sidecar.transport, lives, sidecar.expire, falls_back)


def real(sidecar: Dapr, redis: Redis) -> Server:
    def lives() -> dict[str, float | None]:
        with redis.client() as client:
            left = {name.decode().removeprefix(PREFIX): client.ttl(name) for name in client.scan_iter()}
        return {name: None if seconds == -1 else seconds for name, seconds in left.items()}

    def expire(key: str, life_s: int) -> None:
        with redis.client() as client:
            assert client.expire(PREFIX + key, life_s)

    @contextmanager
    def falls_back() -> Iterator[None]:
        with redis.client() as client:
            dumps = {name: (client.dump(name), max(client.pttl(name), 0)) for name in client.scan_iter()}
            yield
            client.flushall()
            for name, (value, life_ms) in dumps.items():
                client.restore(name, life_ms, value)

    return Server(sidecar.port, None, lives, expire, falls_back)


@pytest.fixture(params=["dapr", *REAL])
async def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "dapr":
        return fake()
    redis: Redis = request.getfixturevalue("redis_server")
    sidecar = running_sidecar(request)
    with redis.client() as client:
        client.flushall()
    return real(sidecar, redis)


@pytest.fixture
async def stores(server: Server) -> AsyncIterator[Stores]:
    opened = server.stores()
    yield opened
    await opened.connection.close()


@pytest.fixture
async def other(server: Server) -> AsyncIterator[Stores]:
    """The stores of another process."""
    opened = server.stores()
    yield opened
    await opened.connection.close()


# ---- documents


async def test_a_late_writer_does_not_bring_back_who_was_removed(stores: Stores, other: Stores) -> None:
    """With the ETag that it read before, to a state store that takes any ETag for a key that is not there."""
    await put(stores.documents, ADA)
    assert await read(other.documents) is not None
    assert await stores.documents.commit([DocumentChange(ADAS, 1, None)]) == [True]
    assert await other.documents.commit([DocumentChange(ADAS, 1, student(5))]) == [False]
    assert await read(stores.documents) is None


async def test_of_a_batch_that_partly_lost_each_knows_its_own(stores: Stores, other: Stores) -> None:
    keys = [DocumentKey("default", f"s{number}") for number in range(40)]
    await stores.documents.commit([DocumentChange(key, 0, student(1)) for key in keys])
    await other.documents.load(keys)
    assert all(await stores.documents.commit([DocumentChange(key, 1, student(2)) for key in keys[::4]]))
    won = await other.documents.commit([DocumentChange(key, 1, student(3), {7: b"x" * 8}) for key in keys])
    assert won == [place % 4 != 0 for place in range(40)]
    loaded = await stores.documents.load(keys)
    assert [stored.student for stored in loaded if stored] == [student(3 if has_won else 2) for has_won in won]
    assert [bool(ids) for ids in await stores.documents.load_cold(keys)] == won


async def test_no_cold_ids_are_left_that_no_document_names(stores: Stores, server: Server) -> None:
    await put(stores.documents, ADA, 0, cold={1: b"x" * 8})
    await put(stores.documents, ADA, 1, cold={2: b"y" * 8})
    await put(stores.documents, ADA, 1, cold={3: b"z" * 8})
    await put(stores.documents, BOB, 0, cold={4: b"w" * 8})
    await stores.documents.commit([DocumentChange(BOBS, 1, None)])
    assert len([key for key in server.lives() if key.startswith("c:")]) == 1


async def test_a_removed_student_leaves_the_index_with_the_tombstone(stores: Stores, server: Server) -> None:
    await put(stores.documents, ADA)
    await put(stores.documents, BOB)
    await stores.documents.commit([DocumentChange(ADAS, 1, None)])
    assert 0 < (server.lives()["d:default:ada"] or 0) <= 86_400
    assert await everyone(stores.documents) == [BOBS]


# ---- how long keys live; what follows from that is in test_life_spans.py


async def filled(stores: Stores) -> None:
    """One of each key that is not a tombstone."""
    await put(stores.documents, ADA, cold={1: b"x" * 8})
    await stores.cohorts.put("default", "py", 0, Cohort("Class", ("ada",)))
    await stores.cohorts.join([Join(ADA, "py", TODAY)])
    epoch = (await stores.checkpoints.read("log")).server_epoch
    await stores.checkpoints.move("log", {0: 0}, {0: 5}, epoch)
    await stores.checkpoints.set_flood("log", 3, flooded=True)
    await stores.refusals.put([refusal()])
    await stores.jobs.put(job())
    await stores.audit_log.append([record()])


EXPIRING = ("d:", "c:", "index:joined:", "first:", "joins:", "witness:", "r:", "b:", "audit:default:")
LASTING = (
    "index:students:",
    "cohort:",
    "calendar:",
    "index:put:",
    "said:",
    "index:joined-cohorts:",
    "marks:",
    "index:logs:",
    "index:floods:",
    "index:refusals:",
    "index:batches:",
    "index:open-batches:",
    "audit:default",
    "index:audit-tenants:",
)


async def test_values_expire_with_the_retention_and_what_leads_to_them_does_not(stores: Stores, server: Server) -> None:
    await filled(stores)
    lives = server.lives()
    lasting = {key for key, life_s in lives.items() if life_s is None}
    assert all(0 < life_s <= DAYS_91 for life_s in lives.values() if life_s is not None), lives
    assert sum(life_s is not None and life_s > DAYS_91 - 86_400 for life_s in lives.values()) == len(EXPIRING) - 1
    assert all(any(key.startswith(start) for key in lasting) for start in LASTING), lasting
    assert not [key for key in lasting if key.startswith(EXPIRING)]
    assert len(lasting) == len(LASTING)


async def test_what_an_older_engine_wrote_loses_its_expiry_by_use(
    stores: Stores, other: Stores, server: Server
) -> None:
    await filled(stores)
    lasting = {key for key, life_s in server.lives().items() if life_s is None}
    for key in lasting:
        server.expire(key, DAYS_91)
    await filled_again(other)
    lives = server.lives()
    assert {key for key in lasting if lives[key] is not None} == set()


async def filled_again(stores: Stores) -> None:
    """What a day of work does, none of which is new to any index."""
    assert [key async for key in stores.documents.all_keys()] == [ADAS]
    roster = await stores.cohorts.roster("default", "py", since=0)
    assert await stores.cohorts.put("default", "py", roster.version, Cohort("Class", (), ("ada",)))
    assert await stores.cohorts.put("default", "py", roster.version + 1, Cohort("Class", ("ada",)))
    epoch = (await stores.checkpoints.read("log")).server_epoch
    await stores.checkpoints.move("log", {0: 5}, {0: 6}, epoch)
    assert await stores.checkpoints.floods("log") == {3}
    for port in (stores.audit_log, stores.refusals, stores.jobs):
        assert await port.purge(0) == 0
    await stores.cohorts.purge(0)


# ---- a state store that falls back


async def test_a_state_store_that_lost_its_last_writes_is_noticed(stores: Stores, server: Server) -> None:
    """The checkpoint is as it was, the documents written after it are gone."""
    checkpoints, documents = stores.checkpoints, stores.documents
    epoch = (await checkpoints.read("log")).server_epoch
    await put(documents, ADA)
    await checkpoints.move("log", {0: 0}, {0: 5}, epoch)
    with server.falls_back():
        await put(documents, ADA, 1, number=2)
    with pytest.raises(FellBack):
        await checkpoints.move("log", {0: 5}, {0: 9}, epoch)
    assert (await checkpoints.read("log")).offsets == {0: 5}
    assert await put(documents, ADA, 1, number=2)
    await checkpoints.move("log", {0: 5}, {0: 9}, epoch)
    assert (await checkpoints.read("log")).offsets == {0: 9}


async def test_another_process_moves_the_checkpoints_of_its_partitions(stores: Stores, other: Stores) -> None:
    ours, theirs = stores.checkpoints, other.checkpoints
    await ours.move("log", {0: 0}, {0: 5}, (await ours.read("log")).server_epoch)
    await theirs.move("log", {1: 0}, {1: 7}, (await theirs.read("log")).server_epoch)
    assert (await ours.read("log")).offsets == {0: 5, 1: 7}
    with pytest.raises(FellBack):
        await theirs.move("log", {1: 7}, {1: 8}, "another-epoch")


async def test_a_late_writer_does_not_bring_back_a_checkpoint_that_was_cleared(stores: Stores, server: Server) -> None:
    await stores.checkpoints.move("log", {0: 0}, {0: 5}, (await stores.checkpoints.read("log")).server_epoch)
    late = server.state()
    (value,) = await late.read(["marks:log"])
    assert value is not None
    await stores.checkpoints.clear()
    assert not await late.write([Write("marks:log", {"0": 9}, value.etag, None)])
    assert (await stores.checkpoints.read("log")).offsets == {}
    await late.close()


# ---- servers that are away


async def test_a_sidecar_that_refuses_is_said(server: Server) -> None:
    for token in ("wrong", None):
        stranger = server.stores(token)
        for call in calls(stranger):
            with pytest.raises(Unavailable, match="DAPR_API_TOKEN"):
                await call()
        await stranger.connection.close()


def calls(stores: Stores) -> list[Callable[[], Awaitable[Any]]]:
    return [
        stores.connection.ping,
        lambda: stores.documents.load([ADAS]),
        lambda: stores.documents.commit([DocumentChange(ADAS, 0, student())]),
    ]


@pytest.mark.parametrize("_", REAL)
async def test_a_sidecar_that_is_away_is_said(_: str, tmp_path: Path) -> None:
    nowhere = Dapr([redis_state(1)], home=tmp_path)
    stores = stores_on(DaprState(STATE, port=nowhere.port), retention_days=RETENTION_DAYS)
    for call in calls(stores):
        with pytest.raises(Unavailable, match="away"):
            await call()
    await stores.connection.close()
    nowhere.close()


async def test_a_component_that_the_sidecar_does_not_have_is_said() -> None:
    state = DaprState("another", port=1, transport=FakeDaprState(Clock()).transport)
    with pytest.raises(Unavailable, match="DAPR_STATE_STORE"):
        await state.ping()


@pytest.mark.parametrize("_", REAL)
async def test_a_redis_that_is_away_is_said(_: str, request: pytest.FixtureRequest, redis_server: Redis) -> None:
    stores = real(running_sidecar(request), redis_server).stores()
    with redis_server.client() as client:
        client.flushall()
    await put(stores.documents, ADA)
    redis_server.stop()
    try:
        with pytest.raises(Unavailable):
            await stores.documents.load([ADAS])
        with pytest.raises(Unavailable):
            await stores.documents.commit([DocumentChange(ADAS, 1, student(1))])
    finally:
        redis_server.start()
    assert await read(stores.documents) == (1, student())
    await stores.connection.close()


# ---- the fake answers as the sidecar does


def item(key: str, value: Any, etag: str | None = None, *, first: bool = True, life: str | None = None) -> Any:
    return {
        "key": key,
        "value": value,
        **({} if etag is None else {"etag": etag}),
        "options": {"concurrency": "first-write" if first else "last-write", "consistency": "strong"},
        "metadata": {} if life is None else {"ttlInSeconds": life},
    }


def upserts(*items: Any) -> Any:
    return {"operations": [{"operation": "upsert", "request": one} for one in items]}


def deletes(*keys: str) -> Any:
    return {"operations": [{"operation": "delete", "request": {"key": key}} for key in keys]}


REQUESTS: list[tuple[str, Any, int]] = [
    ("", [item("a", {"n": 1, "f": 0.25, "text": "größe"}, life="1000")], 204),
    ("", [item("a", 2)], 500),  # there was to be none
    ("", [item("a", 2, "9")], 409),
    ("", [item("a", 2, "x")], 400),
    ("", [item("a", 2, "1")], 204),  # without a word of its expiry
    ("", [item("missing", "any ETag will do", "7")], 204),
    ("", [item("b", 1), item("a", 3, "1"), item("c", 1)], 409),
    ("", [item("b", 2), item("d", 1)], 500),
    ("", [item("b", 3), item("a", 3, "1")], 409),
    ("", [item("last", 1, first=False)], 204),
    ("", [item("last", 2)], 204),  # first write wins only against first writes
    ("", [item("last", 3)], 500),
    ("/transaction", upserts(item("t", 1, first=False), item("u", 1, first=False, life="500")), 204),
    ("/transaction", upserts(item("t", 2, first=False)), 204),
    ("/transaction", upserts(item("a", 9, first=False), item("v", 1, first=False)), 500),  # a was a first write
    ("/transaction", deletes("c", "nowhere"), 204),
    ("", [item("c", 5, "4")], 204),
    ("", [item("u", 2, life="-1")], 204),
    ("", [item("w", None), item("x", [], life="-1")], 204),
]


async def test_the_fake_and_the_sidecar_answer_alike(server: Server) -> None:
    async with server.client() as client:
        for path, body, status in REQUESTS:
            answer = await client.post(f"/v1.0/state/{STATE}{path}", json=body)
            assert answer.status_code == status, (path, body, answer.text)
    keys = ["a", "b", "c", "d", "missing", "last", "t", "u", "v", "w", "x", "nowhere"]
    state = server.state()
    values = [None if value is None else (value.data, value.etag) for value in await state.read(keys)]
    lives = {key: None if life_s is None else round(life_s, -2) for key, life_s in server.lives().items()}
    assert values == [
        (2, "2"),
        (1, "1"),
        (5, "1"),
        (1, "1"),
        ("any ETag will do", "1"),
        (2, "2"),
        (2, "2"),
        (2, "2"),
        (1, "1"),
        None,
        ([], "1"),
        None,
    ]
    assert lives == {**dict.fromkeys([*keys[:-1]]), "a": 1_000}
    await state.close()


async def test_a_fold_is_asked_again_until_it_wins(server: Server) -> None:
    ours, theirs = server.state(), server.state()
    asked: list[Any] = []

    def tenfold(stored: int | None) -> Replacement | None:
        asked.append(stored)
        return Replacement((stored or 0) * 10, 60)

    def counted(stored: int | None) -> Replacement | None:
        return Replacement((stored or 0) + 1, 60)

    class Overtaken(DaprState):
        """Between its first read and its write somebody else writes."""

        async def read(self, keys: Sequence[str]) -> list[Value | None]:
            values = await ours.read(keys)
            if not asked:
                await theirs.fold({"n": counted})
            return values

    await theirs.fold({"n": counted})
    slow = Overtaken(STATE, port=server.port, token=TOKEN, transport=server.transport)
    await slow.fold({"n": tenfold, "same": lambda stored: None if stored is None else Replacement(stored, 60)})
    assert asked == [1, 2]
    assert [value and value.data for value in await ours.read(["n", "same"])] == [20, None]
    for state in (ours, theirs, slow):
        await state.close()
