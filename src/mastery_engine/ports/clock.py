"""The one thing that tells the time; the wiring gives the system's, tests tick their own."""

from typing import Protocol

from mastery_engine.domain.moments import Micros


class Clock(Protocol):
    """Says what time it is: microseconds since 1970 UTC."""

    def __call__(self) -> Micros: ...
