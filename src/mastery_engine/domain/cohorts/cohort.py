"""A cohort: its members, the days on which work is due, and the place of a value among those of the members.

Membership comes from events (``metadata.cohort_id``) and from admins, who have the last word: a student whom an admin
took out stays out, whatever events say, until an admin puts them in again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.moments import NEVER, Day, Micros

MOST_MEMBERS = 10_000
COHORTS_KEPT = 8


class Due(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A day on which work is due; ``minutes`` is the amount of work."""

    day: Day
    topic: str | None = None
    kind: str | None = None
    minutes: int | None = None


class Teacher(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A teacher, by the id of their profile; ``known_as`` (sorted) is what the ``sub`` of a token may call them."""

    student_id: str
    known_as: tuple[str, ...]


class Cohort(msgspec.Struct, frozen=True, array_like=True):
    """What admins set of a cohort: the students put in and taken out (both sorted), and its calendar by day.

    ``teachers`` (sorted) are those of a roster. ``course_id`` is None where nobody has said it.
    """

    name: str = ""
    put: tuple[str, ...] = ()
    out: tuple[str, ...] = ()
    calendar: tuple[Due, ...] = ()
    teachers: tuple[Teacher, ...] = ()
    course_id: str | None = None

    @property
    def taught_by(self) -> frozenset[str]:
        """What the ``sub`` of a token may say for its bearer to teach this cohort."""
        return frozenset(name for teacher in self.teachers for name in teacher.known_as)

    def members(self, joined: Iterable[str]) -> frozenset[str]:
        """The members, given the students ``joined`` by events: ``MOST_MEMBERS`` at most, first those put in."""
        members = frozenset(self.put).union(joined).difference(self.out)
        if len(members) <= MOST_MEMBERS:
            return members
        put = members.intersection(self.put)
        return put.union(sorted(members.difference(put))[: MOST_MEMBERS - len(put)])

    def with_members(
        self, name: str, members: Iterable[str], calendar: Iterable[Due] | None, joined: Iterable[str]
    ) -> "Cohort":
        """The cohort after an admin has set all its members; without a ``calendar`` the old one stays."""
        wanted = frozenset(members)
        out = self.members(joined).union(self.out).difference(wanted)
        dues = self.calendar if calendar is None else tuple(sorted(calendar, key=_by_day))
        put = tuple(sorted(wanted))
        return msgspec.structs.replace(self, name=name, put=put, out=tuple(sorted(out)), calendar=dues)

    def with_teacher(self, student_id: str, *, added: Collection[str], dropped: Collection[str]) -> "Cohort":
        """The cohort with a teacher of it known by other names too, and not by some any more."""

        def named(teacher: Teacher) -> Teacher:
            if teacher.student_id != student_id:
                return teacher
            kept = {name for name in teacher.known_as if name == student_id or name not in dropped}
            return Teacher(student_id, tuple(sorted(kept.union(added))))

        return msgspec.structs.replace(self, teachers=tuple(map(named, self.teachers)))

    def without(self, student_id: str) -> "Cohort":
        """The cohort with this person neither put in nor taken out, nor a teacher of it."""
        return msgspec.structs.replace(
            self,
            put=tuple(name for name in self.put if name != student_id),
            out=tuple(name for name in self.out if name != student_id),
            teachers=tuple(teacher for teacher in self.teachers if teacher.student_id != student_id),
        )

    def with_linked(self, derived: str, student_id: str, joined: Iterable[str]) -> "Cohort":
        """The cohort with a student in the place of a derived id that was linked to them.

        Whoever was taken out under the derived id stays out, unless the student is in by their own id.
        """
        put, out = frozenset(self.put), frozenset(self.out)
        if derived in put:
            put, out = put - {derived} | {student_id}, out - {student_id}
        if derived in out:
            is_in = student_id in put or student_id in joined
            out = out - {derived} | (frozenset() if is_in else {student_id})
        known_as: dict[str, frozenset[str]] = {}
        for teacher in self.teachers:
            name = student_id if teacher.student_id == derived else teacher.student_id
            known_as[name] = known_as.get(name, frozenset()).union(teacher.known_as)
        teachers = tuple(Teacher(name, tuple(sorted(names))) for name, names in sorted(known_as.items()))
        return msgspec.structs.replace(self, put=tuple(sorted(put)), out=tuple(sorted(out)), teachers=teachers)


class Naming(NamedTuple):
    """An event that named a cohort, by its receipt and its course; of several the least, which is the first, counts."""

    received: Micros
    course_id: str


BEFORE_COURSES = Naming(NEVER, DEFAULT_COURSE)  # of events that an engine without courses took


def course_of_cohort(cohort: Cohort, first: Naming | None) -> str:
    """The course that a cohort belongs to: as an admin said, else that of the first event that named it."""
    if cohort.course_id is not None:
        return cohort.course_id
    return DEFAULT_COURSE if first is None else first.course_id


def _by_day(due: Due) -> tuple[Day, str, str, int]:
    return (due.day, due.topic or "", due.kind or "", due.minutes or 0)


NO_COHORT = Cohort()


def enrolled(cohorts: tuple[str, ...], event: LearningEvent) -> tuple[str, ...]:
    """The cohorts that a student's events name, with this event's: the newest ``COHORTS_KEPT``, oldest first."""
    cohort_id = event.metadata.get("cohort_id")
    if cohort_id in cohorts or not isinstance(cohort_id, str):
        return cohorts
    return (*cohorts, cohort_id)[-COHORTS_KEPT:]


class Ranking(msgspec.Struct, frozen=True):
    """The place of a value among those of a cohort.

    ``percentile`` is 100 × (others below + half of equals) / others, None without others; ``rank`` is 1 + those above.
    """

    value: float
    average: float
    percentile: float | None
    rank: int
    size: int


def ranking(value: float, values: Sequence[float]) -> Ranking:
    """The place of a value among all values of a cohort, which include it."""
    rising = sorted(values)
    below, up_to = bisect_left(rising, value), bisect_right(rising, value)
    others, equals = len(rising) - 1, up_to - below - 1
    percentile = 100 * (below + equals / 2) / others if others else None
    return Ranking(value, sum(rising) / len(rising), percentile, 1 + len(rising) - up_to, len(rising))


def size_range(size: int) -> tuple[int, int]:
    """The range that a size is in, of 1, 2 to 4, 5 to 9, 10 to 19, 20 to 49, and so on; the last is 5,000 to 10,000."""
    if size >= MOST_MEMBERS // 2:
        return MOST_MEMBERS // 2, MOST_MEMBERS
    power = 10 ** (len(str(size)) - 1)
    first = max(step * power for step in (1, 2, 5) if step * power <= size)
    return first, (2 * first if first != 2 * power else 5 * power) - 1
