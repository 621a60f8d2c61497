"""A cohort: who is in it by the events and by an admin's word, when work is due, and where each member stands in it.

Membership comes from events (``metadata.cohort_id``) and from admins. An admin's word stands: who was taken out stays
out, whatever events say, until an admin puts them in again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from math import floor
from typing import TypeAlias

import msgspec

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.evidence.history import Trend, trend
from mastery_engine.domain.evidence.score import mastery
from mastery_engine.domain.moments import Day, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import Student

LONGEST_COHORT_ID = 100
COHORTS_KEPT = 8
LOW_SCORE = 0.50
AWAY_DAYS = 7
LONGEST_AWAY = 30
SHARES = (0.5, 0.3, 0.2)

FourScores: TypeAlias = tuple[float, float, float, float]


class Due(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A day on which work is due; ``minutes`` is how much work."""

    day: Day
    topic: str | None = None
    kind: str | None = None
    minutes: int | None = None


class Cohort(msgspec.Struct, frozen=True, array_like=True):
    """An admin's word on a cohort: who was put in, who was taken out (both sorted), and its calendar, by day."""

    name: str = ""
    put: tuple[str, ...] = ()
    out: tuple[str, ...] = ()
    calendar: tuple[Due, ...] = ()

    def members(self, joined: Iterable[str]) -> frozenset[str]:
        """Who is in it, given those whom events name."""
        return frozenset(self.put).union(joined).difference(self.out)

    def told(
        self, name: str, members: Iterable[str], calendar: Iterable[Due] | None, joined: Iterable[str]
    ) -> "Cohort":
        """After an admin has said who is in it, all of them; a calendar that is not given stays."""
        wanted = frozenset(members)
        out = self.members(joined).union(self.out).difference(wanted)
        kept = self.calendar if calendar is None else tuple(sorted(calendar, key=_by_day))
        return Cohort(name, tuple(sorted(wanted)), tuple(sorted(out)), kept)

    def without(self, student_id: str) -> "Cohort":
        """With no word on this student."""
        return msgspec.structs.replace(
            self,
            put=tuple(one for one in self.put if one != student_id),
            out=tuple(one for one in self.out if one != student_id),
        )


def _by_day(due: Due) -> tuple[Day, str, str, int]:
    return (due.day, due.topic or "", due.kind or "", due.minutes or 0)


NO_COHORT = Cohort()


def enrolled(cohorts: tuple[str, ...], event: LearningEvent) -> tuple[str, ...]:
    """The cohorts that a student's events name, with this event's: the last ``COHORTS_KEPT``, the oldest first."""
    cohort_id = event.metadata.get("cohort_id")
    if cohort_id in cohorts or not isinstance(cohort_id, str):
        return cohorts
    return (*cohorts, cohort_id)[-COHORTS_KEPT:]


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What a cohort's figures need of one member on one day.

    ``score`` is rounded to 9 decimals, so that equals are equal; a component without evidence is 0.0. ``away`` counts
    the days since the last active one; None where there is none.
    """

    student_id: str
    score: float
    rank: int
    components: FourScores
    away: int | None
    trend: Trend


def standing(student_id: str, student: Student, at: Micros, rules: Rules) -> Standing | None:
    """Where a student stands; None where nothing is known of them."""
    if not student.is_known(at, rules):
        return None
    today = day_of(at)
    found = mastery(student.evidence, at, rules)
    completion, quiz, quality, consistency = (round(value or 0.0, 9) for value in found.components)
    scores = student.history.scores(first=today - rules.retention_days + 1, last=today)
    return Standing(
        student_id,
        round(found.score, 9),
        found.rank,
        (completion, quiz, quality, consistency),
        _away(student.evidence.activity, today),
        trend(scores, today),
    )


def _away(activity: ActiveDays, today: Day) -> int | None:
    active = activity.up_to(today)
    return (active & -active).bit_length() - 1 if active else None


class Place(msgspec.Struct, frozen=True):
    """A value among a cohort's: percentile = 100 × (others below + half of equals) / others, None without others;
    rank = 1 + those above.
    """

    value: float
    average: float
    percentile: float | None
    rank: int
    size: int


def place(value: float, values: Sequence[float]) -> Place:
    """The place of a value among all of a cohort's, its own included."""
    rising = sorted(values)
    below, up_to = bisect_left(rising, value), bisect_right(rising, value)
    others, equals = len(rising) - 1, up_to - below - 1
    percentile = 100 * (below + equals / 2) / others if others else None
    return Place(value, sum(rising) / len(rising), percentile, 1 + len(rising) - up_to, len(rising))


class Risk(msgspec.Struct, frozen=True):
    """How much a member needs help, in [0, 1], and why. The higher, the sooner somebody should look."""

    standing: Standing
    value: float
    reasons: tuple[tuple[str, str], ...]


def risk(one: Standing) -> Risk | None:
    """Whether a member needs help; None where nothing says so.

    Three signs, a share of the risk each: a score below 0.50 (0.5 of the risk at a score of 0), 7 days or more without
    activity (0.3 at 30 days), a declining trend (0.2). It is a rule of thumb, said in full so that people can judge it.
    """
    low, away, falling = SHARES
    value = 0.0
    reasons: list[tuple[str, str]] = []
    if one.score < LOW_SCORE:
        value += low * (1 - one.score / LOW_SCORE)
        shown = floor(one.score * 10_000) / 10_000  # 0.49996 is no 0.5
        reasons.append(("low_score", f"The score is {shown:.4g}, below {LOW_SCORE:.2f}."))
    if one.away is not None and one.away >= AWAY_DAYS:
        value += away * min(one.away, LONGEST_AWAY) / LONGEST_AWAY
        reasons.append(("inactive", f"There has been no activity for {one.away} days."))
    if one.trend == "declining":
        value += falling
        reasons.append(("declining", "The score has been falling over the last 14 days."))
    return Risk(one, round(value, 4), tuple(reasons)) if reasons else None
