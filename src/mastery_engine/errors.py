"""Every error that the engine raises on purpose.

    MasteryError
    ├── InvalidInput        the caller's input is wrong: says which field, and what to do
    │   └── RefusedEvent    well-formed, but may not count: too old, or timed in the future
    ├── Unauthenticated     no token, or not one of ours
    ├── Forbidden           the token is good, but not for this
    ├── NotFound            no such student, batch or dead letter (for those who may know)
    ├── Conflict            the state does not allow it
    ├── TooLarge            more than the engine takes in one call
    ├── RateLimited         more calls in a while than the caller has
    ├── Busy                more at once than the engine takes; come back later
    ├── Unavailable         a store, a log or a disk is away; nothing was lost
    │   └── FellBack        the store came back without its last writes: the log is to be read again from its mark
    └── StartRefused        the service cannot start like this: a setting, a data folder, a corrupt file
        └── Flooded         too much of the log cannot be read: the worker stands still until an operator has looked

A message says what to do. ``code`` is the word for it that goes out; HTTP's statuses stand in ``http/problems.py``.
"""


class MasteryError(Exception):
    """Base of all; ``message`` is for people, ``field`` names the input at fault, if there is one."""

    code = "INTERNAL_ERROR"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidInput(MasteryError):
    """The input is malformed, out of range or contradicts itself."""

    code = "VALIDATION_ERROR"


class RefusedEvent(InvalidInput):
    """The event is well-formed, but its times do not let it count."""


class Unauthenticated(MasteryError):
    """There is no valid token."""

    code = "AUTH_ERROR"


class Forbidden(MasteryError):
    """The caller may not do this, or may not see whom it is about."""

    code = "FORBIDDEN"


class NotFound(MasteryError):
    """There is no such thing, for this caller."""

    code = "NOT_FOUND"


class Conflict(MasteryError):
    """The state of what is asked for does not allow it."""

    code = "CONFLICT"


class TooLarge(MasteryError):
    """The call carries more than the engine takes at once."""

    code = "PAYLOAD_TOO_LARGE"


class RateLimited(MasteryError):
    """The caller has used up its calls for a while; ``retry_after`` is in seconds."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Busy(MasteryError):
    """Too much is under way; ``retry_after`` is in seconds."""

    code = "SERVICE_UNAVAILABLE"
    retry_after = 1


class Unavailable(MasteryError):
    """A dependency is away. What was acknowledged is safe; what was not may be sent again."""

    code = "SERVICE_UNAVAILABLE"
    retry_after = 2


class FellBack(Unavailable):
    """The store holds less than it did (a fail-over, a restored snapshot); the log has the rest."""


class StartRefused(MasteryError):
    """The service will not start until somebody mends what the message names."""


class Flooded(StartRefused):
    """Most of what a partition brought lately could not be read; a restart alone does not change that."""

    def __init__(self, message: str, *, partition: int) -> None:
        super().__init__(message)
        self.partition = partition
