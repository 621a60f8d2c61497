"""The kinds of learning events: the ``data`` of each with its ranges, and the names it is known by.

Unknown fields are refused, because a typo must not lose evidence silently.
"""

from datetime import date
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from mastery_engine.domain.given_ids import LONGEST_ID, LONGEST_NAME, KnownIds
from mastery_engine.errors import InvalidInput

MOST_SECONDS = 86_400.0
RIGHT = 0.5  # the score from which on an answer counts as a success

Count: TypeAlias = Annotated[int, Meta(ge=0, le=100_000)]
Total: TypeAlias = Annotated[int, Meta(ge=1, le=100_000)]
Part: TypeAlias = Annotated[float, Meta(ge=0.0, le=100_000.0)]
Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0.0, le=MOST_SECONDS, description="seconds")]
# The length is that of the normal form, so the decoder does not check it; see ``given_ids``.
Id: TypeAlias = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_ID})]
TopicId: TypeAlias = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_NAME})]
Text: TypeAlias = Annotated[str, Meta(max_length=1_000)]
Difficulty: TypeAlias = Literal["beginner", "intermediate", "advanced"]

_NAMES, _IDS = KnownIds(LONGEST_NAME), KnownIds(LONGEST_ID)


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What happened; each kind has its own subclass. Its ids are in their normal form, however they were spelled."""


def _spell(data: Data, name: str, known: KnownIds) -> None:
    """Puts an id of new data into its normal form. Raises InvalidInput, which names the field."""
    force_setattr(data, name, known.spelled(getattr(data, name), f"data.{name}"))


class Completion(Data, frozen=True):
    """How many exercises of a topic a student has done; the numbers are running totals."""

    total_exercises: Total
    completed_exercises: Count
    difficulty: Difficulty
    topic: TopicId | None = None
    exercise_id: Id | None = None
    time_taken: Seconds | None = None

    def __post_init__(self) -> None:
        if self.topic not in _NAMES:
            _spell(self, "topic", _NAMES)
        if self.exercise_id not in _IDS:
            _spell(self, "exercise_id", _IDS)
        if self.completed_exercises > self.total_exercises:
            raise InvalidInput(
                f"completed_exercises is {self.completed_exercises}, but total_exercises is {self.total_exercises}.",
                field="data.completed_exercises",
            )


class Quiz(Data, frozen=True):
    """The result of one quiz. Partial credit makes ``correct_answers`` a fraction; a whole number is an int.

    Of the words on one attempt (``attempt_id``) the latest counts.
    """

    total_questions: Total
    correct_answers: Part
    topic: TopicId | None = None
    quiz_id: Id | None = None
    time_spent: Seconds | None = None
    confidence_score: Share | None = None
    attempt_id: Id | None = None

    def __post_init__(self) -> None:
        if self.topic not in _NAMES:
            _spell(self, "topic", _NAMES)
        if self.quiz_id not in _IDS:
            _spell(self, "quiz_id", _IDS)
        if self.attempt_id not in _IDS:
            _spell(self, "attempt_id", _IDS)
        if type(self.correct_answers) is float and self.correct_answers.is_integer():
            force_setattr(self, "correct_answers", int(self.correct_answers))
        if self.correct_answers > self.total_questions:
            raise InvalidInput(
                f"correct_answers is {self.correct_answers}, but total_questions is {self.total_questions}.",
                field="data.correct_answers",
            )


class Quality(Data, frozen=True):
    """The scores of one piece of code. Of the words on one attempt (``attempt_id``) the latest counts."""

    code_quality_score: Share
    correctness_score: Share
    efficiency_score: Share
    peer_review_score: Share | None = None
    submission_id: Id | None = None
    topic: TopicId | None = None
    attempt_id: Id | None = None

    def __post_init__(self) -> None:
        if self.topic not in _NAMES:
            _spell(self, "topic", _NAMES)
        if self.submission_id not in _IDS:
            _spell(self, "submission_id", _IDS)
        if self.attempt_id not in _IDS:
            _spell(self, "attempt_id", _IDS)


class Consistency(Data, frozen=True):
    """The days on which a student was active; at least one field is given."""

    current_streak: Count | None = None
    max_streak: Count | None = None
    days_since_last_activity: Count | None = None
    activity_dates: tuple[date, ...] | None = None

    def __post_init__(self) -> None:
        if (
            self.current_streak is None
            and self.max_streak is None
            and self.days_since_last_activity is None
            and self.activity_dates is None
        ):
            raise InvalidInput(
                "Give at least one of current_streak, max_streak, days_since_last_activity and activity_dates.",
                field="data",
            )


class Answer(Data, frozen=True):
    """One answer to one item, which exercises up to eight skills: correct, to a score, or both.

    Without ``skills`` it is those that the course's items name for the item. Of the words on one attempt at the item
    (``attempt_id``) the latest counts. ``part_of`` names the attempt at a quiz whose own event brings the evidence: the
    answer then moves what is known of skills alone.
    """

    item_id: Id
    skills: Annotated[tuple[TopicId, ...], Meta(max_length=8)] = ()
    correct: bool | None = None
    attempts: Count | None = None
    hints: Count | None = None
    duration: Seconds | None = None
    difficulty: Difficulty | None = None
    score: Share | None = None
    attempt_id: Id | None = None
    part_of: Id | None = None

    def __post_init__(self) -> None:
        if self.correct is None and self.score is None:
            raise InvalidInput("Give correct, score or both.", field="data.correct")
        if self.item_id not in _IDS:
            _spell(self, "item_id", _IDS)
        if self.attempt_id not in _IDS:
            _spell(self, "attempt_id", _IDS)
        if self.part_of not in _IDS:
            _spell(self, "part_of", _IDS)
        if not _NAMES.issuperset(self.skills):
            skills = [_NAMES.spelled(skill, f"data.skills[{place}]") for place, skill in enumerate(self.skills)]
            force_setattr(self, "skills", tuple(skills))

    @property
    def fraction(self) -> float:
        """How right the answer was, in [0, 1]."""
        return float(self.correct or False) if self.score is None else self.score

    @property
    def is_right(self) -> bool:
        """Whether the answer counts as a success: as ``correct`` says, else from half of the score on."""
        return self.fraction >= RIGHT if self.correct is None else self.correct


class Execution(Data, frozen=True):
    """One run of the student's code."""

    outcome: Literal["success", "error"]
    topic: TopicId | None = None
    exercise_id: Id | None = None
    error_type: Text | None = None
    duration: Seconds | None = None

    def __post_init__(self) -> None:
        if self.topic not in _NAMES:
            _spell(self, "topic", _NAMES)
        if self.exercise_id not in _IDS:
            _spell(self, "exercise_id", _IDS)


class Help(Data, frozen=True):
    """The student asked for help."""

    topic: TopicId
    message: Text | None = None

    def __post_init__(self) -> None:
        if self.topic not in _NAMES:
            _spell(self, "topic", _NAMES)


class RecommendationFollowed(Data, frozen=True):
    """The student followed a piece of advice."""

    recommendation_id: Id
    reason: Text | None = None

    def __post_init__(self) -> None:
        if self.recommendation_id not in _IDS:
            _spell(self, "recommendation_id", _IDS)


class RecommendationDismissed(Data, frozen=True):
    """The student dismissed a piece of advice."""

    recommendation_id: Id
    reason: Text | None = None

    def __post_init__(self) -> None:
        if self.recommendation_id not in _IDS:
            _spell(self, "recommendation_id", _IDS)


class ComponentValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Some or all of the four components."""

    completion: Share | None = None
    quiz: Share | None = None
    quality: Share | None = None
    consistency: Share | None = None

    def values(self) -> tuple[float | None, float | None, float | None, float | None]:
        """The values in the order of ``COMPONENTS``; None for those not given."""
        return (self.completion, self.quiz, self.quality, self.consistency)


class CalculationRequested(Data, frozen=True):
    """Sets the given components until there is newer evidence of each."""

    components: ComponentValues

    def __post_init__(self) -> None:
        if self.components.values() == (None, None, None, None):
            raise InvalidInput(
                "Give at least one of completion, quiz, quality and consistency.", field="data.components"
            )


KINDS: dict[str, type[Data]] = {
    "completion": Completion,
    "quiz": Quiz,
    "quality": Quality,
    "consistency": Consistency,
    "answer": Answer,
    "execution": Execution,
    "help": Help,
    "recommendation.followed": RecommendationFollowed,
    "recommendation.dismissed": RecommendationDismissed,
    "mastery.calculation.requested": CalculationRequested,
}

ALIASES: dict[str, str] = {
    "exercise.completed": "completion",
    "exercise.completion.submitted": "completion",
    "quiz.completed": "quiz",
    "quiz.performance.submitted": "quiz",
    "code.reviewed": "quality",
    "quality.assessment.completed": "quality",
    "consistency.activity.recorded": "consistency",
}


def _holds_id(kind: Any) -> bool:
    return any(kind is id_kind for id_kind in (Id, TopicId)) or any(map(_holds_id, get_args(kind)))


# The fields of data whose texts are ids that a school gives.
ID_FIELDS = frozenset(
    field.name for kind in KINDS.values() for field in msgspec.structs.fields(kind) if _holds_id(field.type)
)
