"""The rows of a dump: columns by the names of the calls' fields, in full precision, with times as moments in UTC."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from mastery_engine.domain.events.envelope import Scalar
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import Data
from mastery_engine.domain.evidence.history import Trend
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.forecast.calibration import Calibration
from mastery_engine.domain.forecast.forecast import Forecast
from mastery_engine.domain.moments import Micros, date_of
from mastery_engine.domain.skills.estimates import Basis, SkillEstimate
from mastery_engine.domain.student import DocumentKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DumpedEvent(msgspec.Struct, frozen=True):
    """An event as it was sent, by the id of the student to whom it belongs now; ``received`` is its receipt here."""

    event_id: str
    event_type: str
    student_id: str
    course_id: str
    timestamp: datetime
    received: datetime
    source: str | None
    data: Data
    metadata: dict[str, Scalar] | None


class DumpedComponents(msgspec.Struct, frozen=True):
    """The four components; one without evidence is 0.0, as in a query."""

    completion: float
    quiz: float
    quality: float
    consistency: float


class DumpedScore(msgspec.Struct, frozen=True):
    """A student's score in one course at the moment ``timestamp``."""

    student_id: str
    course_id: str
    mastery_score: float
    level: str
    coverage: float
    components: DumpedComponents
    historical_average: float | None
    trend: Trend
    last_updated: datetime
    timestamp: datetime


class DumpedSkill(msgspec.Struct, frozen=True):
    """One skill of a student in one course, as `/analytics/skills` has it."""

    student_id: str
    course_id: str
    skill: str
    probability: float
    uncertainty: float
    forgotten: float
    last_practised: datetime | None
    answers: int
    basis: Basis


class DumpedDay(msgspec.Struct, frozen=True):
    """One day ahead: the median of the score, and its 10% and 90% points."""

    date: date
    score: float
    lower: float
    upper: float


class DumpedCalibration(msgspec.Struct, frozen=True):
    """Whether the course's forecasts are calibrated, and by how many past weeks of its students."""

    calibrated: bool
    coverage: float | None
    student_weeks: int
    as_of: datetime | None


class DumpedForecast(msgspec.Struct, frozen=True):
    """The forecast for a student's next 7 days in one course, as `/predictions/next-week` has it."""

    student_id: str
    course_id: str
    current_score: float
    predicted_score: float
    confidence: float
    trend: Trend
    intervention_needed: bool
    timeframe_days: int
    days: list[DumpedDay]
    calibration: DumpedCalibration


ROWS: dict[str, type[msgspec.Struct]] = {
    "events": DumpedEvent,
    "scores": DumpedScore,
    "skills": DumpedSkill,
    "forecasts": DumpedForecast,
}


def instant(at: Micros) -> datetime:
    """A moment as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=at)


def dumped_event(event: LearningEvent) -> DumpedEvent:
    return DumpedEvent(
        event.event_id,
        event.event_type,
        event.student_id,
        event.course_id,
        instant(event.at),
        instant(event.received),
        event.source,
        event.data,
        event.metadata or None,
    )


def dumped_score(
    key: DocumentKey, score: MasteryScore, average: float | None, trend: Trend, updated: Micros, now: Micros
) -> DumpedScore:
    return DumpedScore(
        key.student_id,
        key.course_id,
        score.score,
        score.level,
        score.coverage,
        DumpedComponents(*[value or 0.0 for value in score.components]),
        average,
        trend,
        instant(updated),
        instant(now),
    )


def dumped_skill(key: DocumentKey, skill: str, estimate: SkillEstimate) -> DumpedSkill:
    last = estimate.last_practised
    return DumpedSkill(
        key.student_id,
        key.course_id,
        skill,
        estimate.probability,
        estimate.uncertainty,
        estimate.forgotten,
        None if last is None else instant(last),
        estimate.answers,
        estimate.basis,
    )


def dumped_forecast(key: DocumentKey, found: Forecast, known: Calibration) -> DumpedForecast:
    return DumpedForecast(
        key.student_id,
        key.course_id,
        found.now,
        found.predicted,
        found.confidence,
        found.trend,
        found.intervention_needed,
        len(found.days),
        [DumpedDay(date_of(one.day), one.score, one.lower, one.upper) for one in found.days],
        DumpedCalibration(
            known.calibrated, known.coverage, known.student_weeks, instant(known.as_of) if known.as_of else None
        ),
    )
