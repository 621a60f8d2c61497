"""Learning events, and the data of each kind.

Made by `make contracts` from the OpenAPI document; don't edit.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from mastery_client.answers import ComponentValues
from mastery_client.words import Difficulty, EventType, ExecutionOutcome


class Completion(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many exercises of a topic a student has done; the numbers are running totals."""

    total_exercises: int
    completed_exercises: int
    difficulty: Difficulty
    topic: str | None = None
    exercise_id: str | None = None
    time_taken: float | None = None


class Quiz(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of one quiz. Partial credit makes ``correct_answers`` a fraction; a whole number is an int.

    Of the words on one attempt (``attempt_id``) the latest counts.
    """

    total_questions: int
    correct_answers: float
    topic: str | None = None
    quiz_id: str | None = None
    time_spent: float | None = None
    confidence_score: float | None = None
    attempt_id: str | None = None


class Quality(msgspec.Struct, frozen=True, omit_defaults=True):
    """The scores of one piece of code. Of the words on one attempt (``attempt_id``) the latest counts."""

    code_quality_score: float
    correctness_score: float
    efficiency_score: float
    peer_review_score: float | None = None
    submission_id: str | None = None
    topic: str | None = None
    attempt_id: str | None = None


class Consistency(msgspec.Struct, frozen=True, omit_defaults=True):
    """The days on which a student was active; at least one field is given."""

    current_streak: int | None = None
    max_streak: int | None = None
    days_since_last_activity: int | None = None
    activity_dates: Sequence[datetime.date] | None = None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer to one item, which exercises up to eight skills: correct, to a score, or both.

    Without ``skills`` it is those that the course's items name for the item. Of the words on one attempt at the item
    (``attempt_id``) the latest counts. ``part_of`` names the attempt at a quiz whose own event brings the evidence: the
    answer then moves what is known of skills alone.
    """

    item_id: str
    skills: Sequence[str] | None = None
    correct: bool | None = None
    attempts: int | None = None
    hints: int | None = None
    duration: float | None = None
    difficulty: Difficulty | None = None
    score: float | None = None
    attempt_id: str | None = None
    part_of: str | None = None


class Execution(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run of the student's code."""

    outcome: ExecutionOutcome
    topic: str | None = None
    exercise_id: str | None = None
    error_type: str | None = None
    duration: float | None = None


class Help(msgspec.Struct, frozen=True, omit_defaults=True):
    """The student asked for help."""

    topic: str
    message: str | None = None


class RecommendationFollowed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The student followed a piece of advice."""

    recommendation_id: str
    reason: str | None = None


class RecommendationDismissed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The student dismissed a piece of advice."""

    recommendation_id: str
    reason: str | None = None


class CalculationRequested(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sets the given components until there is newer evidence of each."""

    components: ComponentValues | Mapping[str, Any]


EventData: TypeAlias = (
    Completion
    | Quiz
    | Quality
    | Consistency
    | Answer
    | Execution
    | Help
    | RecommendationFollowed
    | RecommendationDismissed
    | CalculationRequested
)


class LearningEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a student did.

    ``event_type`` is the kind, ``data`` what belongs to it. ``event_id`` and ``timestamp`` (with a zone, or
    milliseconds since 1970) are made by the engine where they are left out.
    """

    event_type: EventType
    student_id: str
    data: EventData | Mapping[str, Any]
    event_id: str | None = None
    timestamp: datetime.datetime | int | None = None
    source: str | None = None
    metadata: Mapping[str, str | int | float | bool | None] | None = None
    course_id: str | None = None
