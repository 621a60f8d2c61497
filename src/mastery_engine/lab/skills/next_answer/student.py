"""What the model keeps of a student: levels, decayed counts, and the items answered last."""

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec import Struct

from mastery_engine.lab.skills.next_answer.traits import Pair

GENERAL_VARIANCE, SKILL_VARIANCE = 0.7, 0.25  # of the log-odds, before the first answer
GENERAL_NOISE, SKILL_NOISE, DRIFT = 0.004, 0.01, 0.02  # what learning adds with each answer (a share), a day away
RECENT, MEMORY = 12, 64  # items looked back on, items remembered
NEVER = -1e8
DAY, HOUR = 86_400.0, 3_600.0

# How much is left of a count after an answer more: half-lives of 1, 2, 3 and 8 answers.
FAST, BRIEF, SHORT, MIDDLE = 0.5, 0.5 ** (1 / 2), 0.5 ** (1 / 3), 0.5 ** (1 / 8)

Skills: TypeAlias = tuple[str, ...]
Counts: TypeAlias = tuple[float, ...]
Answered: TypeAlias = int  # twice the number of an item, or of skills combined, and 1 more where the answer was right
NOTHING: Answered = -3  # where there is no answer yet; -2 and -1 are answers to what no table knows


@dataclass(slots=True)
class SkillCounts:
    """One skill: its level, and its right and wrong answers; ``counts`` are in the order of the features.

    Right and wrong at half-lives of 1 and 8 answers, right and wrong in all, above and below expectation.
    """

    mean: float = 0.0
    variance: float = SKILL_VARIANCE
    counts: Counts = (0.0,) * 8
    place: int = -1
    at: float = NEVER
    last_four: int = 1

    def variance_at(self, at: float) -> float:
        """The variance at a time: a day away makes the level less sure."""
        if at <= self.at or self.place < 0:
            return self.variance
        variance = self.variance + DRIFT * (at - self.at) / DAY
        if variance > SKILL_VARIANCE:
            return SKILL_VARIANCE
        return variance


class Remembered(Struct):
    """An item that the student has answered."""

    last: int
    attempts: int
    place: int


@dataclass(slots=True)
class StudentState:
    """What is known of one student, up to an answer."""

    mean: float = 0.0
    variance: float = GENERAL_VARIANCE
    traits: Pair = (0.0, 0.0)
    trait_variances: Pair = (1.0, 1.0)
    faded: Counts = (0.0,) * 8  # right and wrong at half-lives of 1 and 8, above and below expectation at 2 and 8
    timed: Counts = (0.0,) * 6  # right and wrong before the last answer, fading with time
    quick: Counts = (0.0,) * 2  # right and wrong that took far less time than usual, fading
    answers: int = 0
    right: int = 0
    at: float = NEVER
    item_before: str = ""
    skills_before: Skills = ()
    right_before: int = 0
    before: Answered = NOTHING
    before_that: Answered = NOTHING
    combined_before: Answered = NOTHING
    run: int = 0
    last_five: int = 1
    usual_pace: float = 0.0  # log1p(seconds) that students take until the next answer, after the item before
    pace: float = 0.0
    pace_before: float = 0.0
    recent: deque[Answered] = field(default_factory=lambda: deque(maxlen=RECENT))  # those before the last one
    skills: dict[str, SkillCounts] = field(default_factory=dict)
    items: dict[str, Remembered] = field(default_factory=dict)


def skill_counts(counts: Counts, right: int, residual: float) -> Counts:
    """The counts of a skill after an answer; ``residual`` is how much better it was than expected.

    What was above expectation is never less for a right answer, nor what was below for a wrong one.
    """
    a, b, c, d, e, f, above, below = counts
    a, b, c, d = a * FAST, b * FAST, c * MIDDLE, d * MIDDLE
    if right:
        more = above * MIDDLE + residual
        if more > above:
            above = more
        return a + 1.0, b, c + 1.0, d, e + 1.0, f, above, below * MIDDLE
    more = below * MIDDLE - residual
    if more > below:
        below = more
    return a, b + 1.0, c, d + 1.0, e, f + 1.0, above * MIDDLE, below


def faded_counts(counts: Counts, right: int, residual: float) -> Counts:
    """The counts of a student after an answer, as ``skill_counts`` are made."""
    a, b, c, d, brief_above, brief_below, above, below = counts
    a, b, c, d = a * FAST, b * FAST, c * MIDDLE, d * MIDDLE
    if right:
        brief, more = brief_above * BRIEF + residual, above * MIDDLE + residual
        if brief > brief_above:
            brief_above = brief
        if more > above:
            above = more
        return a + 1.0, b, c + 1.0, d, brief_above, brief_below * BRIEF, above, below * MIDDLE
    brief, more = brief_below * BRIEF - residual, below * MIDDLE - residual
    if brief > brief_below:
        brief_below = brief
    if more > below:
        below = more
    return a, b + 1.0, c, d + 1.0, brief_above * BRIEF, brief_below, above * MIDDLE, below
