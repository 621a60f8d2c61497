"""The rules of a course: the weights of the components, the levels, the half-life, its days, and the retention."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from itertools import pairwise
from math import ceil, floor, inf, isclose
from typing import Literal, TypeAlias, get_args
from zlib import crc32

import msgspec

from mastery_engine.domain.courses.zone import UTC, Zone
from mastery_engine.domain.faults import malformed
from mastery_engine.domain.moments import DAY, Day, Micros, day_of
from mastery_engine.domain.yaml_faults import not_yaml
from mastery_engine.errors import InvalidInput

Component: TypeAlias = Literal["completion", "quiz", "quality", "consistency"]
COMPONENTS: tuple[Component, ...] = get_args(Component)
COMPLETION, QUIZ, QUALITY, CONSISTENCY = range(len(COMPONENTS))  # their places
PASS_MARK = 0.50  # below it a student needs help, whatever the levels
SHORTEST_HALF_LIFE, LONGEST_HALF_LIFE = 1.0, 3_650.0  # days
MOST_HALVINGS = 500  # of the weight of evidence until it no longer counts
MOST_DAYS = 1_024  # whose first moments are remembered
STEPS = 10_000  # scores are shown, and stored by day, in steps of 0.0001
NINTH_DECIMAL = 1e-9  # more than what rounding to 9 decimals moves a score


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A band of scores, from ``from_score`` (included) up to the next level's."""

    name: str
    from_score: float


DEFAULT_LEVELS = (
    Level("beginner", 0.0),
    Level("developing", 0.40),
    Level("competent", 0.60),
    Level("proficient", 0.75),
    Level("expert", 0.90),
)


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The share of each component in the score; the four sum to 1."""

    completion: float = 0.40
    quiz: float = 0.30
    quality: float = 0.20
    consistency: float = 0.10


class DifficultyWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much an exercise of each difficulty weighs in completion."""

    beginner: float = 0.8
    intermediate: float = 1.0
    advanced: float = 1.2


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The rules of one course.

    ``retention_days`` counts days, today included: with 90, evidence of today and the 89 days before counts. A day is
    one of ``zone``. The weight of quiz and quality evidence halves in ``half_life_days``.
    """

    weights: Weights = Weights()
    levels: tuple[Level, ...] = DEFAULT_LEVELS
    difficulty: DifficultyWeights = DifficultyWeights()
    retention_days: int = 90
    half_life_days: float = 14.0
    zone: Zone = UTC

    def __post_init__(self) -> None:
        weights = self.component_weights
        if any(not 0.0 <= weight <= 1.0 for weight in weights) or not isclose(sum(weights), 1.0, abs_tol=1e-9):
            raise InvalidInput("The four weights must each be from 0 to 1, and their sum must be 1.", field="weights")
        bounds = [level.from_score for level in self.levels]
        if not bounds or bounds[0] != 0.0 or not bounds[-1] < 1.0 or not all(a < b for a, b in pairwise(bounds)):
            raise InvalidInput("The levels must start at 0 and rise, and all must start below 1.", field="levels")
        if any(later - earlier < 0.999 / STEPS for earlier, later in pairwise(bounds)):
            raise InvalidInput("Each level must start at least 0.0001 above the one before.", field="levels")
        if len(bounds) > 16:
            raise InvalidInput("There may be at most 16 levels.", field="levels")
        if len({level.name for level in self.levels}) < len(self.levels):
            raise InvalidInput("Each level needs a name of its own.", field="levels")
        if not all(0.0 < weight < inf for weight in self.difficulty_weights):
            raise InvalidInput("The weight of each difficulty must be a number above 0.", field="difficulty")
        if self.retention_days < 1:
            raise InvalidInput("The retention must be at least 1 day.", field="retention_days")
        if not SHORTEST_HALF_LIFE <= self.half_life_days <= LONGEST_HALF_LIFE:
            raise InvalidInput("The half-life must be from 1 to 3,650 days.", field="half_life_days")
        if self.retention_days > MOST_HALVINGS * self.half_life_days:  # so that no sum of evidence comes to nothing
            raise InvalidInput(
                f"The half-life must be at least {self.retention_days / MOST_HALVINGS:.2f} days, where evidence counts "
                f"for {self.retention_days} days.",
                field="half_life_days",
            )

    @cached_property
    def day_of(self) -> Callable[[Micros], Day]:
        """The day of a moment."""
        return self.zone.day_of if self.zone.differs_from_utc else day_of

    @cached_property
    def start_of(self) -> Callable[[Day], Micros]:
        """The first moment of a day."""
        return lru_cache(maxsize=MOST_DAYS)(self.zone.start_of)  # mostly asked for the first day that counts

    @cached_property
    def end_of(self) -> Callable[[Day], Micros]:
        """The last second of a day."""
        return self.zone.end_of

    def first_day(self, today: Day) -> Day:
        """The first of the days whose evidence counts on a day."""
        return today - self.retention_days + 1

    @cached_property
    def half_life(self) -> Micros:
        """The half-life of quiz and quality evidence."""
        return round(self.half_life_days * DAY)

    @cached_property
    def component_weights(self) -> tuple[float, float, float, float]:
        """In the order of ``COMPONENTS``."""
        weights = self.weights
        return (weights.completion, weights.quiz, weights.quality, weights.consistency)

    @property
    def difficulty_weights(self) -> tuple[float, float, float]:
        """In the order beginner, intermediate, advanced."""
        return (self.difficulty.beginner, self.difficulty.intermediate, self.difficulty.advanced)

    @cached_property
    def checksum(self) -> int:
        """The same for the same rules, in every process."""
        return crc32(msgspec.json.encode(self))

    @cached_property
    def beside_bounds(self) -> frozenset[float]:
        """The numbers with 4 decimals that may be on the other side of a level's bound, or of the pass mark."""
        bounds = [PASS_MARK, *[level.from_score for level in self.levels[1:]]]
        return frozenset(
            one / STEPS for bound in bounds for one in (floor(bound * STEPS), round(bound * STEPS), ceil(bound * STEPS))
        )

    @cached_property
    def near_bounds(self) -> frozenset[float]:
        """The numbers with 4 decimals within a step of ``beside_bounds``: rounding may have moved them by one."""
        return frozenset((round(one * STEPS) + step) / STEPS for one in self.beside_bounds for step in (-1, 0, 1))

    @cached_property
    def _bounds(self) -> tuple[float, ...]:
        """Where each level but the lowest begins."""
        return tuple([level.from_score for level in self.levels[1:]])

    @cached_property
    def _just_below_bounds(self) -> tuple[float, ...]:
        """From where on rounding may lift a score to a bound."""
        return tuple([bound - NINTH_DECIMAL for bound in self._bounds])

    def level_index(self, score: float) -> int:
        """The place of a score's level, from 0. Scores are rounded to 9 decimals first: float errors decide nothing."""
        place = bisect_right(self._just_below_bounds, score)
        if not place or score > self._bounds[place - 1] + NINTH_DECIMAL:
            return place  # far from bounds nothing needs to be rounded, which takes longer than all else here
        return bisect_right(self._bounds, round(score, 9))


def rules_from(source: bytes, *, overrides: Mapping[str, object]) -> Rules:
    """Rules from YAML (or JSON); ``overrides`` are settings that win over the file.

    Raises InvalidInput, which names the field.
    """
    try:
        loaded = msgspec.yaml.decode(source) or {}
        if not isinstance(loaded, dict):
            raise InvalidInput("The file must be YAML with any of the fields weights, levels and difficulty.")
        if "zone" in loaded:
            raise InvalidInput("A time zone is set for a course, not by this file.", field="zone")
        return msgspec.convert({**loaded, **overrides}, Rules)
    except msgspec.ValidationError as error:
        raise malformed(error) from error
    except msgspec.DecodeError as error:
        raise InvalidInput(not_yaml(error, source)) from error
