"""What the next-answer model remembers: of one student, and of all (items, skills, and what came before an item)."""

from dataclasses import dataclass, field
from math import exp
from typing import TypeAlias

HOUR, DAY = 3_600.0, 86_400.0

# Prior variances in squared log-odds; the share of it that an answer, and a day away, gives back.
ITEM_VARIANCE, OFFSET_VARIANCE, GENERAL_VARIANCE, SKILL_VARIANCE = 1.0, 0.5, 0.7, 0.25
GENERAL_NOISE, SKILL_NOISE, DRIFT = 0.004, 0.01, 0.02
LEAST_OFFSET_VARIANCE = 0.002
USUAL_AT_FIRST = 0.8

LAST_ITEMS, ITEMS_KEPT = 12, 64
FADE_1, FADE_8, FADE_40 = 0.5, 0.5 ** (1 / 8), 0.5 ** (1 / 40)
NEVER = -1e8

Moment: TypeAlias = tuple[str, int]  # an item and whether the answer was right
Effect: TypeAlias = list[float]  # sum of residuals, information
Effects: TypeAlias = dict[object, Effect]


@dataclass(slots=True)
class Practice:
    """One student's past on one skill: level, wins and fails fading over 1 and 8 answers and in all, residuals."""

    mean: float = 0.0
    variance: float = SKILL_VARIANCE
    wins_1: float = 0.0
    fails_1: float = 0.0
    wins_8: float = 0.0
    fails_8: float = 0.0
    wins: int = 0
    fails: int = 0
    credit: float = 0.0
    debit: float = 0.0
    place: int = -1
    at: float = NEVER
    last_four: int = 1

    def spread(self, at: float) -> float:
        """The variance of the level at a moment: a day away makes it less sure."""
        if self.at == NEVER:
            return self.variance
        return min(SKILL_VARIANCE, self.variance + DRIFT * max(0.0, at - self.at) / DAY)


UNPRACTISED = Practice()


@dataclass(slots=True)
class Learner:
    """One student. ``counts``: wins and fails fading over 1, 8 and 40 answers, credit and debit over 8 and 40;
    ``lately``: wins and fails fading over an hour, a day, a week and a month. Its size is bounded but for ``skills``."""

    mean: float = 0.0
    variance: float = GENERAL_VARIANCE
    counts: list[float] = field(default_factory=lambda: [0.0] * 10)
    lately: list[float] = field(default_factory=lambda: [0.0] * 8)
    answers: int = 0
    wins: int = 0
    at: float | None = None
    last: Moment | None = None
    before_last: Moment | None = None
    last_skills: tuple[str, ...] = ()
    run: int = 0
    session: int = 0
    last_five: int = 1
    pace: float = 0.0
    last_pace: float = 0.0
    recent: tuple[Moment, ...] = ()
    skills: dict[str, Practice] = field(default_factory=dict)
    items: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)  # last, attempts, wins, place


class Item:
    """An item's difficulty, and how answers to it differ by what came just before, twice before, or lately."""

    __slots__ = ("after", "after_two", "again", "amid", "difficulty", "variance")

    def __init__(self) -> None:
        self.difficulty, self.variance = 0.0, ITEM_VARIANCE
        self.after: Effects = {}
        self.after_two: Effects = {}
        self.again: Effects = {}
        self.amid: Effects = {}


class Group:
    """A set of skills as items combine them: how answers differ by the skills before, and by the practice on these."""

    __slots__ = ("after", "by_count", "by_last", "by_run")

    def __init__(self) -> None:
        self.after: Effects = {}
        self.by_count: Effects = {}
        self.by_last: Effects = {}
        self.by_run: Effects = {}


UNKNOWN_ITEM, UNKNOWN_GROUP = Item(), Group()


class Shared:
    """What all students have taught."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.groups: dict[tuple[str, ...], Group] = {}
        self.offsets: dict[str, tuple[float, float]] = {}  # level, variance
        self.by_history: Effects = {}
        self.paces: dict[str, Effect] = {}  # sum of log seconds after an item, count
        self.usual, self.answers = USUAL_AT_FIRST, 0

    def offset(self, skill: str) -> tuple[float, float]:
        return self.offsets.get(skill) or (self.usual, OFFSET_VARIANCE)


def sigmoid(level: float) -> float:
    odds = exp(-abs(level))
    return 1.0 / (1.0 + odds) if level >= 0 else odds / (1.0 + odds)
