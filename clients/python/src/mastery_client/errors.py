"""What can go wrong with a call, as one tree.

MasteryError
├── TransportError        no answer came
│   └── TimedOut          none came in time
├── UnreadableAnswer      an answer came that is none of the engine's
├── IngestInterrupted     a long list of events was taken in part: which, and what is left
├── FramesNotInstalled    ``to_frame`` without pandas
└── ApiError              the engine refused, with code, status, message, details and request_id
    ├── BadRequest        400, 405, 408, 413, 415, 431: something in the call is wrong
    │   └── CourseRequired    the student has several courses, and the call named none
    ├── Unauthenticated   401: no token, or one that is not valid
    ├── Forbidden         403: the token does not allow it
    ├── NotFound          404
    │   └── Gone          410: it was there, and was erased
    ├── Conflict          409: by what is there, or by what the student consented to
    ├── TooManyRequests   429: ``retry_after`` says when to try again
    └── ServerError       500 and above
        └── Unavailable   502, 503, 504: busy, or waiting for a server of its own
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mastery_client.answers import IngestResponse


class MasteryError(Exception):
    """The base of all errors of this client.

    Each has a ``code`` for programs; ``status`` and ``request_id`` are None where no answer came.
    """

    code: str = "CLIENT_ERROR"
    status: int | None = None
    request_id: str | None = None


class TransportError(MasteryError):
    """No answer came: the address is wrong, the engine is away, or the connection broke.

    ``attempts`` is how often the call was sent. Whether it took effect is not known.
    """

    code = "TRANSPORT_ERROR"

    def __init__(self, message: str, *, attempts: int = 1) -> None:
        super().__init__(message)
        self.attempts = attempts


class TimedOut(TransportError):
    """No answer came within the client's ``timeout``."""

    code = "TIMED_OUT"


class UnreadableAnswer(MasteryError):
    """An answer came that this client cannot read: another service answered, or an engine of another major version."""

    code = "UNREADABLE_ANSWER"

    def __init__(self, message: str, *, status: int, request_id: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class FramesNotInstalled(MasteryError, ImportError):
    """A data frame was asked for, and pandas is not installed."""

    code = "FRAMES_NOT_INSTALLED"


class IngestInterrupted(MasteryError):
    """``ingest_all`` ended before all events were sent.

    ``answered`` has what became of those before, in order; ``remaining`` are the others, of which the first may have
    been taken: send them again with the ids that they have. ``__cause__`` says why, with the same ``status`` and
    ``request_id``.
    """

    code = "INGEST_INTERRUPTED"

    def __init__(self, message: str, *, answered: "IngestResponse", remaining: Sequence[Any]) -> None:
        super().__init__(message)
        self.answered = answered
        self.remaining = remaining


class ApiError(MasteryError):
    """The engine refused. ``code`` is for programs, ``message`` for people; ``details['field']`` names what was wrong.

    ``request_id`` finds the call in the engine's log. ``retry_after`` is in seconds, None where it would not help.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        request_id: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id
        self.details = dict(details or {})
        self.retry_after = retry_after

    @property
    def field(self) -> str | None:
        """What in the call was wrong, where it was one thing."""
        found = self.details.get("field")
        return None if found is None else str(found)

    def __str__(self) -> str:
        asked = "" if self.request_id is None else f" (request {self.request_id})"
        return f"{self.message} [{self.code} {self.status}]{asked}"


class BadRequest(ApiError):
    """Something in the call is wrong; ``field`` names it."""


class CourseRequired(BadRequest):
    """The student has several courses and the call named none; ``courses`` are those to choose from."""

    @property
    def courses(self) -> list[str]:
        """The ids of the student's courses."""
        return [str(one) for one in self.details.get("courses", ())]


class Unauthenticated(ApiError):
    """There is no token, or it is not valid, or no longer."""


class Forbidden(ApiError):
    """The token does not allow this call, or not about this student, class or course."""


class NotFound(ApiError):
    """Nothing is known of it."""


class Gone(NotFound):
    """It was there, and was erased."""


class Conflict(ApiError):
    """What is there stands against it; or the student withdrew the consent that it needs."""


class TooManyRequests(ApiError):
    """The limit of calls of this kind is reached; ``retry_after`` says in how many seconds it is free again."""


class ServerError(ApiError):
    """The engine failed; its log has the error under ``request_id``."""


class Unavailable(ServerError):
    """The engine is busy, or a server that it needs is away. It recovers by itself: try again."""


BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    429: TooManyRequests,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
BY_CODE: dict[str, type[ApiError]] = {"COURSE_REQUIRED": CourseRequired}


def error_class(status: int, code: str) -> type[ApiError]:
    """The class of an error, by what the engine said."""
    usual = BadRequest if 400 <= status < 500 else ServerError if status >= 500 else ApiError
    return BY_CODE.get(code) or BY_STATUS.get(status, usual)
