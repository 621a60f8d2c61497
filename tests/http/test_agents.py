"""The server of agents is made once, by the first who asks, and beside whatever else is answered meanwhile."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mastery_engine.http.agents import AgentsOnDemand, agents_served
from tests.support.calls import Api
from tests.support.composed import composed

ASKED: Any = None


class CountingServer:
    """Answers while it runs, and counts the calls."""

    def __init__(self) -> None:
        self.is_running = False
        self.calls = 0

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        self.is_running = True
        try:
            yield
        finally:
            self.is_running = False

    async def handle_request(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.is_running
        self.calls += 1


async def ask(agents: AgentsOnDemand) -> None:
    async with asyncio.timeout(10):
        await agents.handle_request(ASKED, ASKED, ASKED)


async def test_it_is_made_once_by_the_first_who_asks_and_ends_with_the_service() -> None:
    made: list[CountingServer] = []

    def make(*_: object) -> CountingServer:
        made.append(CountingServer())
        return made[-1]

    async with agents_served(make, composed()) as agents:
        await asyncio.sleep(0)
        assert made == []
        await asyncio.gather(*[ask(agents) for _ in range(5)])
        await ask(agents)
        assert [server.calls for server in made] == [6]
    assert not made[0].is_running


async def test_a_caller_who_leaves_takes_it_from_nobody() -> None:
    may_be_made = threading.Event()
    server = CountingServer()

    def make(*_: object) -> CountingServer:
        assert may_be_made.wait(10)
        return server

    async with agents_served(make, composed()) as agents:
        impatient = asyncio.create_task(ask(agents))
        patient = asyncio.create_task(ask(agents))
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        may_be_made.set()
        await patient
        assert server.calls == 1


async def test_one_that_cannot_be_made_is_an_error_of_each_call(caplog: pytest.LogCaptureFixture) -> None:
    def make(*_: object) -> CountingServer:
        raise ValueError("a tool has no name")

    async with agents_served(make, composed()) as agents:
        for _ in range(2):
            with pytest.raises(ValueError, match="no name"):
                await ask(agents)
    assert "agents cannot be answered" in caplog.text


async def test_a_service_that_no_agent_asks_stops_at_once(api: Api) -> None:
    assert (await api.get("/health")).status_code == 200
