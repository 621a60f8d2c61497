"""What an operator sees of the retention, of erasures, and of what waits to be sent."""

import msgspec


class PurgeReport(msgspec.Struct, frozen=True):
    """A purge that ended: when it began and ended, and what it changed or removed, of all schools together.

    ``removed`` counts records by the part of the stores and logs in which they were.
    """

    began: str
    ended: str
    documents: int
    removed: dict[str, int]

    @property
    def records(self) -> int:
        return sum(self.removed.values())


class OutstandingErasure(msgspec.Struct, frozen=True):
    """An erasure that was asked for and has not ended; ``student`` is a keyed hash, which names nobody."""

    asked: str
    student: str


class RetentionState(msgspec.Struct, frozen=True):
    """How long evidence counts, what the purges did, and the erasures of a school.

    ``unended`` is when a purge began that has not ended. ``next_day`` is the day (UTC) that begins with the next one,
    which removes what is from before ``next_before``. ``stays_until`` is when what erased students left in topics
    that cannot be changed will have aged out.
    """

    retention_days: int
    last: PurgeReport | None
    unended: str | None
    next_day: str
    next_before: str
    asked: int
    done: int
    outstanding: list[OutstandingErasure]
    stays_until: str | None


class SinkBacklog(msgspec.Struct, frozen=True):
    """How many messages to a receiver wait or were given up; at most ``MOST_COUNTED`` of each are counted."""

    waiting: int
    failed: int

    def plus(self, other: "SinkBacklog") -> "SinkBacklog":
        return SinkBacklog(self.waiting + other.waiting, self.failed + other.failed)


class DeliveryBacklog(msgspec.Struct, frozen=True):
    """What waits for each webhook by its id, and for the gradebooks of so many classes."""

    webhooks: dict[str, SinkBacklog]
    classes: int
    gradebooks: SinkBacklog
