"""What each part should reach, in one place: docs/benchmarks.md shows the same, by a test."""

import msgspec


class Goal(msgspec.Struct, frozen=True):
    """A bound of a median, in the unit of its line."""

    bound: float
    is_least: bool

    @property
    def words(self) -> str:
        return f"{'at least' if self.is_least else 'at most'} {self.bound:,g}"

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.is_least else value <= self.bound

    def times_off(self, value: float) -> float:
        """By which factor it misses: above 1 where it does."""
        ours, theirs = (self.bound, value) if self.is_least else (value, self.bound)
        return ours / theirs if theirs else 1.0 if ours == 0 else float("inf")


def at_most(bound: float) -> Goal:
    return Goal(bound, is_least=False)


def at_least(bound: float) -> Goal:
    return Goal(bound, is_least=True)


GOALS: dict[str, dict[str, Goal]] = {
    "fold": {"event": at_most(18), "answer": at_most(40)},
    "steps": {
        "event": at_most(85),
        "first of a day": at_most(170),
        "first of a day, busy": at_most(110),
        "query to floor": at_least(0.65),
    },
    "embedded": {"events": at_least(40_000), "to floor": at_least(0.15)},
    "http": {"query to floor": at_least(0.65), "calculation to floor": at_least(0.65), "p99": at_most(5)},
    "batch": {"to singles": at_most(0.05), "a second": at_least(100)},
    "lag": {"p95": at_most(50)},
    "xapi": {"statements": at_least(3_000), "to Ralph": at_least(1)},
    "forecasts": {"to no cohort": at_most(1.1)},
    "next": {"service": at_most(2)},
    "watch": {"busy": at_most(0.5), "seen": at_most(2)},
    "pages": {"time": at_most(150), "size": at_most(100)},
    "attacks": {"p99": at_most(100), "failed": at_most(0), "memory": at_most(50)},
    "scale": {"bytes": at_most(3_072), "many to few": at_most(1.2)},
    "tokens": {"each": at_least(95), "middle": at_least(99)},
    "commands": {"help": at_most(0.35), "token": at_most(0.7)},
    "stream": {"events": at_least(10_000), "to floor": at_least(0.7), "to Quix": at_least(1.5)},
    "peers": {"to pyBKT": at_least(1)},
    "class": {"event": at_most(85), "to floor": at_least(0.5)},
    "soak": {
        "lost": at_most(0),
        "worked": at_least(0.99),
        "lag": at_most(0.5),
        "query": at_most(50),
        "memory": at_most(1.1),
    },
}
