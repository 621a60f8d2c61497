"""Answers that nobody reads, and connections that end: what they cost, in requests, bytes and objects."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from mastery_engine.http import connection
from mastery_engine.http.answer_cycle import AnswerCycle
from mastery_engine.http.connection import ClientConnection
from mastery_engine.http.connection_limits import ConnectionLimits
from mastery_engine.http.serve import UNSENT, listen
from mastery_engine.http.unread_answers import UnreadAnswers
from tests.support.calls import COMPONENTS, STUDENT, Api, listening
from tests.support.live import make_token

DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
LEAST_LENGTH = 250_000  # of the document
PATIENCE_S = 20
SMALL = 4_096  # bytes of a socket's buffer


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with listening(tmp_path) as api:
        yield api


Dial: TypeAlias = Callable[..., Awaitable[socket.socket]]


@pytest.fixture
async def dial(api: Api) -> AsyncIterator[Dial]:
    """A connection that reads only when it is told to; ``buffer`` is what its system takes for it."""
    opened: list[socket.socket] = []

    async def dial(request: bytes, *, buffer: int = 131_072) -> socket.socket:
        raw = socket.socket()
        opened.append(raw)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", api.client.base_url.port))
        await asyncio.get_running_loop().sock_sendall(raw, request)
        return raw

    yield dial
    for raw in opened:
        raw.close()


async def read(raw: socket.socket, most: int = 1 << 20) -> bytes:
    """What has come. Raises ConnectionError."""
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.get_running_loop().sock_recv(raw, most)


async def read_all(raw: socket.socket) -> bytes:
    """What comes until the server ends it. Raises ConnectionError where it does that before all was sent."""
    parts = []
    while part := await read(raw):
        parts.append(part)
    return b"".join(parts)


async def is_cut_off(raw: socket.socket, answers: int) -> bool:
    """Whether the server has ended the connection before so many documents were sent."""
    with suppress(ConnectionError):
        return len(await read_all(raw)) < answers * LEAST_LENGTH
    return True


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once the server has lost, or ended, a connection."""
    happened, lose = asyncio.Event(), ClientConnection.connection_lost

    def noted(self: ClientConnection, exc: Exception | None) -> None:
        lose(self, exc)
        happened.set()

    monkeypatch.setattr(ClientConnection, "connection_lost", noted)
    return happened


@pytest.fixture
def worked_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of the requests that the application was given."""
    addresses: list[str] = []
    run = AnswerCycle.run_asgi

    async def counted(self: AnswerCycle, app: Any) -> None:
        addresses.append(self.scope["path"])
        await run(self, app)

    monkeypatch.setattr(AnswerCycle, "run_asgi", counted)
    return addresses


async def settled(worked_on: list[str]) -> int:
    """How many requests were worked on once that changes no more."""
    before = -1
    while len(worked_on) != before:
        before = len(worked_on)
        await asyncio.sleep(0.3)
    return before


async def test_who_reads_no_answer_is_worked_for_no_more(dial: Dial, worked_on: list[str]) -> None:
    """An answer of 270 KB fills a small buffer: the second request waits until it is read."""
    unread = await dial(DOCUMENT * 8, buffer=SMALL)
    assert await settled(worked_on) == 1
    await asyncio.get_running_loop().sock_sendall(unread, DOCUMENT * 7 + LAST)
    assert await settled(worked_on) == 1
    assert (await read_all(unread)).count(b"HTTP/1.1 200 OK") == len(worked_on) == 16


async def test_a_request_after_an_answer_that_is_not_read_waits_too(dial: Dial, worked_on: list[str]) -> None:
    """Nothing else is under way on the connection, whose answer was written wholly, as far as the engine goes."""
    unread = await dial(DOCUMENT, buffer=SMALL)
    assert await settled(worked_on) == 1
    await asyncio.get_running_loop().sock_sendall(unread, LAST)
    assert await settled(worked_on) == 1
    assert (await read_all(unread)).count(b"HTTP/1.1 200 OK") == len(worked_on) == 2


async def test_what_is_no_request_behind_unread_answers_ends_the_connection_after_them(dial: Dial) -> None:
    unread = await dial(DOCUMENT, buffer=SMALL)
    await asyncio.sleep(0.3)
    await asyncio.get_running_loop().sock_sendall(unread, DOCUMENT * 2 + b"nonsense\r\n\r\n")
    await asyncio.sleep(0.3)
    answers = await read_all(unread)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(b"HTTP/1.1 400 Bad Request") == 1


async def test_the_system_takes_little_of_what_nobody_reads(api: Api, dial: Dial, worked_on: list[str]) -> None:
    """By itself it takes megabytes for each connection, which are ten answers, and copies them while others wait."""
    length = len((await api.get("/openapi.json")).content)
    before = await settled(worked_on)
    unread = [await dial(DOCUMENT * 16) for _ in range(4)]
    assert (await settled(worked_on) - before) * length <= len(unread) * (2 * 131_072 + UNSENT + length)


def test_connections_have_the_limit_of_their_listener() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()) as _:
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT


async def test_who_reads_slowly_is_not_cut_off(monkeypatch: pytest.MonkeyPatch, dial: Dial) -> None:
    """Each answer takes longer than one may lie unread."""
    monkeypatch.setattr(connection, "UNREAD_S", 0.6)
    now, received = asyncio.get_running_loop().time, b""
    slow, began = await dial(DOCUMENT + LAST, buffer=SMALL), now()
    while part := await read(slow):
        received += part
        await asyncio.sleep(began + len(received) / 250_000 - now())
    assert received.count(b"HTTP/1.1 200 OK") == 2


async def test_who_reads_a_byte_now_and_then_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, dial: Dial, lost: asyncio.Event
) -> None:
    monkeypatch.setattr(connection, "UNREAD_S", 0.4)
    dripping = await dial(DOCUMENT * 4, buffer=SMALL)
    async with asyncio.timeout(PATIENCE_S):
        while not lost.is_set():
            await read(dripping, 1)
            await asyncio.sleep(0.05)
    assert await is_cut_off(dripping, 4)


@pytest.fixture
def large_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of an answer is too little to stop anything, and would keep its connection for ever."""
    monkeypatch.setattr(connection, "UNREAD_S", 0.4)
    made = ClientConnection.connection_made

    def with_a_large_buffer(self: ClientConnection, transport: asyncio.Transport) -> None:
        transport.set_write_buffer_limits(1 << 20)
        made(self, transport)

    monkeypatch.setattr(ClientConnection, "connection_made", with_a_large_buffer)


@pytest.mark.usefixtures("large_buffers")
async def test_a_closed_connection_does_not_wait_for_a_reader(dial: Dial, lost: asyncio.Event) -> None:
    unread = await dial(LAST, buffer=SMALL)
    async with asyncio.timeout(PATIENCE_S):
        await lost.wait()
    assert await is_cut_off(unread, 1)


@pytest.mark.usefixtures("large_buffers")
async def test_nor_does_one_whose_sender_ended_their_side(dial: Dial, lost: asyncio.Event) -> None:
    unread = await dial(DOCUMENT, buffer=SMALL)
    assert await read(unread, 1)
    unread.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(PATIENCE_S):
        await lost.wait()
    assert await is_cut_off(unread, 1)


async def test_who_ends_their_side_may_read_what_was_answered(dial: Dial) -> None:
    reader = await dial(DOCUMENT, buffer=SMALL)
    first = await read(reader, 1)
    reader.shutdown(socket.SHUT_WR)
    whole = first + await read_all(reader)
    assert whole.startswith(b"HTTP/1.1 200 OK")
    assert len(whole) > LEAST_LENGTH


async def test_who_reads_nothing_makes_way_for_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All connections wait for one sender to read, and the answers of all are under way."""
    monkeypatch.setattr("mastery_engine.service.most_connections", lambda: 6)
    async with listening(tmp_path / "other") as api:
        port = api.client.base_url.port
        held = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(6)]
        for _, writer in held:
            writer.write(DOCUMENT * 16)
        async with asyncio.timeout(PATIENCE_S):  # less than an answer may lie unread
            while (await api.get("/health")).status_code != 200:
                await asyncio.sleep(0.1)
        for _, writer in held:
            writer.close()


class Held:
    """A connection whose answer waits to be read."""

    is_open = True
    unread = 1_000

    def give_way(self) -> None:
        self.is_open = False


def test_who_has_most_unread_bytes_loses_what_waits_longest() -> None:
    unread, held = UnreadAnswers(most=100), [Held() for _ in range(6)]
    for sender, each, size in zip("aabaab", held, (30, 30, 25, 15, 20, 30), strict=True):
        unread.hold(sender, each, size)  # 120 with the fifth, and 120 again with the sixth
    assert [one.is_open for one in held] == [False, False, True, True, True, True]
    unread.let_go("b", held[5])
    unread.hold("a", held[3], 15)  # it has read something, so the fifth waits longer
    unread.hold("a", Held(), 60)
    assert [one.is_open for one in held[2:5]] == [True, True, False]


def test_who_reads_loses_nothing_before_others_of_the_same_sender_who_do_not() -> None:
    unread, held = UnreadAnswers(most=100), [Held() for _ in range(4)]
    for each in held[:2]:
        unread.hold("a", each, 40)
    held[0].unread = 5
    unread.hold("a", held[2], 40)
    assert [one.is_open for one in held] == [True, False, True, True]
    held[2].unread = 5
    unread.hold("a", held[3], 60)  # all of the others read, and there is too much all the same
    assert [one.is_open for one in held] == [False, False, True, True]


def test_one_answer_may_be_larger_than_all_may_be() -> None:
    unread, first, second = UnreadAnswers(most=100), Held(), Held()
    unread.hold("a", first, 150)
    assert first.is_open
    unread.hold("b", second, 10)
    assert (first.is_open, second.is_open) == (False, True)


async def test_what_waits_for_readers_has_an_end_in_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(UnreadAnswers.__init__, "__defaults__", (2 * LEAST_LENGTH,))
    async with listening(tmp_path / "other") as api:
        port = api.client.base_url.port
        held = [await asyncio.open_connection("127.0.0.1", port, limit=SMALL) for _ in range(8)]
        for _, writer in held:
            writer.write(DOCUMENT * 7 + LAST)
        await asyncio.sleep(1.5)
        whole = 0
        for reader, writer in held:
            with suppress(ConnectionError):
                whole += len(await reader.read()) > 8 * LEAST_LENGTH
            writer.close()
        assert 1 <= whole <= 6


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """What of a connection is there still, by its class; nothing is collected as garbage meanwhile."""
    made: list[weakref.ref[object]] = []
    for kind in (ClientConnection, AnswerCycle):
        begin = kind.__init__

        def noted(self: object, *given: object, begin: Callable[..., None] = begin, **named: object) -> None:
            made.append(weakref.ref(self))
            begin(self, *given, **named)

        monkeypatch.setattr(kind, "__init__", noted)
    gc.disable()
    yield lambda: [type(found).__name__ for one in made if (found := one()) is not None]
    gc.enable()


async def test_nothing_of_a_refused_connection_outlives_it(
    monkeypatch: pytest.MonkeyPatch, dial: Dial, alive: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(connection, "REFUSED_S", 60.0)
    monkeypatch.setattr(ConnectionLimits, "admit", lambda *_: "There are too many.")
    raw = await dial(b"")
    assert (await read(raw)).startswith(b"HTTP/1.1 503 ")
    raw.close()
    async with asyncio.timeout(PATIENCE_S):
        while alive():
            await asyncio.sleep(0.02)
    assert ClientConnection.refused_open == 0


TOKEN = f"Host: a\r\nAuthorization: Bearer {make_token()}\r\n".encode()
ENDINGS = {
    "nothing": b"",
    "half a head": b"GET /health HTTP/1.1\r\nHos",
    "half a body": b"POST /mastery/query HTTP/1.1\r\n" + TOKEN + b"Content-Length: 9\r\n\r\n{",
    "no request": b"GET /health HTTP/1.1\r\n\r\n",
    "no such address": b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
    "a probe": b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    "several probes": b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 5,
    "too many probes": b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 50,
    "an answer that is not read": DOCUMENT * 8,
    "an error": b"POST /mastery/query HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
    "a call": b"POST /mastery/query HTTP/1.1\r\n"
    + TOKEN
    + b'Content-Type: application/json\r\nContent-Length: 31\r\n\r\n{"student_id": "student_12345"}',
    "a stream": b"GET /students/student_12345/stream HTTP/1.1\r\n" + TOKEN + b"\r\n",
}


@pytest.mark.parametrize("request_", ENDINGS.values(), ids=list(ENDINGS))
async def test_nothing_of_a_connection_outlives_it(
    api: Api, dial: Dial, alive: Callable[[], list[str]], request_: bytes
) -> None:
    """Garbage collections are rare: of senders who come and go, 10,000 connections waited for one, and 80 MB."""
    await api.data("/mastery/calculate", {"student_id": STUDENT, "components": COMPONENTS})
    ours = alive()
    for _ in range(3):
        raw = await dial(request_, buffer=SMALL)
        await asyncio.sleep(0.2)
        raw.close()
    async with asyncio.timeout(PATIENCE_S):
        while len(alive()) > len(ours):
            await asyncio.sleep(0.02)
