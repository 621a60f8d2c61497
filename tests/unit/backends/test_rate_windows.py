"""The rate limits' windows in this process, beside the library's own."""

from random import Random

import pytest
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from mastery_engine.backends.memory.rate_windows import MemoryWindows


async def test_windows_are_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of a few callers at random moments, sparse and in floods: each is answered the same."""
    chance, now = Random(29), 1_000.0
    monkeypatch.setattr("limits.aio.storage.memory.time.time", lambda: now)
    ours, theirs = MovingWindowRateLimiter(MemoryWindows()), MovingWindowRateLimiter(MemoryStorage())
    items = [RateLimitItemPerMinute(limit) for limit in (1, 5, 50)]
    refused = 0
    for _ in range(5_000):
        now += chance.choice((0.0, 0.1, 1.0, 20.0, 60.0)) * chance.random()
        item, caller = chance.choice(items), chance.choice("abc")
        taken = await ours.hit(item, caller)
        assert taken == await theirs.hit(item, caller)
        assert await ours.get_window_stats(item, caller) == await theirs.get_window_stats(item, caller)
        refused += not taken
    assert 100 < refused < 4_900


async def test_windows_that_are_empty_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("limits.aio.storage.memory.time.time", lambda: now)
    windows = MemoryWindows()
    for number in range(500):
        await windows.acquire_entry(f"caller {number}", 5, 60)
    now += 30
    await windows.acquire_entry("caller 7", 5, 60)
    now += 31
    await windows.acquire_entry("another", 5, 60)
    assert [*windows.events] == ["caller 7", "another"]
    for _ in range(100):
        await windows.acquire_entry("another", 5, 60)
    assert len(windows.events["another"]) == 5
