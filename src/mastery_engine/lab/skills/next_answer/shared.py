"""What all students share: difficulties, usual levels of skills, and what usually follows on what."""

from typing import TypeAlias

from msgspec import Struct

from mastery_engine.lab.skills.next_answer.head import Head
from mastery_engine.lab.skills.next_answer.student import Answered, Skills
from mastery_engine.lab.skills.next_answer.traits import Pair

ITEM_VARIANCE, SKILL_VARIANCE = 1.0, 0.5
FIRM = 0.002  # a usual level is never surer than this
SHRINK = 2.0  # the prior precision of an effect: its standard deviation is 0.7 log-odds

Effect: TypeAlias = tuple[float, float]  # shrunk towards none; how far its information goes beyond the prior, in [0, 1)
Effects: TypeAlias = dict[int, Effect]
NONE: Effect = (0.0, 0.0)

UNKNOWN: tuple[Answered, Answered] = (-2, -1)


class Item(Struct):
    """An item's difficulty, and how it goes after what came before it. ``answered`` wrong, and right."""

    answered: tuple[Answered, Answered] = UNKNOWN
    difficulty: float = 0.0
    variance: float = ITEM_VARIANCE
    pace: float = 4.0  # the mean of log1p(seconds) until the next answer
    paces: float = 2.0  # how many that mean is of; the prior is worth two
    loadings: Pair = (0.0, 0.0)
    after: Effects = {}
    after_item: Effects = {}
    after_two: Effects = {}
    again: Effects = {}
    after_any: dict[Answered, complex] = {}  # residuals, and as imaginary part their information: they are summed


class Combination(Struct):
    """Skills as items combine them, and how it goes after other skills, and with practice."""

    answered: tuple[Answered, Answered] = UNKNOWN
    after: Effects = {}
    practised: Effects = {}
    lately: Effects = {}
    in_a_row: Effects = {}


class Shared(Struct):
    """All that is learned across students; ``head`` is None while it is being learned."""

    items: dict[str, Item] = {}
    combinations: dict[Skills, Combination] = {}
    skills: dict[str, tuple[float, float]] = {}  # usual level and its variance
    lately: Effects = {}
    usual: float = 0.8
    answers: int = 0
    head: Head | None = None

    def new_skill(self) -> tuple[float, float]:
        """Usual level and variance of a skill that nobody has met."""
        return self.usual, SKILL_VARIANCE


NO_ITEM, NO_COMBINATION = Item(), Combination()


def answered(number: int) -> tuple[Answered, Answered]:
    """The wrong and the right answer to what has this number."""
    return 2 * number, 2 * number + 1


def learned(effect: Effect, residual: float, information: float) -> Effect:
    """The effect after a residual more, the mean of all of them under a prior of ``SHRINK`` at none."""
    mean, support = effect
    precision = SHRINK / (1.0 - support) + information
    return mean + (residual - mean * information) / precision, 1.0 - SHRINK / precision
