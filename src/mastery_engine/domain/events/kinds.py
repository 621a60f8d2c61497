"""The kinds of learning events: the ``data`` of each with its ranges, and the names it is known by.

Unknown fields are refused, because a typo must not lose evidence silently.
"""

from datetime import date
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from mastery_engine.errors import InvalidInput

Count: TypeAlias = Annotated[int, Meta(ge=0, le=100_000)]
Total: TypeAlias = Annotated[int, Meta(ge=1, le=100_000)]
Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0.0, description="seconds")]
Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
Text: TypeAlias = Annotated[str, Meta(max_length=1_000)]
Difficulty: TypeAlias = Literal["beginner", "intermediate", "advanced"]


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What happened; each kind has its own subclass."""


class Completion(Data, frozen=True):
    """How many exercises of a topic a student has done; the numbers are running totals."""

    total_exercises: Total
    completed_exercises: Count
    difficulty: Difficulty
    topic: Id | None = None
    exercise_id: Id | None = None
    time_taken: Seconds | None = None

    def __post_init__(self) -> None:
        if self.completed_exercises > self.total_exercises:
            raise InvalidInput(
                f"completed_exercises is {self.completed_exercises}, but total_exercises is {self.total_exercises}.",
                field="data.completed_exercises",
            )


class Quiz(Data, frozen=True):
    """The result of one quiz."""

    total_questions: Total
    correct_answers: Count
    topic: Id | None = None
    quiz_id: Id | None = None
    time_spent: Seconds | None = None
    confidence_score: Share | None = None

    def __post_init__(self) -> None:
        if self.correct_answers > self.total_questions:
            raise InvalidInput(
                f"correct_answers is {self.correct_answers}, but total_questions is {self.total_questions}.",
                field="data.correct_answers",
            )


class Quality(Data, frozen=True):
    """The scores of one piece of code."""

    code_quality_score: Share
    correctness_score: Share
    efficiency_score: Share
    peer_review_score: Share | None = None
    submission_id: Id | None = None
    topic: Id | None = None


class Consistency(Data, frozen=True):
    """The days on which a student was active; at least one field is given."""

    current_streak: Count | None = None
    max_streak: Count | None = None
    days_since_last_activity: Count | None = None
    activity_dates: tuple[date, ...] | None = None

    def __post_init__(self) -> None:
        given = (self.current_streak, self.max_streak, self.days_since_last_activity, self.activity_dates)
        if all(one is None for one in given):
            raise InvalidInput(
                "Give at least one of current_streak, max_streak, days_since_last_activity and activity_dates.",
                field="data",
            )


class Answer(Data, frozen=True):
    """One answer to one item, which exercises one to eight skills."""

    item_id: Id
    skills: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=8)]
    correct: bool
    attempts: Count | None = None
    hints: Count | None = None
    duration: Seconds | None = None
    difficulty: Difficulty | None = None


class Execution(Data, frozen=True):
    """One run of the student's code."""

    outcome: Literal["success", "error"]
    topic: Id | None = None
    exercise_id: Id | None = None
    error_type: Text | None = None
    duration: Seconds | None = None


class Help(Data, frozen=True):
    """The student asked for help."""

    topic: Id
    message: Text | None = None


class RecommendationFollowed(Data, frozen=True):
    """The student followed a piece of advice."""

    recommendation_id: Id
    reason: Text | None = None


class RecommendationDismissed(Data, frozen=True):
    """The student dismissed a piece of advice."""

    recommendation_id: Id
    reason: Text | None = None


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
