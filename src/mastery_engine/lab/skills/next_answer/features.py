"""The names of the inputs of the head, with what it may make of each."""

from typing import NamedTuple

import numpy as np


class Feature(NamedTuple):
    """``sign`` 1 or -1: the probability may only rise, or fall, with it; 0: either. ``logged``: a count or a gap."""

    name: str
    sign: int = 0
    logged: bool = False


FEATURES = (
    Feature("level", 1),
    Feature("difficulty"),
    Feature("difficulty variance"),
    Feature("usual level"),
    Feature("general level", 1),
    Feature("skill level", 1),
    Feature("right, half-life 1", 1, logged=True),
    Feature("wrong, half-life 1", -1, logged=True),
    Feature("right, half-life 8", 1, logged=True),
    Feature("wrong, half-life 8", -1, logged=True),
    Feature("above expectation, half-life 2", 1, logged=True),
    Feature("below expectation, half-life 2", -1, logged=True),
    Feature("above expectation, half-life 8", 1, logged=True),
    Feature("below expectation, half-life 8", -1, logged=True),
    Feature("right, 1 h", 1, logged=True),
    Feature("wrong, 1 h", -1, logged=True),
    Feature("right, 1 day", 1, logged=True),
    Feature("wrong, 1 day", -1, logged=True),
    Feature("right, 30 days", 1, logged=True),
    Feature("wrong, 30 days", -1, logged=True),
    Feature("right", 1, logged=True),
    Feature("wrong", -1, logged=True),
    Feature("quick and right", logged=True),
    Feature("quick and wrong", logged=True),
    Feature("skill right, half-life 1", 1, logged=True),
    Feature("skill wrong, half-life 1", -1, logged=True),
    Feature("skill right, half-life 8", 1, logged=True),
    Feature("skill wrong, half-life 8", -1, logged=True),
    Feature("skill right", 1, logged=True),
    Feature("skill wrong", -1, logged=True),
    Feature("skill above expectation", 1, logged=True),
    Feature("skill below expectation", -1, logged=True),
    Feature("answers since the skill", -1, logged=True),
    Feature("seconds since the skill", -1, logged=True),
    Feature("seconds since the last answer", logged=True),
    Feature("item's last answer", 1, logged=True),
    Feature("item's attempts", logged=True),
    Feature("answers since the item", logged=True),
    Feature("same item in a row", logged=True),
    Feature("same skills"),
    Feature("same item"),
    Feature("last answer"),
    Feature("skills of the item"),
    Feature("slower than usual"),
    Feature("slower than usual after a right answer"),
    Feature("slower before"),
    Feature("pace"),
    Feature("traits", 1),
    Feature("traits' variance"),
    *(
        Feature(f"{what} {how}")
        for what in (
            "after the last answer",
            "after the last item",
            "after the last skills",
            "after the last two answers",
            "again",
            "lately",
            "practised",
            "skills lately",
            "in a row",
            "after any of the last",
        )
        for how in ("effect", "support")
    ),
)
SIGNS = np.array([feature.sign for feature in FEATURES], np.float32)
LOGGED = slice(
    next(place for place, feature in enumerate(FEATURES) if feature.logged),
    1 + max(place for place, feature in enumerate(FEATURES) if feature.logged),
)
