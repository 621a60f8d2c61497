"""A student's score as it is sent. Scores lie in [0, 1] and are rounded to 4 decimals, but never into another level."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mastery_engine.domain.evidence.history import Trend
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.evidence.shown import shown_score, with_4_decimals
from mastery_engine.domain.rules import COMPONENTS, Component, Rules
from mastery_engine.responses.advice import PathAhead, Recommended
from mastery_engine.responses.times import MomentText

Score = Annotated[float, Meta(ge=0.0, le=1.0)]


class Contribution(msgspec.Struct, frozen=True, gc=False):
    """What one component adds to the score: ``contribution`` = ``weight`` × ``score``."""

    component: Component
    score: Score
    weight: Score
    contribution: Score


class Components(msgspec.Struct, frozen=True, gc=False):
    """The four components; one without evidence is 0.0 (see ``coverage``)."""

    completion: Score
    quiz: Score
    quality: Score
    consistency: Score


class CurrentMastery(msgspec.Struct, frozen=True, gc=False):
    """A score with its parts; ``coverage`` is the share of the weights that has evidence."""

    mastery_score: Score
    level: str
    coverage: Score
    timestamp: MomentText
    recommendations: list[Recommended]
    components: Components | UnsetType = UNSET
    breakdown: list[Contribution] | UnsetType = UNSET


class CourseMastery(msgspec.Struct, frozen=True, gc=False):
    """One of a student's courses, with the score there."""

    course_id: str
    title: str
    mastery_score: Score
    level: str
    last_updated: MomentText


class StudentMastery(msgspec.Struct, frozen=True, gc=False):
    """The answer to a query. ``historical_average`` is the mean of the daily points within the retention.

    ``courses`` are all of the student's, by id, if there are several.
    """

    student_id: str
    current_mastery: CurrentMastery
    historical_average: Score | None
    trend: Trend
    last_updated: MomentText
    learning_path: PathAhead | None = None
    courses: list[CourseMastery] | UnsetType = UNSET


class Calculated(msgspec.Struct, frozen=True, gc=False):
    """The answer to a calculation."""

    student_id: str
    current_mastery: CurrentMastery


def current_mastery(
    score: MasteryScore,
    timestamp: str,
    rules: Rules,
    *,
    with_components: bool = True,
    advice: list[Recommended] | None = None,
) -> CurrentMastery:
    """A score as it is sent."""
    values = [value or 0.0 for value in score.components] if with_components else ()
    shown = [with_4_decimals(value) for value in values]
    return CurrentMastery(
        mastery_score=shown_score(score.score, rules),
        level=score.level,
        coverage=with_4_decimals(score.coverage),
        timestamp=timestamp,
        recommendations=advice or [],
        components=Components(*shown) if with_components else UNSET,
        breakdown=_breakdown(values, shown, rules) if with_components else UNSET,
    )


def _breakdown(values: Sequence[float], shown: Sequence[float], rules: Rules) -> list[Contribution]:
    return [
        Contribution(name, score, weight, with_4_decimals(weight * value))
        for name, value, score, weight in zip(COMPONENTS, values, shown, rules.component_weights, strict=True)
    ]
