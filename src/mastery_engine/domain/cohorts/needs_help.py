"""Who needs help, and why: the one rule that every list of students goes by.

There are five signs, and each has a threshold. The strength of a sign is the part of it that lies beyond the threshold:
1 − threshold / found, so 0 for who just meets it. Severity joins the signs as causes that act apart (the noisy-or of
Pearl 1988): it is the probability that one of them at least is right, where a sign is right with probability 1/4 at its
threshold and with up to 1/2 the stronger it is. So more signs are graver, none decides alone, and none has a weight of
its own. Severity orders the list; people decide.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from statistics import median
from typing import TypeAlias

import msgspec

from mastery_engine.domain.advice.struggle import Trigger, open_spells
from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.evidence.shown import shown_points, shown_score
from mastery_engine.domain.forecast.forecast import Forecast
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import COMPONENTS, PASS_MARK, Component, Rules
from mastery_engine.domain.student import Student

EVEN = 0.5  # the probability from which on an end is more likely than not
FELL = 0.05
FALL_DAYS = 14
AWAY_DAYS = 7
USUAL_GAPS = 3
GAP_DAYS, LEAST_ACTIVE_DAYS = 60, 5
DOUBTFUL, LIKELY = 0.25, 0.50


class StuckTopic(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A topic with an open spell of struggle: what shows it, the day of its first sign, and what raised it.

    ``trigger`` is empty in what an older engine cached.
    """

    topic: str
    evidence: str
    since: Day
    trigger: Trigger = ""


class StruggleSign(msgspec.Struct, frozen=True, array_like=True, tag="struggle", gc=False):
    """The topics on which a student is stuck, at least one, the newest first."""

    topics: tuple[StuckTopic, ...]

    @property
    def strength(self) -> float:
        return beyond(1, len(self.topics))


class ForecastSign(msgspec.Struct, frozen=True, array_like=True, tag="forecast", gc=False):
    """The forecast says that a student needs intervention.

    ``probability`` is that of a score below ``bound`` on ``day``, where ``predicted`` is most likely, in ``level``.
    ``bound`` is the pass mark, or where the student's level begins.
    """

    day: Day
    predicted: float
    level: str
    bound: float
    probability: float

    @property
    def strength(self) -> float:
        return beyond(EVEN, max(EVEN, self.probability))


class LowScoreSign(msgspec.Struct, frozen=True, array_like=True, tag="low_score", gc=False):
    """The score is below the pass mark.

    ``since`` is the first day from which on each known score was below it. Where no day's was, the score has aged below
    it after ``last``, the last day with a score (None: there is none).
    """

    score: float
    since: Day | None
    last: Day | None

    @property
    def strength(self) -> float:
        return 1.0 - self.score / PASS_MARK


class FallSign(msgspec.Struct, frozen=True, array_like=True, tag="falling", gc=False):
    """The score fell from ``before`` on the day ``since`` to ``now``.

    ``component`` is the one that took the most of it, by its weight; its values are ``part_before`` and ``part_now``.
    """

    since: Day
    before: float
    now: float
    component: Component
    part_before: float
    part_now: float

    @property
    def fall(self) -> float:
        """How far the score fell, as it is shown."""
        return round(self.before - self.now, 4)

    @property
    def strength(self) -> float:
        return beyond(FELL, self.fall)


class InactivitySign(msgspec.Struct, frozen=True, array_like=True, tag="inactive", gc=False):
    """There was no activity for so many ``days``, since the day ``last``; up to ``allowed`` days none is no sign.

    ``usual_gap`` is the student's own, in days; None where too few active days are known.
    """

    days: int
    last: Day
    allowed: float
    usual_gap: float | None

    @property
    def strength(self) -> float:
        return beyond(self.allowed, self.days)


Sign: TypeAlias = StruggleSign | ForecastSign | LowScoreSign | FallSign | InactivitySign


def beyond(threshold: float, found: float) -> float:
    """The part of what was found that lies beyond a threshold, in [0, 1); ``found`` is not below it."""
    return 1.0 - threshold / found


def severity(signs: Sequence[Sign]) -> float:
    """How much a student needs help, in [0, 1), with 4 decimals; 0 without a sign, and more with each further one."""
    wrong = (1.0 - (DOUBTFUL + (LIKELY - DOUBTFUL) * sign.strength) for sign in signs)
    return round(1.0 - prod(wrong), 4)


def signs_of(
    student: Student, mastery: MasteryScore, at: Micros, rules: Rules, ahead: Forecast | None
) -> tuple[Sign, ...]:
    """The signs that a student needs help at a moment; ``mastery`` is the score then, ``ahead`` the week's forecast."""
    today = rules.day_of(at)
    score = shown_score(mastery.score, rules)
    found = (
        _struggle(student, today, rules),
        _forecast(ahead, mastery, rules),
        _low_score(student, score, today, rules),
        _fall(student, mastery, score, today, rules),
        _inactivity(student.evidence.activity, today, rules),
    )
    return tuple([sign for sign in found if sign is not None])


def _struggle(student: Student, today: Day, rules: Rules) -> StruggleSign | None:
    spells = student.guidance.spells
    topics = [
        StuckTopic(topic, spell.evidence, rules.day_of(spell.since), spell.trigger)
        for topic, spell in open_spells(spells, rules.start_of(rules.first_day(today)))
    ]
    return StruggleSign(tuple(topics)) if topics else None


def _forecast(ahead: Forecast | None, mastery: MasteryScore, rules: Rules) -> ForecastSign | None:
    if ahead is None or not ahead.intervention_needed:
        return None
    last = ahead.days[-1]
    is_low = round(last.score, 9) < PASS_MARK
    bound = PASS_MARK if is_low else rules.levels[mastery.rank].from_score
    level = rules.levels[rules.level_index(last.score)].name
    return ForecastSign(last.day, shown_score(last.score, rules), level, bound, round(last.below(bound), 4))


def _low_score(student: Student, score: float, today: Day, rules: Rules) -> LowScoreSign | None:
    if score >= PASS_MARK:
        return None
    since = last = None
    for point in reversed(shown_points(student.history, rules, first=rules.first_day(today), last=today)):
        last = last or point.day
        if point.score >= PASS_MARK:
            break
        since = point.day
    return LowScoreSign(score, since, last)


def _fall(student: Student, mastery: MasteryScore, score: float, today: Day, rules: Rules) -> FallSign | None:
    first = max(today - FALL_DAYS, rules.first_day(today))
    points = shown_points(student.history, rules, first=first, last=today)
    if not points or round(points[0].score - score, 4) < FELL:
        return None
    then = points[0]
    values = [
        (name, before or 0.0, now or 0.0)
        for name, before, now in zip(COMPONENTS, then.components, mastery.components, strict=True)
    ]
    lost = [weight * (before - now) for weight, (_, before, now) in zip(rules.component_weights, values, strict=True)]
    name, before, now = values[lost.index(max(lost))]
    return FallSign(then.day, then.score, score, name, round(before, 4), round(now, 4))


def _inactivity(activity: ActiveDays, today: Day, rules: Rules) -> InactivitySign | None:
    active = activity.up_to(today) & (1 << rules.retention_days) - 1
    if not active:
        return None
    days = (active & -active).bit_length() - 1
    gap = usual_gap(active)
    allowed = max(AWAY_DAYS, USUAL_GAPS * (gap or 0.0))
    return InactivitySign(days, today - days, allowed, gap) if days >= allowed else None


def usual_gap(active: int) -> float | None:
    """The median of the days between the active days of the last 60; None with fewer than five of them.

    Bit k of ``active`` stands for the day k days ago.
    """
    recent = [back for back in range(GAP_DAYS) if active >> back & 1]
    if len(recent) < LEAST_ACTIVE_DAYS:
        return None
    return float(median([older - newer for newer, older in pairwise(recent)]))
