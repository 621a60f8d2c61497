"""The clock and new ids as protocols: the wiring gives the system's, tests give their own."""

from typing import Protocol

from mastery_engine.domain.moments import Micros


class Clock(Protocol):
    """Gives the current time in microseconds since 1970 UTC."""

    def __call__(self) -> Micros: ...


class NewId(Protocol):
    """Makes a unique id."""

    def __call__(self) -> str: ...
