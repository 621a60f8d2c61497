"""The system's clocks: the one place that reads them, and a light one, for commands that need no engine."""

from time import monotonic_ns, time_ns

from mastery_engine.domain.moments import Micros


def system_clock() -> Micros:
    return time_ns() // 1_000


def steady_clock() -> Micros:
    """Microseconds since the machine started, for the age of cached values; not a time of day."""
    return monotonic_ns() // 1_000
