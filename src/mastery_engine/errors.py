"""Every error that the engine raises on purpose.

    MasteryError
    ├── InvalidInput        the caller's input is wrong; the error names the field
    │   ├── RefusedEvent    the event is well-formed, but too old or in the future
    │   └── CourseRequired  the student is in several courses, and the call names none
    ├── Unauthenticated     the token is missing or not valid
    │   └── WrongCredential a platform's key and secret are missing or not known
    ├── Forbidden           the token is valid, but does not allow this
    │   └── LaunchRefused   a learning platform's launch is not valid, or not for us; it says why
    ├── NotFound            there is no such student, batch or dead letter (for callers who may know)
    ├── Gone                it was there once, and was removed for good
    ├── Conflict            the present state does not allow it
    ├── TooLarge            the call is larger than the engine accepts
    ├── RateLimited         the caller has used up the calls of this minute
    ├── Busy                too much is under way at once; try again later
    ├── Unavailable         a store, a log or a disk does not answer; nothing was lost
    │   ├── FellBack        the store lost its last writes: the log must be read again from its checkpoint
    │   └── NewerFormat     a newer engine wrote this document: it has to be asked
    └── StartRefused        the service cannot start with this setting, data folder or file
        └── Flooded         too many records cannot be read: the worker stops until an operator decides

A message says what is wrong and what to do. ``code`` is sent to callers; ``http/problems.py`` has the HTTP statuses.
"""

from collections.abc import Sequence


class MasteryError(Exception):
    """The base of all; ``message`` is for people, ``field`` names the input at fault, if there is one."""

    code = "INTERNAL_ERROR"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    @property
    def located(self) -> str:
        """The message, with the field in front if the message does not name it."""
        return self.message if self.field is None or self.field in self.message else f"{self.field}: {self.message}"


class InvalidInput(MasteryError):
    """The input is malformed, out of range or contradicts itself."""

    code = "VALIDATION_ERROR"


class RefusedEvent(InvalidInput):
    """The event is well-formed, but its times do not allow it to count."""


class CourseRequired(InvalidInput):
    """The student is in several courses; ``courses`` are their ids, of which the caller must name one."""

    code = "COURSE_REQUIRED"

    def __init__(self, message: str, courses: Sequence[str]) -> None:
        super().__init__(message, field="course_id")
        self.courses = tuple(courses)


class Unauthenticated(MasteryError):
    """The call has no valid token."""

    code = "AUTH_ERROR"
    challenge = "Bearer"  # what the caller may answer with (RFC 9110, WWW-Authenticate)


class WrongCredential(Unauthenticated):
    """The call has no key and secret of a platform, or not the right ones."""

    challenge = 'Basic realm="mastery-engine", charset="UTF-8"'


class Forbidden(MasteryError):
    """The caller may not do this, or not to this student or cohort."""

    code = "FORBIDDEN"


class LaunchRefused(Forbidden):
    """A launch, or a message beside one, is not valid or not for us; ``reason`` is for metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotFound(MasteryError):
    """What was asked for does not exist, or not for this caller."""

    code = "NOT_FOUND"


class Gone(MasteryError):
    """What was asked for was removed for good, as by an erasure."""

    code = "GONE"


class Conflict(MasteryError):
    """The present state does not allow it."""

    code = "CONFLICT"


class TooLarge(MasteryError):
    """The call is larger than the engine accepts."""

    code = "PAYLOAD_TOO_LARGE"


class RateLimited(MasteryError):
    """The caller has used up its calls; ``retry_after`` is in seconds."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Busy(MasteryError):
    """Too much is under way at once; ``retry_after`` is in seconds."""

    code = "SERVICE_UNAVAILABLE"
    retry_after = 1


class Unavailable(MasteryError):
    """A dependency does not answer. What was acknowledged is safe; the rest may be sent again."""

    code = "SERVICE_UNAVAILABLE"
    retry_after = 2


class NewerFormat(Unavailable):
    """A newer engine wrote a document, of which this one would lose what it does not know."""


class FellBack(Unavailable):
    """The store holds less than it did (a fail-over, a restored snapshot); the log has the rest."""


class StartRefused(MasteryError):
    """The service does not start until what the message names was corrected."""


class Flooded(StartRefused):
    """Too many of a partition's latest records could not be read; a restart alone does not change that."""

    def __init__(self, message: str, *, partition: int) -> None:
        super().__init__(message)
        self.partition = partition
