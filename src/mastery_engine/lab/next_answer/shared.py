"""What all students share: difficulties, usual levels of skills, and what usually follows on what."""

from typing import TypeAlias

from msgspec import Struct

from mastery_engine.lab.next_answer.head import Head
from mastery_engine.lab.next_answer.student import Answered, Skills

ITEM_VARIANCE, SKILL_VARIANCE = 1.0, 0.5
FIRM = 0.002  # a usual level is never surer than this
SHRINK = 2.0  # the prior precision of an effect: its standard deviation is 0.7 log-odds
USUAL_PACE = 4.0  # log1p(seconds) between answers, where an item's is unknown; as sure as 2 answers

Effect: TypeAlias = complex  # the sum of residuals, and as imaginary part the information in them: one object to fetch
NONE: Effect = 0j
Effects: TypeAlias = dict[int, Effect]

UNKNOWN: tuple[Answered, Answered] = (-2, -1)


class Item(Struct):
    """An item's difficulty, and how it goes after what came before it. ``answered`` wrong, and right."""

    answered: tuple[Answered, Answered] = UNKNOWN
    difficulty: float = 0.0
    variance: float = ITEM_VARIANCE
    seconds: complex = 0j  # of log1p(seconds) until the next answer: the sum, and as imaginary part the number
    after: Effects = {}
    after_two: Effects = {}
    again: Effects = {}
    after_any: Effects = {}

    def usual_pace(self) -> float:
        """The log1p(seconds) that students take from an answer to this item to the next one."""
        return (self.seconds.real + 2 * USUAL_PACE) / (self.seconds.imag + 2)


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

    def skill(self, name: str) -> tuple[float, float]:
        """Usual level and variance of a skill."""
        return self.skills.get(name) or (self.usual, SKILL_VARIANCE)


NO_ITEM, NO_COMBINATION = Item(), Combination()


def answered(number: int) -> tuple[Answered, Answered]:
    """The wrong and the right answer to what has this number."""
    return 2 * number, 2 * number + 1
