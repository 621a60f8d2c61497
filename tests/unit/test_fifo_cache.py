"""The cache of the newest entries."""

from random import Random

from cachetools import FIFOCache

from mastery_engine.fifo_cache import FifoCache


def test_the_newest_entries_stay_as_in_cachetools() -> None:
    chance = Random(29)
    ours, theirs = FifoCache[int, int](7), FIFOCache[int, int](7)
    for turn in range(2_000):
        key = chance.randrange(12)
        if chance.random() < 0.6:
            ours[key] = theirs[key] = turn
        elif chance.random() < 0.1:
            assert ours.pop(key, None) == theirs.pop(key, None)
        assert ours.get(key) == theirs.get(key)
        assert {*ours.items()} == {*theirs.items()}
        assert len(ours) <= 7
