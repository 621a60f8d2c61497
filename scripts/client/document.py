"""The OpenAPI document, and what it cannot say of the client: the tables."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from mastery_engine.service import create_app
from mastery_engine.settings import Settings

Schema = dict[str, Any]

# Which field of an answer holds its rows: those answers may be data frames.
ROWS = {
    "AuditTrail": "records",
    "BadgeList": "badges",
    "BatchResponse": "results",
    "BatchState": "results",
    "Changes": "contributions",
    "CohortFigures": "at_risk",
    "Consent": "history",
    "CourseList": "courses",
    "DeliveryList": "deliveries",
    "DoorResults": "results",
    "IngestResponse": "results",
    "LearningPath": "steps",
    "MasteryHistory": "history",
    "NoteList": "notes",
    "Prediction": "days",
    "StudentList": "students",
    "StudentPatterns": "patterns",
    "StudentSkills": "skills",
    "Trajectory": "points",
    "WebhookList": "webhooks",
}
# The rows of answers that are pages.
PAGED = {**ROWS, "CohortRecord": "members"}
# Names of the closed lists of words; others are named by the first place where they stand.
WORDS = {
    ("declining", "improving", "stable"): "Trend",
    ("advanced", "beginner", "intermediate"): "Difficulty",
    ("high", "low", "medium"): "Priority",
    ("high", "low", "normal"): "BatchPriority",
    ("completion", "consistency", "quality", "quiz"): "Component",
    ("improve_mastery", "master_topic", "prepare_assessment"): "Goal",
    ("improve_mastery",): "AheadGoal",
    ("daily", "monthly", "weekly"): "Aggregation",
    ("by_component", "overall"): "Metric",
    ("delivered", "failed", "waiting"): "DeliveryState",
    ("falling", "forecast", "inactive", "low_score", "struggle"): "ReasonCode",
    ("evidence", "ignored", "refused"): "MessageStatus",
    ("dead_lettered", "not_processed", "processed"): "EventProgress",
    ("completed", "queued"): "BatchProgress",
    ("practice", "refactor", "review", "schedule"): "Action",
    ("answers", "exercises", "prior"): "SkillBasis",
    ("item", "prior", "skills"): "AnswerBasis",
}
# Fields of a request for which null says something else than being left out.
NULL_SAYS = {("CourseChange", "badges"), ("ProfileChange", "display_name"), ("ProfileChange", "language")}
# Bodies that are no JSON of ours: what the parameter is called, and its type.
OTHER_BODIES = {
    "import_roster": ("archive", "bytes"),
    "send_caliper": ("envelope", "object"),
    "send_canvas": ("message", "object"),
    "dapr_event": ("delivery", "object"),
}
# What a call is about may be given by its place, as what it needs; all else that may be left out is given by name.
BY_PLACE = {"calculate": "components", "audit": "student"}
# The client reads JSON alone: a frame writes CSV.
LEFT_OUT = {("history", "format"), ("HistoryRange", "format")}
SAYS = {
    "history": "Daily, weekly or monthly scores of a range of days."
}  # where the document speaks of what is left out
PROBES = ("health", "ready")  # who asks wants to know how it is now
EVENT = "Envelope"
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
FORMATS = {"date": "datetime.date", "date-time": "datetime.datetime"}


@cache
def document() -> Schema:
    """The OpenAPI document; it is the same whatever the settings."""
    found: Schema = _with_defaults(create_app(Settings()).openapi())
    return found


def _with_defaults(value: Any) -> Any:
    """With what holds where a field is left out as its default, which the document keeps from other generators."""
    if isinstance(value, list):
        return [_with_defaults(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {"default" if name == "x-default" else name: _with_defaults(part) for name, part in value.items()}


def schemas() -> dict[str, Schema]:
    """The document's schemas by their names."""
    found: dict[str, Schema] = document()["components"]["schemas"]
    return found


def name_of(schema: Schema) -> str | None:
    """The name of the schema that a schema refers to."""
    reference = schema.get("$ref")
    return None if reference is None else str(reference).rpartition("/")[2]


def references(value: Any) -> Iterator[str]:
    """The names of all schemas within."""
    if isinstance(value, dict):
        name = name_of(value)
        if name is not None:
            yield name
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def closure(names: Iterable[str]) -> set[str]:
    """These schemas and all that they are made of."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += references(schemas()[name])
    return found
