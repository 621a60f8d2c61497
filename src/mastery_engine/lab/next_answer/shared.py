"""What all students share: difficulties, usual levels of skills, and what usually follows on what."""

from typing import TypeAlias

from msgspec import Struct

from mastery_engine.lab.next_answer.head import Head
from mastery_engine.lab.next_answer.student import Answered, Skills

ITEM_VARIANCE, SKILL_VARIANCE = 1.0, 0.5
FIRM = 0.002  # a usual level is never surer than this
SHRINK = 2.0  # the prior precision of an effect: its standard deviation is 0.7 log-odds

Effect: TypeAlias = list[float]  # the sum of residuals, and the information in them


class Item(Struct):
    """An item's difficulty, and how it goes after what came before it."""

    difficulty: float = 0.0
    variance: float = ITEM_VARIANCE
    after: dict[Answered, Effect] = {}
    after_two: dict[tuple[Answered | None, Answered], Effect] = {}
    again: dict[int, Effect] = {}
    after_any: dict[Answered, Effect] = {}


class Combination(Struct):
    """Skills as items combine them, and how it goes after other skills, and with practice."""

    after: dict[tuple[Skills, int], Effect] = {}
    practised: dict[tuple[int, ...], Effect] = {}
    lately: dict[tuple[int, ...], Effect] = {}
    in_a_row: dict[int, Effect] = {}


class Shared(Struct):
    """All that is learned across students; ``head`` is None while it is being learned."""

    items: dict[str, Item] = {}
    combinations: dict[Skills, Combination] = {}
    skills: dict[str, tuple[float, float]] = {}  # usual level and its variance
    lately: dict[int, Effect] = {}
    seconds: dict[str, Effect] = {}  # of log1p(seconds) until the next answer: sum and number
    usual: float = 0.8
    answers: int = 0
    head: Head | None = None

    def skill(self, name: str) -> tuple[float, float]:
        """Usual level and variance of a skill."""
        return self.skills.get(name) or (self.usual, SKILL_VARIANCE)


NO_ITEM, NO_COMBINATION = Item(), Combination()


def effect(found: Effect | None) -> tuple[float, float]:
    """The shrunk effect, and how far its information goes beyond the prior, in [0, 1)."""
    if found is None:
        return 0.0, 0.0
    precision = found[1] + SHRINK
    return found[0] / precision, found[1] / precision
