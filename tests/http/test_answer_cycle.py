"""Answers on a connection: mostly one write each. Connections between two requests: one timer for all."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from mastery_engine.http.answer_cycle import AnswerCycle
from mastery_engine.http.idle_connections import IdleConnections

DATE = (b"date", b"Sun, 29 Nov 2026 10:00:00 GMT")


class Transport(asyncio.Transport):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.writes += list_of_data

    def close(self) -> None:
        self.is_closed = True


async def answered(
    headers: Sequence[tuple[bytes, bytes]], *bodies: bytes, method: str = "GET", keep_alive: bool = True
) -> tuple[Transport, AnswerCycle]:
    """What is written of an answer with these headers, whose body comes in these parts."""
    transport = Transport()
    cycle = AnswerCycle(
        scope={"type": "http", "method": method},  # type: ignore[typeddict-item]
        transport=transport,
        flow=FlowControl(transport),
        logger=logging.getLogger(),
        access_logger=logging.getLogger(),
        access_log=False,
        default_headers=[DATE],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )
    await cycle.send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[typeddict-item]
    for place, body in enumerate(bodies, 1):
        await cycle.send({"type": "http.response.body", "body": body, "more_body": place < len(bodies)})
    return transport, cycle


HEAD = b"HTTP/1.1 200 OK\r\ndate: Sun, 29 Nov 2026 10:00:00 GMT\r\ncontent-length: %d\r\nx-id: 7\r\n\r\n"


def sized(length: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", b"%d" % length), (b"x-id", b"7")]


async def test_an_answer_is_one_write() -> None:
    transport, cycle = await answered(sized(2), b"{}")
    assert transport.writes == [HEAD % 2 + b"{}"]
    assert cycle.response_complete
    assert not transport.is_closed


async def test_a_body_in_parts_goes_out_as_it_comes() -> None:
    transport, cycle = await answered(sized(5), b"ab", b"cde")
    assert transport.writes == [HEAD % 5 + b"ab", b"cde"]
    assert cycle.response_complete


async def test_the_head_of_a_stream_waits_for_nothing() -> None:
    transport, cycle = await answered([(b"content-type", b"text/event-stream")])
    assert len(transport.writes) == 1
    assert transport.writes[0].endswith(b"transfer-encoding: chunked\r\n\r\n")
    assert not cycle.response_complete


async def test_a_large_body_is_not_copied() -> None:
    """Until they are read, many answers may wait with the same bytes."""
    large = bytes(300_000)
    transport, cycle = await answered(sized(len(large)), large)
    assert transport.writes[0] == HEAD % len(large)
    assert transport.writes[1] is large
    assert cycle.response_complete


async def test_head_has_no_body() -> None:
    transport, cycle = await answered(sized(2), b"{}", method="HEAD")
    assert transport.writes == [HEAD % 2]
    assert cycle.response_complete


async def test_an_answer_that_ends_the_connection_says_so() -> None:
    transport, _ = await answered(sized(2), b"{}", keep_alive=False)
    assert transport.writes == [HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") % 2 + b"{}"]
    assert transport.is_closed


@pytest.mark.parametrize("bodies", [(b"abc",), (b"a",), (b"a", b"bc")])
async def test_a_body_of_another_length_than_it_said_is_a_fault(bodies: tuple[bytes, ...]) -> None:
    with pytest.raises(RuntimeError):
        await answered(sized(2), *bodies)


@pytest.mark.parametrize("header", [(b"x-id", b"7\r\nset-cookie: a=b"), (b"x id", b"7"), (b"x-id", b"7\x00")])
async def test_a_header_that_would_end_its_line_is_never_written(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(RuntimeError, match="Invalid HTTP header"):
        await answered([(b"content-length", b"2"), header], b"{}")


class Idle:
    """A connection that notes when it was closed."""

    closed_at: float | None = None

    def __init__(self, loop: "Loop") -> None:
        self._loop = loop

    def timeout_keep_alive_handler(self) -> None:
        self.closed_at = self._loop.now


class Loop(asyncio.AbstractEventLoop):
    """A loop whose time is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, **_: Any) -> Any:
        self.timers.append((when, callback, args))

    def run_until(self, moment: float) -> None:
        while due := sorted([one for one in self.timers if one[0] <= moment], key=lambda one: one[0]):
            self.timers.remove(due[0])
            self.now, callback, args = due[0]
            callback(*args)
        self.now = moment


def test_idle_connections_end_in_turn_by_one_timer() -> None:
    loop, idle = Loop(), IdleConnections()
    first, second, third = connections = [Idle(loop) for _ in range(3)]
    for connection in connections:
        idle.begin(connection, loop, 75.0)
        loop.run_until(loop.now + 10)
    assert len(loop.timers) == 1
    idle.end(second)  # it has a request at 30 s, and waits again from 40 s on
    loop.run_until(40)
    idle.begin(second, loop, 75.0)
    loop.run_until(200)
    assert [one.closed_at for one in (first, second, third)] == [75.0, 115.0, 95.0]
    assert loop.timers == []  # nobody waits, so nothing wakes the process
    idle.begin(first, loop, 75.0)
    loop.run_until(300)
    assert first.closed_at == 275.0
