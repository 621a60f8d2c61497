"""What comes out of a fold, for other services to hear of. Ids derive from the events that were the cause."""

from typing import Any, TypeAlias

import msgspec

from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.domain.rules import COMPONENTS, Component

RESULTS_TOPIC = "mastery.results"
EVENTS_TOPIC = "mastery.events"


class Fact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Common to all results. ``caused_by`` lists the ids of the batch's new events, the last one last."""

    tenant: str
    student_id: str
    at: Micros
    caused_by: tuple[str, ...]


class Updated(Fact, frozen=True, array_like=True, tag="mastery.updated", gc=False):
    """A student's mastery after a batch of events; scores in [0, 1], components in the order of ``COMPONENTS``."""

    score: float
    previous_score: float
    level: str
    components: tuple[float | None, float | None, float | None, float | None]
    coverage: float


class ThresholdReached(Fact, frozen=True, array_like=True, tag="mastery.threshold.reached", gc=False):
    """A student's level changed, up or down."""

    level: str
    previous_level: str
    score: float
    previous_score: float


Result: TypeAlias = Updated | ThresholdReached


class Pending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A result, and where the log keeps the last event that caused it: it goes out when the worker gets there."""

    partition: int
    offset: int
    result: Result


def event_type(result: Result) -> str:
    return str(type(result).__struct_config__.tag)


def result_id(result: Result) -> str:
    """The id by which consumers can tell a repeat."""
    return derived_id(event_type(result), result.tenant, result.student_id, result.caused_by[-1])


def topic_of(result: Result) -> str:
    return RESULTS_TOPIC if isinstance(result, Updated) else EVENTS_TOPIC


class Message(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A result as it is sent; scores are rounded to 4 decimals."""

    event_id: str
    event_type: str
    timestamp: str
    student_id: str
    tenant: str
    caused_by: tuple[str, ...]
    mastery_score: float
    previous_score: float
    level: str
    previous_level: str | None = None
    components: dict[Component, float] | None = None
    coverage: float | None = None
    recommendations: list[dict[str, Any]] | None = None


def message(result: Result) -> Message:
    """The value that is sent, ready for JSON."""
    event_id, kind, at = result_id(result), event_type(result), rfc3339(result.at)
    score, previous = round(result.score, 4), round(result.previous_score, 4)
    common = (event_id, kind, at, result.student_id, result.tenant, result.caused_by, score, previous, result.level)
    if isinstance(result, ThresholdReached):
        return Message(*common, previous_level=result.previous_level)
    components = {name: round(value or 0.0, 4) for name, value in zip(COMPONENTS, result.components)}  # noqa: B905
    return Message(*common, components=components, coverage=round(result.coverage, 4), recommendations=[])
