"""Dangerous settings as they come and go, and checks of readiness that many ask for at once."""

import asyncio
import logging

import pytest

from mastery_engine.errors import StartRefused, Unavailable
from mastery_engine.ports.backend import Danger
from mastery_engine.services import readiness
from mastery_engine.services.dangers import Dangers
from mastery_engine.services.readiness import Readiness

EVICTS, HIDDEN = Danger("Redis removes keys."), Danger("Redis hides something.", is_certain=False)


class Server:
    """A connection whose server changes."""

    def __init__(self, *dangers: Danger) -> None:
        self.found = list(dangers)
        self.is_away = False
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable("Redis is away.")

    async def dangers(self) -> list[Danger]:
        if self.is_away:
            raise Unavailable("Redis is away.")
        return self.found

    async def close(self) -> None:
        return


async def test_what_is_new_is_logged_once_and_what_is_mended_is_told_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, log = Server(), Server(HIDDEN)
    dangers = Dangers({"store": store, "log": log})

    async def logged() -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert await dangers.look() is not store.is_away
        return [record.message for record in caplog.records]

    assert await logged() == [HIDDEN.message]
    store.found = [EVICTS, HIDDEN]
    assert await logged() == [EVICTS.message]
    store.is_away = True
    assert await logged() == []
    assert list(dangers.of("store")) == [EVICTS, HIDDEN]  # as it was when it was last reached
    store.is_away, store.found = False, []
    assert await logged() == []
    assert list(dangers.of("store")) == []
    store.found = [EVICTS]
    assert await logged() == [EVICTS.message]


async def test_a_start_is_refused_for_what_is_certain_alone() -> None:
    await Dangers({"store": Server(HIDDEN), "log": Server()}).refuse()
    with pytest.raises(StartRefused, match=EVICTS.message) as refused:
        await Dangers({"store": Server(EVICTS, HIDDEN), "log": Server(EVICTS)}).refuse()
    assert refused.value.message.count(EVICTS.message) == 1
    assert HIDDEN.message not in refused.value.message
    assert "ALLOW_UNSAFE_SERVERS" in refused.value.message
    away = Server(EVICTS)
    away.is_away = True
    await Dangers({"store": away}).refuse()


async def test_who_asks_within_a_second_shares_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    asked = Readiness({"store": server.ping}, Dangers({"store": server}))
    for _ in range(3):
        await asyncio.gather(*(asked.dependencies() for _ in range(100)))
    assert server.pings == 1
    monkeypatch.setattr(readiness, "SHARED_S", 0.0)
    server.is_away = True
    (dependency,) = await asked.dependencies()
    assert (dependency.status, dependency.message, server.pings) == ("down", "Redis is away.", 2)


async def test_a_caller_who_leaves_takes_the_answer_from_nobody() -> None:
    may_answer = asyncio.Event()

    async def slow() -> None:
        await may_answer.wait()

    asked = Readiness({"store": slow}, Dangers({}))
    callers = [asyncio.create_task(asked.dependencies()) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    callers[0].cancel()
    may_answer.set()
    (dependency,) = await callers[1]
    assert dependency.status == "up"


async def test_the_log_tells_each_change_once_even_if_nobody_asks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(readiness, "SHARED_S", 0.0)
    monkeypatch.setattr(readiness, "LOOK_EVERY_S", 0.001)
    server = Server()
    looking = asyncio.create_task(Readiness({"store": server.ping}, Dangers({})).keep_looking())

    async def logged() -> list[str]:
        """What stands in the log once the server has been asked a few more times."""
        before = server.pings
        async with asyncio.timeout(30):
            while server.pings < before + 5:
                await asyncio.sleep(0.001)
        said = [record.message for record in caplog.records]
        caplog.clear()
        return said

    for _ in range(2):
        assert await logged() == []
        server.is_away = True
        assert await logged() == ["store is down: Redis is away."]
        assert await logged() == []
        server.is_away = False
        assert await logged() == ["store is up again"]
    looking.cancel()
    await asyncio.wait([looking])
    assert looking.cancelled()


async def test_a_dependency_that_is_silent_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.01)

    async def silent() -> None:
        await asyncio.Event().wait()

    asked = Readiness({"store": silent, "other": silent}, Dangers({}), {"store": "REDIS_HOST"})
    store, other = [dependency.message for dependency in await asked.dependencies()]
    assert store == (
        "The store has not answered within 0.01 s: look at its load and at the network, and at REDIS_HOST."
    )
    assert other == "The other has not answered within 0.01 s: look at its load and at the network."


async def test_a_check_under_way_ends_with_the_looking(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It would say of a connection that is being closed that it is down."""
    monkeypatch.setattr(readiness, "LOOK_EVERY_S", 0.0)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    looking = asyncio.create_task(Readiness({"store": slow}, Dangers({})).keep_looking())
    async with asyncio.timeout(30):
        await begun.wait()
        looking.cancel()
        await ended.wait()
    assert caplog.records == []
