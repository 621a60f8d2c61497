"""Tuning of the garbage collector for long-running processes."""

import gc

YOUNG, MIDDLE, OLD = 10_000, 20, 20


def tune_gc() -> None:
    """Exclude all objects made so far from garbage collection, and collect the others less often.

    A full collection takes 100 ms or more, in which no call is answered, and hardly any object here is in a cycle.
    """
    gc.collect()
    exclude_from_gc()
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def exclude_from_gc() -> None:
    """Exclude all objects made so far, such as those of a package imported late, from garbage collection."""
    gc.freeze()
