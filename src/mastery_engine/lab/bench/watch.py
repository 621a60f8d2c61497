"""What it costs that people watch: their open pages, on one process."""

import asyncio
from collections.abc import Awaitable, Sized
from random import Random
from time import perf_counter
from typing import Any

import httpx

from mastery_engine.domain.moments import Micros
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.http import served, student_token
from mastery_engine.lab.bench.load import RunningService, point
from mastery_engine.lab.bench.measures import Line, judged, shown
from mastery_engine.lab.bench.servers import cpu_seconds

WATCHERS = 300
RATE = 10
SECONDS, IDLE_S = 20.0, 5.0
PATIENCE_S = 60.0

COOKIE = "mastery_session"


def watch(runs: int, until: Micros, events: int) -> list[Line]:
    """300 students with their page open, as it is in a browser: a stream, and the page anew after each change.

    10 events a second come over HTTP, each of one of them: each student does something every 30 s.
    """
    del events
    with served(until, WATCHERS) as (service, token):
        idle, busy, seen = zip(*(asyncio.run(_watched(service, token, run)) for run in range(runs)), strict=True)
    return [
        shown("watch", f"{WATCHERS} open pages, nothing happens", "cores", idle),
        judged("watch", f"{WATCHERS} open pages, {RATE} events/s", "cores", busy, "busy"),
        judged("watch", "an event's answer to the page that shows it, 95% point", "s", seen, "seen"),
    ]


class _Pages:
    """The open pages: which have begun to watch, and how long each event waited from its answer until it was shown."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._waiting: dict[int, float] = {}
        self.opened: set[int] = set()
        self.waited_s: list[float] = []

    async def show(self, student: int) -> None:
        """Until cancelled. A stream begins with what the page has already."""
        page = f"/dashboard/students/student_{student}"
        who = {"Cookie": f"{COOKIE}={student_token(f'student_{student}')}"}
        async with self._client.stream("GET", f"{page}/live", timeout=None, headers=who) as stream:
            stream.raise_for_status()
            async for line in stream.aiter_lines():
                if not line.startswith("data: "):
                    continue
                if student in self.opened:
                    (await self._client.get(page, headers=who)).raise_for_status()
                    self.waited_s.append(perf_counter() - self._waiting.pop(student, perf_counter()))
                self.opened.add(student)

    async def happen(self, seconds: float, seed: int) -> int:
        """Events at the rate, of students none of whose events waits to be seen; how many."""
        chance = Random(seed)  # nosec B311
        started, sent = perf_counter(), 0
        while sent < seconds * RATE:
            student = chance.choice([number for number in range(WATCHERS) if number not in self._waiting])
            self._waiting[student] = perf_counter()
            (await self._client.post("/mastery/ingest", json=_quiz(student, chance.randrange(11)))).raise_for_status()
            if student in self._waiting:
                self._waiting[student] = perf_counter()
            sent += 1
            await asyncio.sleep(max(0.0, started + sent / RATE - perf_counter()))
        return sent


def _quiz(student: int, correct: int) -> dict[str, Any]:
    data = {"total_questions": 10, "correct_answers": correct}
    return {"event_type": "quiz", "student_id": f"student_{student}", "data": data}


async def _watched(service: RunningService, token: str, run: int) -> tuple[float, float, float]:
    """Cores used while nothing happens, while events come, and the 95% point of the seconds until they are seen."""
    limits = httpx.Limits(max_connections=None)
    who = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=service.url, headers=who, limits=limits, timeout=60) as client:
        pages = _Pages(client)
        tasks = [asyncio.create_task(pages.show(student)) for student in range(WATCHERS)]
        try:
            await _so_many(pages.opened, WATCHERS, "streams have begun")
            idle = await _cores(service, asyncio.sleep(IDLE_S))
            busy = await _cores(service, _busy(pages, run))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return idle, busy, point(pages.waited_s, 0.95)


async def _busy(pages: _Pages, run: int) -> None:
    await _so_many(pages.waited_s, await pages.happen(SECONDS, run), "events were seen")


async def _so_many(seen: Sized, many: int, what: str) -> None:
    """Until there are so many. Raises StartRefused where there are not within a minute."""
    until = perf_counter() + PATIENCE_S
    while len(seen) < many:
        if perf_counter() > until:
            raise StartRefused(f"Only {len(seen)} of {many} {what}.")
        await asyncio.sleep(0.01)


async def _cores(service: RunningService, work: Awaitable[None]) -> float:
    """How many cores the service kept busy meanwhile."""
    started, used = perf_counter(), cpu_seconds([service.process_id])
    await work
    return (cpu_seconds([service.process_id]) - used) / (perf_counter() - started)
