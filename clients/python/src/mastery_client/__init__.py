"""The Mastery Engine from Python: what each student knows, what they will know, who needs help, and what to do next.

>>> from mastery_client import MasteryClient
>>> engine = MasteryClient("http://localhost:8005", token="…")
>>> engine.cohort("py-101").at_risk           # who needs help, and why, the worst first
>>> engine.query("student_12345")             # what a student knows
>>> engine.recommendations("student_12345")   # what to do next

Each call of the engine is a method of ``MasteryClient``; ``AsyncMasteryClient`` has the same, to be awaited. The types
of what they take stand in ``mastery_client.requests`` (plain dictionaries do as well), of what they answer in
``mastery_client.answers``; answers with rows have ``to_frame()``.
"""

from msgspec import UNSET

from mastery_client import answers, errors, events, requests
from mastery_client.client import AsyncMasteryClient, MasteryClient
from mastery_client.errors import (
    ApiError,
    BadRequest,
    Conflict,
    CourseRequired,
    Forbidden,
    FramesNotInstalled,
    Gone,
    IngestInterrupted,
    MasteryError,
    NotFound,
    ServerError,
    TimedOut,
    TooManyRequests,
    TransportError,
    Unauthenticated,
    Unavailable,
    UnreadableAnswer,
)
from mastery_client.events import LearningEvent
from mastery_client.exchange import Retries

__all__ = [
    "UNSET",
    "ApiError",
    "AsyncMasteryClient",
    "BadRequest",
    "Conflict",
    "CourseRequired",
    "Forbidden",
    "FramesNotInstalled",
    "Gone",
    "IngestInterrupted",
    "LearningEvent",
    "MasteryClient",
    "MasteryError",
    "NotFound",
    "Retries",
    "ServerError",
    "TimedOut",
    "TooManyRequests",
    "TransportError",
    "Unauthenticated",
    "Unavailable",
    "UnreadableAnswer",
    "answers",
    "errors",
    "events",
    "requests",
]
