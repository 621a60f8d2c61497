"""The answers about cohorts. Scores lie in [0, 1] and are rounded to 4 decimals."""

from collections.abc import Sequence
from math import floor
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mastery_engine.domain.cohorts.cohort import Ranking, size_range
from mastery_engine.domain.cohorts.standing import Standing
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.responses.help import Reason
from mastery_engine.responses.scores import Components, Score
from mastery_engine.responses.times import DateText

Percentile = Annotated[float, Meta(ge=0.0, le=100.0)]
SizeRange = Annotated[str, Meta(pattern=r"^[0-9]+ to [0-9]+$")]
QUARTER = 25


class DueDay(msgspec.Struct, frozen=True):
    """A day on which work is due; ``minutes`` is the amount of work."""

    due: DateText
    topic: str | None
    kind: str | None
    minutes: int | None


class CohortRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cohort: its course, its members (a page of them, by id), how many there are, and its calendar.

    ``next_cursor`` leads to the next page; null on the last. ``display_names`` has the names, by id, of those on the
    page who have one; it is there if any has.
    """

    cohort_id: str
    course_id: str
    name: str
    size: int
    members: list[str]
    calendar: list[DueDay]
    next_cursor: str | None
    display_names: dict[str, str] = {}


class ListedCohort(msgspec.Struct, frozen=True):
    """A cohort in a list; ``size`` is how many are in it, null for students."""

    cohort_id: str
    name: str
    course_id: str
    size: int | None


class CohortList(msgspec.Struct, frozen=True):
    """A page of cohorts, by id; ``next_cursor`` leads to the next one, null on the last."""

    cohorts: list[ListedCohort]
    next_cursor: str | None


class ComponentPlace(msgspec.Struct, frozen=True):
    """Where a student stands in a cohort by one component."""

    student: Score
    cohort_average: Score
    percentile: Percentile | None
    rank: int


class ComponentPlaces(msgspec.Struct, frozen=True):
    """Where a student stands in a cohort by each component."""

    completion: ComponentPlace
    quiz: ComponentPlace
    quality: ComponentPlace
    consistency: ComponentPlace


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a student stands among the members of a cohort about whom something is known, as of a day (UTC).

    ``percentile`` is 100 × (others below + half of equals) / others, null where there are no others; ``rank`` is 1 +
    those above. ``components`` come with the metric by_component. To students averages are given as whole per cents,
    the percentile to the nearest quarter, and the size as a range, such as "5 to 9": else whoever asks before and after
    somebody leaves the cohort would know that student's score. ``course_id``, which is that of the cohort, is left out
    for ``default``.
    """

    student_id: str
    cohort_id: str
    metric: Literal["overall", "by_component"]
    as_of: DateText
    student: Score
    level: str
    cohort_average: Score
    percentile: Percentile | None
    rank: int
    size: int | SizeRange
    components: ComponentPlaces | None = None
    course_id: str = DEFAULT_COURSE


class AtRisk(msgspec.Struct, frozen=True, omit_defaults=True):
    """A student who needs help, and why; the higher the ``risk``, the severity of the reasons in [0, 1], the sooner.

    ``display_name`` is there where the student has one.
    """

    student_id: str
    mastery_score: Score
    level: str
    risk: Score
    reasons: list[Reason]
    display_name: str | None = None


class CohortFigures(msgspec.Struct, frozen=True):
    """A cohort as of a day (UTC): levels, means, and who needs help, the worst first.

    ``size`` counts the members about whom something is known, ``members`` counts all. ``next_cursor`` leads to the next
    page of ``at_risk``; null on the last.
    """

    cohort_id: str
    name: str
    as_of: DateText
    members: int
    size: int
    average: Score | None
    level_distribution: dict[str, int]
    component_means: Components | None
    at_risk_count: int
    at_risk: list[AtRisk]
    next_cursor: str | None


def mean_score(standings: Sequence[Standing]) -> float | None:
    """The mean score of some students, as it is sent; None of nobody."""
    return round(sum(one.score for one in standings) / len(standings), 4) if standings else None


def as_students_see(comparison: Comparison, size: int) -> Comparison:
    """A comparison in a cohort of this size, as it is given to a student."""
    places = comparison.components
    first, last = size_range(size)
    return msgspec.structs.replace(
        comparison,
        cohort_average=round(comparison.cohort_average, 2),
        percentile=_quarter(comparison.percentile),
        size=f"{first} to {last}",
        components=None if places is None else ComponentPlaces(*map(_coarse, msgspec.structs.astuple(places))),
    )


def _coarse(place: ComponentPlace) -> ComponentPlace:
    average, percentile = round(place.cohort_average, 2), _quarter(place.percentile)
    return msgspec.structs.replace(place, cohort_average=average, percentile=percentile)


def _quarter(percentile: float | None) -> float | None:
    return None if percentile is None else QUARTER * floor(percentile / QUARTER + 0.5)


def component_place(found: Ranking) -> ComponentPlace:
    """A place as it is sent."""
    return ComponentPlace(round(found.value, 4), round(found.average, 4), shown_percentile(found), found.rank)


def shown_percentile(found: Ranking) -> float | None:
    return None if found.percentile is None else round(found.percentile, 2)
