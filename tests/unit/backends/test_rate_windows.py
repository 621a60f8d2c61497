"""The rate limits' windows in this process, beside those of a library."""

from random import Random

import pytest
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from mastery_engine.backends.memory.rate_windows import MemoryWindows
from mastery_engine.domain.moments import SECOND


async def test_windows_are_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of a few callers at random moments, sparse and in floods: each is answered the same."""
    chance, now = Random(29), 1_000 * SECOND
    monkeypatch.setattr("limits.aio.storage.memory.time.time", lambda: now / SECOND)
    ours, theirs = MemoryWindows(), MovingWindowRateLimiter(MemoryStorage())
    refused = 0
    for _ in range(5_000):
        now += chance.choice((0, 1, 1_000_003, 20_000_003, 60_000_003)) * chance.randrange(1_000) // 1_000
        limit, caller = chance.choice((1, 5, 50)), chance.choice("abc")
        item = RateLimitItemPerMinute(limit)
        has_room, number, ends = ours.count(f"{limit}/{caller}", limit, now)
        assert has_room == await theirs.hit(item, caller)
        reset, remaining = await theirs.get_window_stats(item, caller)
        assert (limit - number, ends / SECOND) == (remaining, pytest.approx(reset, abs=0.001))
        refused += not has_room
    assert 100 < refused < 4_900


def test_windows_that_are_empty_are_forgotten() -> None:
    now, windows = 1_000 * SECOND, MemoryWindows()
    for number in range(500):
        windows.count(f"caller {number}", 5, now)
    windows.count("caller 7", 5, now + 30 * SECOND)
    assert len(windows) == 500
    windows.count("another", 5, now + 61 * SECOND)
    assert len(windows) == 2
