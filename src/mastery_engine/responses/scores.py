"""What the calls answer, as every face sends it. Scores lie in [0, 1] and are rounded to 4 decimals."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mastery_engine.domain.evidence.history import Point, Trend
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.rules import COMPONENTS, Component, Rules
from mastery_engine.responses.advice import PathAhead, Recommended

Score = Annotated[float, Meta(ge=0.0, le=1.0)]


class Contribution(msgspec.Struct, frozen=True):
    """What one component adds to the score: ``contribution`` = ``weight`` × ``score``."""

    component: Component
    score: Score
    weight: Score
    contribution: Score


class Components(msgspec.Struct, frozen=True):
    """The four components; one without evidence is 0.0 (``coverage`` tells)."""

    completion: Score
    quiz: Score
    quality: Score
    consistency: Score


class CurrentMastery(msgspec.Struct, frozen=True):
    """A score with its parts; ``coverage`` is the share of the weights that has evidence."""

    mastery_score: Score
    level: str
    coverage: Score
    timestamp: str
    recommendations: list[Recommended]
    components: Components | UnsetType = UNSET
    breakdown: list[Contribution] | UnsetType = UNSET


class StudentMastery(msgspec.Struct, frozen=True):
    """The answer to a query. ``historical_average`` is the mean of the daily points kept."""

    student_id: str
    current_mastery: CurrentMastery
    historical_average: Score | None
    trend: Trend
    last_updated: str
    learning_path: PathAhead | None = None


class Calculated(msgspec.Struct, frozen=True):
    """The answer to a calculation."""

    student_id: str
    current_mastery: CurrentMastery


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one row of many."""

    code: str
    message: str
    field: str | None = None


class BatchResult(msgspec.Struct, frozen=True):
    """One row's answer; ``index`` is its place in the request, from 0."""

    index: int
    student_id: str
    current_mastery: CurrentMastery


class BatchFailure(msgspec.Struct, frozen=True):
    """One row that failed; the others did not."""

    index: int
    student_id: str | None
    error: Problem


class BatchSummary(msgspec.Struct, frozen=True):
    """How the rows fared."""

    total: int
    success: int
    failed: int


class BatchAnswer(msgspec.Struct, frozen=True):
    """The answer to a batch of calculations, rows in the request's order."""

    results: list[BatchResult]
    failures: list[BatchFailure]
    summary: BatchSummary


class BatchState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch that is worked after its acknowledgement; the rest comes once ``status`` is completed."""

    batch_id: str
    status: Literal["queued", "completed"]
    results: list[BatchResult] | None = None
    failures: list[BatchFailure] | None = None
    summary: BatchSummary | None = None


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one event. ``ignored`` names fields of the envelope that the engine does not know."""

    event_id: str | None
    status: Literal["queued", "refused"]
    error: Problem | None = None
    ignored: list[str] | None = None


class IngestAnswer(msgspec.Struct, frozen=True):
    """What became of many events, in the request's order."""

    accepted: int
    refused: int
    results: list[Receipt]


class EventStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether an event is in the state. ``not_processed``: not yet, or never seen."""

    event_id: str
    status: Literal["processed", "dead_lettered", "not_processed"]
    reason: Problem | None = None


class HistoryPoint(msgspec.Struct, frozen=True):
    """A day's score, or the mean of a week's (``date``: its Monday) or a month's (its first)."""

    date: str
    mastery_score: Score
    level: str


class HistorySummary(msgspec.Struct, frozen=True):
    """Over the daily points of the range; ``improvement`` is the last less the first. Null where there are none."""

    average: Score | None
    highest: Score | None
    lowest: Score | None
    improvement: float | None


class MasteryHistory(msgspec.Struct, frozen=True):
    """The scores of a range of days."""

    student_id: str
    start_date: str
    end_date: str
    aggregation: Literal["daily", "weekly", "monthly"]
    history: list[HistoryPoint]
    summary: HistorySummary


def current_mastery(
    score: MasteryScore,
    timestamp: str,
    rules: Rules,
    *,
    with_components: bool = True,
    advice: list[Recommended] | None = None,
) -> CurrentMastery:
    """A score as it is sent."""
    values = [value or 0.0 for value in score.components]
    return CurrentMastery(
        mastery_score=round(score.score, 4),
        level=score.level,
        coverage=round(score.coverage, 4),
        timestamp=timestamp,
        recommendations=advice or [],
        components=Components(*[round(value, 4) for value in values]) if with_components else UNSET,
        breakdown=_breakdown(values, rules) if with_components else UNSET,
    )


def _breakdown(values: Sequence[float], rules: Rules) -> list[Contribution]:
    return [
        Contribution(name, round(value, 4), weight, round(weight * value, 4))
        for name, value, weight in zip(COMPONENTS, values, rules.component_weights, strict=True)
    ]


def history_summary(points: Sequence[Point]) -> HistorySummary:
    """What a range of daily points comes to."""
    if not points:
        return HistorySummary(None, None, None, None)
    scores = [point.score for point in points]
    return HistorySummary(
        round(sum(scores) / len(scores), 4), max(scores), min(scores), round(scores[-1] - scores[0], 4)
    )
