"""What senders without a token, or with a student's, can do to the calls of others.

Each attack comes from another loopback address than the calls, and lasts some seconds; meanwhile queries go on at a
rate that does not wait for answers.
"""

import asyncio
import gzip
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import cycle
from time import sleep
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.http import QUERY, served, student_token
from mastery_engine.lab.bench.load import Load, RunningService, point
from mastery_engine.lab.bench.measures import Line, judged
from mastery_engine.lab.bench.servers import memory_mib

STUDENTS = 200
RATE = 100
SECONDS = 6
LEAD_S = 1.0
ATTACKERS = 5  # loopback addresses, 127.0.0.2 and so on
WATCHERS = 90  # who each have as many streams as one may
HEAD = b"GET /health HTTP/1.1\r\nHost: attacked\r\n"
FORM = b"POST /dashboard HTTP/1.1\r\nHost: attacked\r\nContent-Type: application/x-www-form-urlencoded\r\n"
MEMBERS = gzip.compress(b"", 1) * 50_000
CALL = b"POST /process HTTP/1.1\r\nHost: attacked\r\nContent-Type: application/json\r\n"
STREAM = b"GET /students/%b/stream HTTP/1.1\r\nHost: attacked\r\nAuthorization: Bearer %b\r\n\r\n"
LONG = b"Content-Length: 100000\r\n\r\n"

Connect: TypeAlias = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def attacks(runs: int, until: Micros, events: int) -> list[Line]:
    """For each attack: the 99% point of good calls, how many failed, and by how much memory grew."""
    del events
    outcomes: dict[str, list[AttackOutcome]] = defaultdict(list)
    with served(until, STUDENTS) as (service, token):
        tokens = {student: student_token(student) for student in (f"student_{n}" for n in range(WATCHERS))}
        good = Load(f"{service.url}/mastery/query", QUERY, token=token, students=STUDENTS)
        good.answers(RATE, 2)  # what the first calls load is not the attacks' memory
        for _ in range(runs):
            for name, attack in _attacks(tokens).items():
                before = memory_mib(service.process_id)
                with _attacked(service, attack):
                    answers = good.answers(RATE, SECONDS)
                    grown = memory_mib(service.process_id) - before
                failed = sum(answer.status != 200 for answer in answers)
                p99 = point([answer.ms for answer in answers], 0.99)
                outcomes[name].append(AttackOutcome(p99, failed, max(0.0, grown)))
                sleep(LEAD_S)
    return [line for name, measured in outcomes.items() for line in _lines(name, measured)]


class AttackOutcome(msgspec.Struct, frozen=True):
    """What an attack did to good calls: their 99% point, how many failed; and to the memory of the process."""

    p99_ms: float
    failed: int
    grown_mib: float


def _lines(name: str, measured: Sequence[AttackOutcome]) -> list[Line]:
    return [
        judged("attacks", f"{name}: good calls, 99% point", "ms", [one.p99_ms for one in measured], "p99"),
        judged(
            "attacks", f"{name}: good calls that failed", "calls", [float(one.failed) for one in measured], "failed"
        ),
        judged("attacks", f"{name}: memory more", "MiB", [one.grown_mib for one in measured], "memory"),
    ]


@contextmanager
def _attacked(service: RunningService, attack: "Attack") -> Iterator[None]:
    """Under an attack, from a moment before the block until its end, in a thread of its own."""
    stop = threading.Event()
    parts = urlsplit(service.url)
    address = parts.hostname or "", parts.port or 0
    failed: list[BaseException] = []

    async def lead() -> None:
        tasks = [asyncio.create_task(attack(_connect_from(f"127.0.0.{2 + n}", address), n)) for n in range(ATTACKERS)]
        await asyncio.to_thread(stop.wait)
        for task in tasks:
            task.cancel()
        failed.extend(
            outcome
            for outcome in await asyncio.gather(*tasks, return_exceptions=True)
            if isinstance(outcome, Exception)
        )

    thread = threading.Thread(target=lambda: asyncio.run(lead()))
    thread.start()
    try:
        sleep(LEAD_S)
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise StartRefused(
            f"The attack ended by itself: {failed[0]!r}. It needs a machine with more loopback addresses."
        )


def _connect_from(own: str, address: tuple[str, int]) -> Connect:
    return lambda: asyncio.open_connection(*address, local_addr=(own, 0))


async def _again(
    connect: Connect, use: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> None:
    """One connection after another, until cancelled."""
    while True:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            reader, writer = await connect()
            try:
                await use(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.02)


async def _many(connect: Connect, count: int, use: "Use") -> None:
    await asyncio.gather(*[_again(connect, use) for _ in range(count)])


async def _endless_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"X-Endless: ")
    for _round in range(1_000):
        writer.write(b"a" * 65_536)
        await writer.drain()
        await asyncio.sleep(0.002)


async def _slow_form(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _drip(writer, FORM + LONG)


async def _slow_call(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _drip(writer, CALL + LONG)


async def _held_form(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(FORM + b"Content-Length: 1048576\r\n\r\n" + b"a" * 1_048_575)
    await asyncio.sleep(3_600)


async def _packed_form(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(FORM + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(MEMBERS) + MEMBERS)
    await reader.readuntil(b"\r\n\r\n")


async def _slow_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _drip(writer, HEAD + b"X-Slow: ")


async def _drip(writer: asyncio.StreamWriter, begin: bytes) -> None:
    writer.write(begin)
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.5)


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def _unread(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: attacked\r\n\r\n" * 16)
    await asyncio.sleep(3_600)


async def _pipeline(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((HEAD + b"\r\n") * 2_000)
    await asyncio.sleep(0.5)


Use: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Attack: TypeAlias = Callable[[Connect, int], Coroutine[None, None, None]]


def _by(count: int, *uses: Use) -> Attack:
    """So many connections from all attackers together."""

    async def attack(connect: Connect, number: int) -> None:
        await _many(connect, count // ATTACKERS, uses[number % len(uses)])

    return attack


def _by_one(count: int, use: Use) -> Attack:
    """So many connections from one attacker."""

    async def attack(connect: Connect, number: int) -> None:
        if number == 0:
            await _many(connect, count, use)

    return attack


def _attacks(tokens: Mapping[str, str]) -> dict[str, Attack]:
    """The attacks by their names; ``tokens`` are students'."""
    turns = cycle(tokens.items())

    async def stream_of(student: str, token: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM % (student.encode(), token.encode()))
        while await reader.read(65_536):
            pass

    async def stream_in_turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stream_of(*next(turns), reader, writer)

    stream = partial(stream_of, *next(iter(tokens.items())))
    return {
        "5 heads without end": _by(5, _endless_head),
        "150 slow bodies": _by(150, _slow_form, _slow_call),
        "150 slow heads": _by(150, _slow_head),
        "900 forms that lack a byte": _by(900, _held_form),
        "20 forms that are packed in 50,000 parts": _by(20, _packed_form),
        "1,100 silent connections of one address": _by_one(1_100, _silent),
        "1,000 streams of one student, who gets 10": _by(1_000, stream),
        f"{10 * WATCHERS} streams of {WATCHERS} students": _by(10 * WATCHERS, stream_in_turn),
        "150 answers that nobody reads": _by(150, _unread),
        "20 pipelines of 2,000 requests": _by(20, _pipeline),
    }
