"""Connections by socket: bytes that are no request, heads without end, requests behind one another, floods."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest

from mastery_engine.auth.limits import neighbourhood
from mastery_engine.domain.moments import MINUTE
from mastery_engine.errors import StartRefused
from mastery_engine.http import connection
from mastery_engine.http.connection import MAX_HEAD, MOST_WAITING, ClientConnection
from mastery_engine.http.connection_limits import ConnectionLimits, most_connections
from mastery_engine.http.serve import authority, listen
from tests.support.calls import COMPONENTS, STUDENT, Api, listening
from tests.support.live import make_token

HEAD = b"GET /health HTTP/1.1\r\nHost: a\r\n"
HEALTH = HEAD + b"\r\n"
PATIENCE_S = 20


@dataclass(frozen=True)
class Answer:
    """One answer, as it came."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error, after a look at its envelope."""
        answer = json.loads(self.body)
        assert answer["success"] is False
        assert self.headers[b"x-request-id"].decode() == answer["meta"]["request_id"]
        return str(answer["error"]["code"])


class Client:
    """A client that says what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self) -> Answer:
        """The next answer; its body has a length."""
        async with asyncio.timeout(PATIENCE_S):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n").split(b"\r\n")
            headers = dict(line.split(b": ", 1) for line in lines[1:])
            body = await self.reader.readexactly(int(headers[b"content-length"]))
        return Answer(int(lines[0].split()[1]), headers, body)

    async def rest(self) -> bytes:
        """What comes until the server closes the connection."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def ask(self, *parts: bytes) -> Answer:
        await self.send(*parts)
        return await self.answer()


async def pushed(client: Client, part: bytes, times: int) -> None:
    """Send the same again and again. Raises ConnectionError where the server has ended that."""
    for _ in range(times):
        await client.send(part)
        await asyncio.sleep(0.001)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with listening(tmp_path, max_concurrent_requests=2) as api:
        yield api


@pytest.fixture
def port(api: Api) -> int:
    port = api.client.base_url.port
    assert port is not None
    return port


Connect: TypeAlias = Callable[..., Awaitable[Client]]


@pytest.fixture
async def connect(port: int) -> AsyncIterator[Connect]:
    """Makes one more client."""
    clients: list[Client] = []

    async def connect(to: int = port, **how: Any) -> Client:
        clients.append(Client(*await asyncio.open_connection(**({"host": "127.0.0.1", "port": to} | how))))
        return clients[-1]

    yield connect
    for client in clients:
        client.writer.close()
    await asyncio.gather(*(client.writer.wait_closed() for client in clients), return_exceptions=True)


@pytest.fixture
async def client(connect: Connect) -> Client:
    return await connect()


def query(*headers: str, body: bytes | None = None) -> bytes:
    """A query with an admin's token."""
    body = json.dumps({"student_id": STUDENT}).encode() if body is None else body
    lines = [
        "POST /mastery/query HTTP/1.1",
        "Host: a",
        f"Authorization: Bearer {make_token()}",
        "Content-Type: application/json",
        *headers,
    ]
    if not any(header.lower().startswith(("transfer-encoding", "content-length")) for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


UNREADABLE = {
    "no such method": b"FOO /health HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\r\n\r\n",
    "half a line": b"GET\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": HEAD + b"Host: b\r\n\r\n",
    "a blank before the colon": HEAD + b"X : a\r\n\r\n",
    "a folded header": HEAD + b"X: a\r\n b\r\n\r\n",
    "a bare line feed": HEAD + b"X: a\nY: b\r\n\r\n",
    "a NUL": HEAD + b"X: a\x00b\r\n\r\n",
    "a length and chunks": HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": HEAD + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": HEAD + b"Content-Length: +3\r\n\r\nabc",
    "a length without end": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "chunks last of all but one": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown encoding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks hidden by a tabulator": HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a signed chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "a chunk by a bare line feed": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "a chunk without end": HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
    "another coding before chunks": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "another version": b"GET /health HTTP/2.0\r\nHost: a\r\n\r\n",
    "a version without heads": b"GET /health HTTP/0.9\r\n\r\n",
    "a host that is none": b"GET /health HTTP/1.1\r\nHost: [x\r\n\r\n",
    "a host with a path": b"GET /health HTTP/1.1\r\nHost: a b/c\r\n\r\n",
    "a host of two": b"GET /health HTTP/1.1\r\nHost: [::1].example\r\n\r\n",
    "a host with a name": b"GET /health HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "a tunnel": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an address that is not ASCII": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_no_request_is_answered_in_the_envelope_and_ends_the_connection(
    connect: Connect, client: Client, name: str
) -> None:
    """What stands behind it is not read as a request: who smuggles one there gets no answer to it."""
    await client.send(UNREADABLE[name] + HEALTH)
    answers = await client.rest()
    head, _, body = answers.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 200 "):  # /health needs no body, so it may have been answered before its end was read
        assert b"chunk" in UNREADABLE[name].lower()
        return
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answers
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert headers[b"connection"] == b"close"
    assert int(headers[b"content-length"]) == len(body)
    assert Answer(400, headers, body).code == "VALIDATION_ERROR"
    assert (await (await connect()).ask(HEALTH)).status == 200


async def test_a_head_has_32_kib_at_most(connect: Connect, port: int, client: Client) -> None:
    fits = b"X-Padding: " + b"a" * (MAX_HEAD - len(HEALTH) - 64) + b"\r\n\r\n"
    assert (await client.ask(HEAD + fits)).status == 200
    assert (
        await client.ask(*[(HEAD + fits)[start : start + 1_000] for start in range(0, MAX_HEAD, 1_000)])
    ).status == 200
    in_one = await connect()
    assert (await in_one.ask(HEAD + b"X-Padding: " + b"a" * MAX_HEAD + b"\r\n\r\n")).code == "HEADERS_TOO_LARGE"
    many = await connect()
    answer = await many.ask(HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(MAX_HEAD // 8)) + b"\r\n")
    assert (answer.status, answer.code) == (431, "HEADERS_TOO_LARGE")
    blanks = await connect()
    assert (await blanks.ask(HEAD + b"A:" + b" " * 60_000 + b"a\r\n\r\n")).status == 431
    behind = await connect()  # a large one in the same bytes as a small one
    await behind.send(HEALTH + HEAD + b"X-Padding: " + b"a" * MAX_HEAD + b"\r\n\r\n")
    assert [(await behind.answer()).status for _ in range(2)] == [200, 431]


@pytest.mark.parametrize("begin", [HEAD + b"X: ", b"GET /", b"\r\n", HEAD + b"Content-Length: "])
async def test_a_head_without_end_is_ended(monkeypatch: pytest.MonkeyPatch, client: Client, begin: bytes) -> None:
    """It was read for ever, in quadratic time."""
    monkeypatch.setattr(connection, "MOST_AFTER_ANSWER", 100_000)
    await client.send(begin)
    filler = b"\r\n" * 4_096 if begin == b"\r\n" else b"9" * 8_192
    with pytest.raises(ConnectionError):
        await pushed(client, filler, 200)


async def test_a_head_that_drips_is_late_and_a_silent_connection_is_closed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, port: int, client: Client
) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.5)
    silent, dripping = await connect(), await connect()

    async def drip() -> None:
        while True:
            dripping.writer.write(b"a")
            await asyncio.sleep(0.05)

    await dripping.send(HEAD + b"X: ")
    task = asyncio.create_task(drip())
    answer = await dripping.answer()
    task.cancel()
    assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")
    assert await silent.rest() == b""
    blanks = await connect()
    assert (await blanks.ask(HEALTH)).status == 200
    await blanks.send(b"\r\n")  # it unset the server's own timer for ever
    assert b" 408 " in await blanks.rest()


async def test_a_connection_between_two_requests_is_kept_for_75_seconds_and_not_longer(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert connection.KEEP_ALIVE_S == 75
    monkeypatch.setattr("mastery_engine.http.serve.KEEP_ALIVE_S", 0.5)
    async with listening(tmp_path / "other") as api:
        client = await connect(api.client.base_url.port)
        assert (await client.ask(HEALTH)).status == 200
        assert (await client.ask(HEALTH)).status == 200
        assert await client.rest() == b""
        unread = await connect(api.client.base_url.port)  # its body comes after the answer, and is not wanted
        await unread.send(HEAD + b"Content-Length: 4\r\n\r\nab")
        assert (await unread.answer()).status == 200
        await unread.send(b"cd")
        assert await unread.rest() == b""


async def test_what_nobody_wants_after_an_answer_is_not_read_for_ever(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, client: Client, port: int
) -> None:
    monkeypatch.setattr(connection, "LINGER_S", 0.3)
    assert (await client.ask(HEAD + b"Content-Length: 1000\r\n\r\nab")).status == 200
    assert await client.rest() == b""
    monkeypatch.setattr(connection, "LINGER_S", 60)
    flood = await connect()
    assert (await flood.ask(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")).status == 200
    with pytest.raises(ConnectionError):
        await pushed(flood, b"10000\r\n" + bytes(65_536) + b"\r\n", 1_000)


async def test_a_body_that_ends_after_its_answer_ends_no_later_request(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setattr(connection, "LINGER_S", 0.3)
    assert (await client.ask(HEAD + b"Content-Length: 4\r\n\r\nab")).status == 200
    await client.send(b"cd" + HEALTH)
    assert (await client.answer()).status == 200
    await asyncio.sleep(0.5)
    assert (await client.ask(HEALTH)).status == 200


@pytest.mark.parametrize("path", ["/mastery/query", "/mcp", "/dashboard"])
async def test_a_body_that_is_late_is_answered_and_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, client: Client, path: str
) -> None:
    """The answer arrives though its sender goes on sending."""
    monkeypatch.setattr("mastery_engine.http.middleware.body.FIRST_S", 0.2)
    call = query("Content-Length: 1000", body=b"").replace(b"/mastery/query", path.encode())
    if path == "/dashboard":
        call = call.replace(b"application/json", b"application/x-www-form-urlencoded")
    await client.send(call)
    for _ in range(8):
        await client.send(b"a")
        await asyncio.sleep(0.1)
    answer = await client.answer()
    assert (answer.status, answer.headers[b"connection"]) == (408, b"close")
    if path != "/dashboard":
        assert answer.code == "REQUEST_TIMEOUT"
    assert await client.rest() == b""


@pytest.mark.parametrize("path", [b"/students/student_1/stream", b"/dashboard/students/student_1/live"])
async def test_head_of_a_stream_ends(client: Client, path: bytes) -> None:
    await client.send(b"HEAD " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n" + HEALTH)
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"allow: GET\r\n" in head.lower().replace(b"get", b"GET")
    assert (await client.answer()).status == 200


async def test_trailers_are_dropped_and_have_an_end(
    monkeypatch: pytest.MonkeyPatch, connect: Connect, client: Client
) -> None:
    forged = make_token("admin")
    call = (
        b"POST /mastery/query HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'1d\r\n{"student_id": "student_123"}\r\n0\r\n'
        b"Authorization: Bearer " + forged.encode() + b"\r\nX-Request-Id: forged\r\n\r\n"
    )
    answer = await client.ask(call)
    assert answer.status == 401
    assert answer.headers[b"x-request-id"] != b"forged"
    monkeypatch.setattr(connection, "MOST_AFTER_ANSWER", 100_000)
    endless = await connect()
    await endless.send(query("Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\nX: "))
    with pytest.raises(ConnectionError):
        await pushed(endless, b"a" * 8_192, 40)


async def test_requests_behind_one_another_are_answered_in_turn_up_to_a_number(
    connect: Connect, client: Client, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    few = b"".join(HEAD + b"X-Request-Id: %d\r\n\r\n" % number for number in range(MOST_WAITING))
    await client.send(few)
    answers = [await client.answer() for _ in range(MOST_WAITING)]
    assert [int(answer.headers[b"x-request-id"]) for answer in answers] == list(range(MOST_WAITING))
    many = await connect()
    await many.send(HEALTH * 5_000)
    statuses = []
    while True:
        answer = await many.answer()
        statuses.append(answer.status)
        if answer.status != 200:
            break
    assert statuses == [200] * (MOST_WAITING + 1) + [503]
    assert await many.rest() == b""


@pytest.mark.parametrize("path", [b"/process", b"/dapr/events", b"/mastery/query", b"/mastery/ingest", b"/mcp"])
@pytest.mark.parametrize("token", [b"", b"Authorization: Bearer wrong\r\n", b"dapr-api-token: wrong\r\n"])
async def test_who_is_nobody_is_refused_before_their_body_has_come(client: Client, path: bytes, token: bytes) -> None:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + token
    answer = await client.ask(head + b"Content-Length: 100000\r\n\r\n{")
    assert answer.status in (401, 403)


async def test_a_good_request_before_a_bad_one_has_its_answer(client: Client) -> None:
    await client.send(query() + b"NONSENSE\r\n\r\n")
    first, second = await client.answer(), await client.answer()
    assert (first.status, second.status) == (404, 400)
    assert second.code == "VALIDATION_ERROR"
    assert await client.rest() == b""


async def test_a_body_that_breaks_behind_a_good_request_is_refused_after_its_answer(client: Client) -> None:
    broken = query("Transfer-Encoding: chunked", body=b"zz\r\n")
    await client.send(query() + broken)
    assert [(await client.answer()).status for _ in range(2)] == [404, 400]
    assert await client.rest() == b""


async def test_a_body_that_breaks_is_not_acted_on(api: Api, client: Client) -> None:
    event = {"event_type": "quiz", "student_id": STUDENT, "data": {"total_questions": 10, "correct_answers": 9}}
    body = json.dumps(event).encode()
    call = query("Transfer-Encoding: chunked", body=b"%x\r\n%b\r\nzz\r\n" % (len(body), body))
    await client.send(call.replace(b"/mastery/query", b"/mastery/ingest"))
    assert (await client.answer()).status == 400
    assert await client.rest() == b""
    await asyncio.sleep(0.1)
    assert (await api.post("/mastery/query", {"student_id": STUDENT})).status_code == 404


async def test_requests_whose_sender_is_gone_write_no_tracebacks(
    connect: Connect, port: int, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    linger_no_more = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    for _ in range(20):
        gone = await connect()
        raw = gone.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_no_more)
        await gone.send(query() * 8)
        gone.writer.transport.abort()
    await asyncio.sleep(0.3)
    assert (await api.get("/health")).status_code == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_upgrade_is_answered_as_a_call_and_nothing_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    answer = await client.ask(HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert (answer.status, answer.headers[b"connection"]) == (200, b"close")
    assert await client.rest() == b""
    assert not caplog.records


async def test_who_does_not_read_an_answer_is_cut_off_and_has_kept_nobody_out(
    monkeypatch: pytest.MonkeyPatch, api: Api, port: int
) -> None:
    """Two calls at once are allowed here; four sit on their answers."""
    monkeypatch.setattr(connection, "UNREAD_S", 1.0)
    made = ClientConnection.connection_made

    def with_a_small_buffer(self: ClientConnection, transport: asyncio.Transport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        made(self, transport)

    monkeypatch.setattr(ClientConnection, "connection_made", with_a_small_buffer)
    page = (await api.get("/openapi.json")).content
    assert len(page) > 65_536
    unread = []
    for _ in range(4):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
        raw.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 16)
        unread.append(raw)
    await asyncio.sleep(0.3)
    assert (await api.post("/mastery/query", {"student_id": STUDENT})).status_code == 404
    await asyncio.sleep(2.4)
    for raw in unread:
        with pytest.raises(ConnectionError):
            await read_wholly(raw)
        raw.close()


async def read_wholly(raw: socket.socket) -> None:
    """Raises ConnectionError where the answers were cut off."""
    received, parts = 0, 16 * len(b"HTTP/1.1 200 OK")
    async with asyncio.timeout(PATIENCE_S):
        while part := await asyncio.get_running_loop().sock_recv(raw, 1 << 20):
            received += len(part)
    if received < parts * 1_000:
        raise ConnectionAbortedError


class Clock:
    """A clock that stands until it is moved."""

    now = 0

    def __call__(self) -> int:
        return self.now


class Held:
    """An open connection of a sender, which waits for that sender until it is told otherwise."""

    def __init__(self, counted: ConnectionLimits, address: str) -> None:
        self.counted, self.sender = counted, neighbourhood(address)
        self.refused = counted.admit(address)
        if self.refused is None:
            counted.waits(self.sender, self)

    def give_way(self) -> None:
        self.refused = "gave way"
        self.counted.leave(self.sender, self)


def limits(clock: Clock, **most: int) -> ConnectionLimits:
    return ConnectionLimits(clock=clock, is_proxy={"10.0.0.7"}.__contains__, **most)


def test_connections_of_one_sender_are_limited_but_for_proxies() -> None:
    counted = limits(Clock(), most=100, most_of_one_address=2)
    held = [Held(counted, "192.0.2.1") for _ in range(3)]
    assert [each.refused is None for each in held] == [True, True, False]
    assert "close some" in (held[2].refused or "")
    kept = [Held(counted, f"2001:db8::{number}") for number in range(3)]
    assert [each.refused is None for each in kept] == [True, True, False]  # the first 64 bits are one sender
    held[0].give_way()
    assert Held(counted, "192.0.2.1").refused is None
    assert all(Held(counted, "10.0.0.7").refused is None for _ in range(10))
    assert counted.open == 14


def test_where_all_are_in_use_who_has_most_gives_way_to_who_has_fewer() -> None:
    """Else five addresses that keep 200 connections open each keep everybody out."""
    counted = limits(Clock(), most=8, most_of_one_address=5)
    hog = [Held(counted, "192.0.2.1") for _ in range(5)]
    other = [Held(counted, "192.0.2.2") for _ in range(3)]
    counted.works(hog[0].sender, hog[0])
    newcomer = Held(counted, "192.0.2.3")
    assert newcomer.refused is None
    assert [each.refused is None for each in hog] == [True, False, True, True, True]  # the first that waits
    assert all(each.refused is None for each in other)
    assert Held(counted, "192.0.2.4").refused is None
    assert Held(counted, "192.0.2.1").refused is not None  # nobody gives way to who has most already
    for each in hog:
        counted.works(each.sender, each)
    for each in other:
        counted.works(each.sender, each)
    counted.works(newcomer.sender, newcomer)
    assert "in use" in (Held(counted, "192.0.2.5").refused or "")  # whom the engine works for is not cut off
    assert counted.open == 8


def test_refused_connections_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    counted = limits(clock, most=3, most_of_one_address=1)
    for _ in range(100):
        counted.admit("192.0.2.1")
    clock.now = MINUTE - 1
    counted.admit("192.0.2.1")
    assert len(caplog.records) == 1
    clock.now = MINUTE
    counted.admit("192.0.2.1")
    assert len(caplog.records) == 2
    assert "FORWARDED_ALLOW_IPS" in caplog.text


def test_there_are_as_many_connections_as_descriptors_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[int] = []
    monkeypatch.setattr("resource.getrlimit", lambda _: (allowed[-1], 0))
    for descriptors, most in [(1_024, 924), (256, 156), (100_000, 1_000), (-1, 1_000), (64, 16)]:
        allowed.append(descriptors)
        assert most_connections() == most


def test_an_ipv4_address_inside_ipv6_is_its_own_sender() -> None:
    assert neighbourhood("::ffff:192.0.2.1") == neighbourhood("192.0.2.1") != neighbourhood("::ffff:192.0.2.2")


async def test_a_sender_of_many_makes_way_for_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By socket: idle ones of the one sender end, and the other's call is answered."""
    monkeypatch.setattr("mastery_engine.service.most_connections", lambda: 20)
    async with listening(tmp_path) as api:
        port = api.client.base_url.port
        held = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(20)]
        for reader, writer in held[:10]:
            writer.write(HEALTH)
            await reader.readuntil(b"\r\n\r\n")
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await Client(reader, writer).ask(HEALTH)).status == 200
            writer.close()
        ended = 0
        for reader, writer in held:
            ended += reader.at_eof() or reader.exception() is not None
            writer.close()
        assert 1 <= ended <= 5


async def test_too_many_connections_of_an_address_are_answered_and_others_go_on(
    connect: Connect, api: Api, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    held = [await connect() for _ in range(205)]
    await asyncio.sleep(0.1)
    refused = [client for client in held if client.reader._buffer]  # type: ignore[attr-defined]
    assert 5 <= len(refused) <= 6  # the client of this test has one, perhaps
    answer = await refused[0].answer()
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers[b"retry-after"]) > 0
    loop = asyncio.get_running_loop()
    other = socket.socket()
    other.setblocking(False)
    try:
        other.bind(("127.0.0.2", 0))
        await loop.sock_connect(other, ("127.0.0.1", port))
    except OSError:
        pytest.skip("this machine has one loopback address")
    client = await connect(host=None, port=None, sock=other)
    assert (await client.ask(HEALTH)).status == 200
    assert len([record for record in caplog.records if "open connections" in record.getMessage()]) == 1
    text = (await client.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")).body.decode()
    assert 'mastery_http_connections_refused_total{reason="too_many"} ' in text
    for each in held:
        each.writer.close()
    await asyncio.sleep(1.2)
    assert (await (await connect()).ask(HEALTH)).status == 200


@pytest.mark.parametrize(
    ("host", "reached"),
    [("::", ["127.0.0.1", "::1"]), ("::1", ["::1"]), ("[::1]", ["::1"]), ("127.0.0.1", ["127.0.0.1"])],
)
def test_hosts_of_both_families_are_listened_on(host: str, reached: list[str]) -> None:
    with listen(host, 0) as listener:
        for address in reached:
            socket.create_connection((address, listener.getsockname()[1]), timeout=5).close()


@pytest.mark.parametrize(
    ("host", "words"),
    [("203.0.113.7", "no such address"), ("no host.example", "HOST must be"), ("2001:db8::7", "no such address")],
)
def test_a_host_that_is_not_this_machine_s_is_named(host: str, words: str) -> None:
    with pytest.raises(StartRefused, match=words):
        listen(host, 0)


def test_a_taken_port_is_named() -> None:
    with listen("::1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(StartRefused, match=rf"\[::1\]:{port}: another server"):
            listen("::1", port)
    assert authority("127.0.0.1", 80) == "127.0.0.1:80"


PIECES = (
    [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"FOO ", b"get "],
    [
        b"/health",
        b"/mastery/query",
        b"*",
        b"http://a/health",
        b"//",
        b"/%00",
        b"/%ff",
        b"/%",
        b"/?%zz",
        b"a:80",
        b"/#",
        b"",
    ],
    [
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b" HTTP/0.9\r\n",
        b" HTTP/2.0\r\n",
        b" HTTP/1.1\n",
        b"\r\n",
        b"  HTTP/1.1\r\n",
    ],
    [b"Host: a\r\n", b"", b"Host: a\r\nHost: b\r\n", b"Host:\r\n", b"Host : a\r\n", b"host: \xff\r\n"],
    [
        b"",
        b"Content-Length: 2\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Expect: 100-continue\r\nContent-Length: 2\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"X-Request-Id: \x01\r\n",
        b"X: a\r\n b\r\n",
        b": a\r\n",
        b"Content-Type: text/plain\r\n",
        b"Content-Type: application/json\r\nContent-Length: 2\r\n",
    ],
    [b"\r\n", b"\n", b"", b"\r", b"\r\n\r\n"],
    [
        b"",
        b"{}",
        b"2\r\n{}\r\n0\r\n\r\n",
        b"2;a=b\r\n{}\r\n0\r\nA: b\r\n\r\n",
        b"zz\r\n",
        b"-1\r\n",
        b"0\r\n\r\n",
        b"\x00" * 9,
    ],
)


def mangled(chance: Random) -> bytes:
    """One to three requests out of pieces that fit or do not, perhaps with a byte changed."""
    sent = b"".join(b"".join(chance.choice(column) for column in PIECES) for _ in range(chance.randrange(1, 4)))
    if chance.random() < 0.3 and sent:
        place = chance.randrange(len(sent))
        sent = sent[:place] + bytes([chance.randrange(256)]) + sent[place + chance.randrange(2) :]
    return sent


async def _fuzzed(port: int, sent: bytes, split: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent[:split])
        if split < len(sent):
            await asyncio.sleep(0)
            writer.write(sent[split:])
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


CASES = int(os.environ.get("FUZZ_HEADS", "2000"))
AT_ONCE = 180


@pytest.mark.fuzz
async def test_no_head_and_no_framing_makes_an_answer_of_500_or_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The server ends each connection by itself: at once, or when what it waits for is late."""
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(connection, "HEAD_S", 0.5)
    monkeypatch.setattr(connection, "LINGER_S", 0.3)
    monkeypatch.setattr("mastery_engine.http.middleware.body.FIRST_S", 0.5)
    monkeypatch.setattr("mastery_engine.http.serve.KEEP_ALIVE_S", 0.5)
    chance = Random(int(os.environ.get("FUZZ_SEED", "7")))
    async with listening(tmp_path, rate_limit_enabled=False) as api:
        port = api.client.base_url.port or 0
        for start in range(0, CASES, AT_ONCE):
            batch = [mangled(chance) for _ in range(min(AT_ONCE, CASES - start))]
            answers = await asyncio.gather(*(_fuzzed(port, sent, chance.randrange(len(sent) + 1)) for sent in batch))
            for sent, answer in zip(batch, answers, strict=True):
                assert b"HTTP/1.1 50" not in answer.replace(b"HTTP/1.1 503", b""), (sent, answer)
                assert not answer or answer.startswith(b"HTTP/1.1 "), (sent, answer)
        assert (
            await api.post("/mastery/calculate", {"student_id": STUDENT, "components": COMPONENTS})
        ).status_code == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
