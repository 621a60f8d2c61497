"""Results of a fold, as they are published for other services. Their ids derive from the events that caused them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from mastery_engine.domain.advice.learning_path import Step
from mastery_engine.domain.advice.recommendation import Action, Priority, Recommendation, recommendation_id
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.evidence.causes import ChangeKind
from mastery_engine.domain.evidence.moves import Moved
from mastery_engine.domain.evidence.shown import SURELY, with_4_decimals
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.domain.rules import COMPONENTS, Component

RESULTS_TOPIC = "mastery.results"
EVENTS_TOPIC = "mastery.events"


class Fact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What all results have. ``caused_by`` lists the ids of the batch's new events, in the order of arrival.

    Each has its ``course_id`` and ``named_by_fold`` too, at its end: results in documents of older engines have none.
    ``named_by_fold`` says that the moment of the fold is part of the result's id: of a result that an older engine left
    in a document it is not, so that it goes out again under the id that it had.
    """

    tenant: str
    student_id: str
    at: Micros
    caused_by: tuple[str, ...]


class Updated(Fact, frozen=True, array_like=True, tag="mastery.updated", gc=False):
    """A student's mastery after a batch of events; components in [0, 1], in the order of ``COMPONENTS``.

    The scores are as they are shown: with 4 decimals, in the level that is beside them. ``advice`` is None where it is
    that of the update before. ``moved`` is None after an update of an engine that did not keep the components that it
    sent.
    """

    score: float
    previous_score: float
    level: str
    components: tuple[float | None, float | None, float | None, float | None]
    coverage: float
    advice: tuple[Recommendation, ...] | None = ()
    moved: tuple[Moved, ...] | None = None
    course_id: str = DEFAULT_COURSE
    named_by_fold: bool = False


class ThresholdReached(Fact, frozen=True, array_like=True, tag="mastery.threshold.reached", gc=False):
    """A student's level changed, up or down; the scores are as they are shown."""

    level: str
    previous_level: str
    score: float
    previous_score: float
    course_id: str = DEFAULT_COURSE
    named_by_fold: bool = False


class StruggleDetected(Fact, frozen=True, array_like=True, tag="struggle.detected", gc=False):
    """A student is stuck on a topic, with the pattern that showed it, the evidence, and the time of the first sign."""

    topic: str
    pattern: str
    evidence: str
    since: Micros
    course_id: str = DEFAULT_COURSE
    named_by_fold: bool = False


class PathRecommended(Fact, frozen=True, array_like=True, tag="learning.path.recommended", gc=False):
    """The first steps of a student's learning path, after they have changed."""

    steps: tuple[Step, ...]
    course_id: str = DEFAULT_COURSE
    named_by_fold: bool = False


Result: TypeAlias = Updated | ThresholdReached | StruggleDetected | PathRecommended


class Pending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A result with the log position of the last event that caused it: the worker publishes it when it gets there."""

    partition: int
    offset: int
    result: Result


_TYPES: dict[type[Fact], str] = {
    kind: str(kind.__struct_config__.tag) for kind in (Updated, ThresholdReached, StruggleDetected, PathRecommended)
}


def event_type(result: Result) -> str:
    return _TYPES[type(result)]


def result_id(result: Result) -> str:
    """The id by which consumers recognise a repeat: that of its kind, its student and course, its last event and fold.

    A store that lost its last writes makes another fold tell the same events, in other batches and at another moment.
    What that fold says is other than what went out before, so its id is too: one id never has two contents.
    """
    course = () if result.course_id == DEFAULT_COURSE else (result.course_id,)
    last = (event_type(result), result.tenant, result.student_id, result.caused_by[-1])
    if not result.named_by_fold:
        return derived_id(*last, *course)
    return derived_id(*last, result.course_id, str(result.at))


def topic_of(result: Result) -> str:
    return RESULTS_TOPIC if isinstance(result, Updated) else EVENTS_TOPIC


class AdviceSent(msgspec.Struct, frozen=True, gc=False):
    """A piece of advice. ``expected_gain`` is in points of the mastery score, 0 to 1; ``estimated_time`` in minutes."""

    recommendation_id: str
    action: Action
    area: str
    priority: Priority
    estimated_time: Annotated[int, Meta(ge=1)]
    expected_gain: Annotated[float, Meta(ge=0.0, le=1.0)]
    reason: str


class PathStep(msgspec.Struct, frozen=True, gc=False):
    """One skill on a learning path, and the reason for it."""

    skill: str
    minutes: Annotated[int, Meta(ge=1)]
    reason: str


class SentCause(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One cause of an update's change: ``change`` is its part of the score's, ``events`` how many events it is."""

    kind: ChangeKind
    change: float
    events: int = 0
    topic: str | None = None


class SentContribution(msgspec.Struct, frozen=True, gc=False):
    """What one component contributes to the change; its causes sum to it."""

    component: Component
    change: float
    causes: list[SentCause]


class SentChanges(msgspec.Struct, frozen=True, gc=False):
    """What changed since the last update, and why: the contributions of the components that moved sum to it."""

    change: float
    contributions: list[SentContribution]


class Message(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A result as it is published; scores are rounded to 4 decimals.

    An update has ``recommendations`` where they are other than those last sent: left out means unchanged.
    """

    event_id: str
    event_type: str
    timestamp: str
    student_id: str
    tenant: str
    course_id: str
    caused_by: tuple[str, ...]
    mastery_score: float | None = None
    previous_score: float | None = None
    level: str | None = None
    previous_level: str | None = None
    components: dict[Component, float] | None = None
    coverage: float | None = None
    recommendations: list[AdviceSent] | None = None
    topic: str | None = None
    pattern: str | None = None
    evidence: str | None = None
    since: str | None = None
    steps: list[PathStep] | None = None
    changes: SentChanges | None = None


_stamp = lru_cache(maxsize=16)(rfc3339)  # all results of a batch have the same


def message(result: Result) -> Message:
    """The value to publish, ready for JSON."""
    event_id, kind, at = result_id(result), event_type(result), _stamp(result.at)
    common = (event_id, kind, at, result.student_id, result.tenant, result.course_id, result.caused_by)
    match result:
        case StruggleDetected():
            since = rfc3339(result.since)
            return Message(*common, topic=result.topic, pattern=result.pattern, evidence=result.evidence, since=since)
        case PathRecommended():
            return Message(*common, steps=path_steps(result.steps))
        case ThresholdReached():
            scores = (round(result.score, 4), round(result.previous_score, 4), result.level)
            return Message(*common, *scores, previous_level=result.previous_level)
    scores = (result.score, result.previous_score, result.level)
    if not result.named_by_fold:  # an older engine may have left more decimals
        scores = (round(result.score, 4), round(result.previous_score, 4), result.level)
    completion, quiz, quality, consistency = result.components
    components: dict[Component, float] = {
        "completion": with_4_decimals(completion),
        "quiz": with_4_decimals(quiz),
        "quality": with_4_decimals(quality),
        "consistency": with_4_decimals(consistency),
    }
    advice = None
    if result.advice is not None:
        advice = [advice_sent(result.tenant, result.student_id, result.course_id, one) for one in result.advice]
    coverage, changes = with_4_decimals(result.coverage), None if result.moved is None else _changes_sent(result.moved)
    return Message(*common, *scores, components=components, coverage=coverage, recommendations=advice, changes=changes)


def _changes_sent(moved: Sequence[Moved]) -> SentChanges:
    return SentChanges(
        _with_6_decimals(sum([one.change for one in moved])),
        [
            SentContribution(
                COMPONENTS[one.place],
                _with_6_decimals(one.change),
                [SentCause(by.kind, _with_6_decimals(by.change), by.events, by.topic) for by in one.causes],
            )
            for one in moved
        ],
    )


def _with_6_decimals(change: float) -> float:
    """As ``round(change, 6)``, in the way of ``with_4_decimals``; what is nearly nothing keeps its sign."""
    scaled = change * 1e6
    steps = round(scaled)
    return steps / 1e6 if steps and -SURELY < scaled - steps < SURELY else round(change, 6)


def advice_sent(tenant: str, student_id: str, course_id: str, recommendation: Recommendation) -> AdviceSent:
    """A piece of advice as it is sent everywhere; the resources, which the curriculum has, are added later."""
    return AdviceSent(*sent_fields(tenant, student_id, course_id, recommendation))


def sent_fields(
    tenant: str, student_id: str, course_id: str, recommendation: Recommendation
) -> tuple[str, Action, str, Priority, int, float, str]:
    """The fields of ``AdviceSent``, in their order."""
    return (
        recommendation_id(tenant, student_id, course_id, recommendation),
        recommendation.action,
        recommendation.area,
        recommendation.priority,
        recommendation.minutes,
        with_4_decimals(recommendation.gain),
        recommendation.reason,
    )


def path_steps(steps: Sequence[Step]) -> list[PathStep]:
    """The steps of a path as they are sent everywhere."""
    return [PathStep(step.skill, step.minutes, step.reason) for step in steps]
