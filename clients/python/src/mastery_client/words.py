"""Closed lists of words, literals for type checkers; a newer engine may say more.

Made by `make contracts` from the OpenAPI document; don't edit.
"""

from typing import TYPE_CHECKING, Literal, TypeAlias

from mastery_client.open_words import words

if TYPE_CHECKING:
    Action: TypeAlias = Literal["practice", "refactor", "review", "schedule"]
    Aggregation: TypeAlias = Literal["daily", "monthly", "weekly"]
    AheadGoal: TypeAlias = Literal["improve_mastery"]
    AnswerBasis: TypeAlias = Literal["item", "prior", "skills"]
    BatchPriority: TypeAlias = Literal["high", "low", "normal"]
    BatchProgress: TypeAlias = Literal["completed", "queued"]
    CauseOfChangeKind: TypeAlias = Literal[
        "active",
        "aged",
        "answer",
        "away",
        "calculation",
        "completion",
        "earlier",
        "quality",
        "quiz",
        "regrade",
        "several",
        "started",
    ]
    Component: TypeAlias = Literal["completion", "consistency", "quality", "quiz"]
    DeliveryState: TypeAlias = Literal["delivered", "failed", "waiting"]
    DependencyStatus: TypeAlias = Literal["down", "up"]
    Difficulty: TypeAlias = Literal["advanced", "beginner", "intermediate"]
    EventProgress: TypeAlias = Literal["dead_lettered", "not_processed", "processed"]
    EventType: TypeAlias = Literal[
        "answer",
        "code.reviewed",
        "completion",
        "consistency",
        "consistency.activity.recorded",
        "execution",
        "exercise.completed",
        "exercise.completion.submitted",
        "help",
        "mastery.calculation.requested",
        "quality",
        "quality.assessment.completed",
        "quiz",
        "quiz.completed",
        "quiz.performance.submitted",
        "recommendation.dismissed",
        "recommendation.followed",
    ]
    ExecutionOutcome: TypeAlias = Literal["error", "success"]
    FoundPatternKind: TypeAlias = Literal[
        "cramming",
        "decline",
        "dragging_component",
        "forgetting_after_pauses",
        "leaning_on_hints",
        "plateau",
        "rhythm",
        "rushing",
        "surge",
    ]
    Goal: TypeAlias = Literal["improve_mastery", "master_topic", "prepare_assessment"]
    HealthStatus: TypeAlias = Literal["healthy"]
    MessageStatus: TypeAlias = Literal["evidence", "ignored", "refused"]
    Metric: TypeAlias = Literal["by_component", "overall"]
    OutcomeStatus: TypeAlias = Literal["DROP", "RETRY", "SUCCESS"]
    Priority: TypeAlias = Literal["high", "low", "medium"]
    ReadinessReportStatus: TypeAlias = Literal["not_ready", "ready"]
    ReasonCode: TypeAlias = Literal["falling", "forecast", "inactive", "low_score", "struggle"]
    ReceiptStatus: TypeAlias = Literal["queued", "refused"]
    SkillBasis: TypeAlias = Literal["answers", "exercises", "prior"]
    Trend: TypeAlias = Literal["declining", "improving", "stable"]
    WebhookChangeTypes: TypeAlias = Literal[
        "learning.path.recommended",
        "mastery.events",
        "mastery.results",
        "mastery.threshold.reached",
        "mastery.updated",
        "struggle.detected",
    ]
else:
    Action = words("practice", "refactor", "review", "schedule")
    Aggregation = words("daily", "monthly", "weekly")
    AheadGoal = words("improve_mastery")
    AnswerBasis = words("item", "prior", "skills")
    BatchPriority = words("high", "low", "normal")
    BatchProgress = words("completed", "queued")
    CauseOfChangeKind = words(
        "active",
        "aged",
        "answer",
        "away",
        "calculation",
        "completion",
        "earlier",
        "quality",
        "quiz",
        "regrade",
        "several",
        "started",
    )
    Component = words("completion", "consistency", "quality", "quiz")
    DeliveryState = words("delivered", "failed", "waiting")
    DependencyStatus = words("down", "up")
    Difficulty = words("advanced", "beginner", "intermediate")
    EventProgress = words("dead_lettered", "not_processed", "processed")
    EventType = words(
        "answer",
        "code.reviewed",
        "completion",
        "consistency",
        "consistency.activity.recorded",
        "execution",
        "exercise.completed",
        "exercise.completion.submitted",
        "help",
        "mastery.calculation.requested",
        "quality",
        "quality.assessment.completed",
        "quiz",
        "quiz.completed",
        "quiz.performance.submitted",
        "recommendation.dismissed",
        "recommendation.followed",
    )
    ExecutionOutcome = words("error", "success")
    FoundPatternKind = words(
        "cramming",
        "decline",
        "dragging_component",
        "forgetting_after_pauses",
        "leaning_on_hints",
        "plateau",
        "rhythm",
        "rushing",
        "surge",
    )
    Goal = words("improve_mastery", "master_topic", "prepare_assessment")
    HealthStatus = words("healthy")
    MessageStatus = words("evidence", "ignored", "refused")
    Metric = words("by_component", "overall")
    OutcomeStatus = words("DROP", "RETRY", "SUCCESS")
    Priority = words("high", "low", "medium")
    ReadinessReportStatus = words("not_ready", "ready")
    ReasonCode = words("falling", "forecast", "inactive", "low_score", "struggle")
    ReceiptStatus = words("queued", "refused")
    SkillBasis = words("answers", "exercises", "prior")
    Trend = words("declining", "improving", "stable")
    WebhookChangeTypes = words(
        "learning.path.recommended",
        "mastery.events",
        "mastery.results",
        "mastery.threshold.reached",
        "mastery.updated",
        "struggle.detected",
    )
