"""The garbage collector of a process that stays."""

import gc

YOUNG, MIDDLE, OLD = 10_000, 20, 20


def settle() -> None:
    """What the start has made stays: the collector looks at it no more, and less often at the rest.

    A look at all of it takes 100 ms and more, in which nobody is answered; and hardly anything here is in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
