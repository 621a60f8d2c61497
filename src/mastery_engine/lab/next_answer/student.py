"""What the model keeps of a student: levels, decayed counts, and the items answered last."""

from collections import deque
from typing import TypeAlias

from msgspec import Struct, field

GENERAL_VARIANCE, SKILL_VARIANCE = 0.7, 0.25  # of the log-odds, before the first answer
GENERAL_NOISE, SKILL_NOISE, DRIFT = 0.004, 0.01, 0.02  # what learning adds with each answer (a share), a day away
RECENT, MEMORY = 12, 64  # items looked back on, items remembered
NEVER = -1e8
DAY, HOUR = 86_400.0, 3_600.0

# How much is left of a count after an answer more: half-lives of 1, 8 and 40 answers.
FAST, MIDDLE, SLOW = 0.5, 0.5 ** (1 / 8), 0.5 ** (1 / 40)

Skills: TypeAlias = tuple[str, ...]
Answered: TypeAlias = int  # twice the number of an item, or of skills combined, and 1 more where the answer was right
NOTHING: Answered = -3  # where there is no answer yet; -2 and -1 are answers to what no table knows


class SkillCounts(Struct):
    """One skill: its level, and its right and wrong answers, all and decayed."""

    mean: float = 0.0
    variance: float = SKILL_VARIANCE
    right_fast: float = 0.0
    wrong_fast: float = 0.0
    right_middle: float = 0.0
    wrong_middle: float = 0.0
    right: int = 0
    wrong: int = 0
    above: float = 0.0
    below: float = 0.0
    place: int = -1
    at: float = NEVER
    last_four: int = 1

    def variance_at(self, at: float) -> float:
        """The variance at a time: a day away makes the level less sure."""
        if self.at <= NEVER / 10:
            return self.variance
        return min(SKILL_VARIANCE, self.variance + DRIFT * max(0.0, at - self.at) / DAY)

    def learn(self, right: int, residual: float, place: int, at: float) -> None:
        """Count an answer; ``residual`` is how much better it was than expected."""
        wrong = 1 - right
        self.right_fast, self.wrong_fast = self.right_fast * FAST + right, self.wrong_fast * FAST + wrong
        self.right_middle, self.wrong_middle = self.right_middle * MIDDLE + right, self.wrong_middle * MIDDLE + wrong
        self.right, self.wrong = self.right + right, self.wrong + wrong
        self.above, self.below = credited(self.above, self.below, residual, MIDDLE)
        self.place, self.at = place, at
        self.last_four = (self.last_four << 1 | right) & 15 | (16 if self.last_four >= 8 else 0)


class Remembered(Struct):
    """An item that the student has answered."""

    last: int
    attempts: int
    right: int
    place: int


class Learner(Struct):
    """One student, up to an answer."""

    mean: float = 0.0
    variance: float = GENERAL_VARIANCE
    decayed: tuple[float, ...] = (0.0,) * 6  # right and wrong, at each of the three half-lives
    credit: tuple[float, ...] = (0.0,) * 4  # better and worse than expected, at two of them
    timed: tuple[float, ...] = (0.0,) * 8  # right and wrong, fading with time
    answers: int = 0
    right: int = 0
    wrong: int = 0
    at: float = NEVER
    item_before: str = ""
    skills_before: Skills = ()
    right_before: int = 0
    before: Answered = NOTHING
    before_that: Answered = NOTHING
    combined_before: Answered = NOTHING
    usual_pace: float = 0.0  # log1p(seconds) that students take until the next answer, after the item before
    run: int = 0
    session: int = 0
    last_five: int = 1
    pace: float = 0.0
    pace_before: float = 0.0
    recent: deque[Answered] = field(default_factory=lambda: deque(maxlen=RECENT))  # those before the last one
    skills: dict[str, SkillCounts] = {}
    items: dict[str, Remembered] = {}


def credited(above: float, below: float, residual: float, keep: float) -> tuple[float, float]:
    """What was better and what was worse than expected, faded, with an answer more; a better one is never less."""
    if residual >= 0:
        return max(above, above * keep + residual), below * keep
    return above * keep, max(below, below * keep - residual)
