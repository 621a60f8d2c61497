"""The learning path: skills on the shortest way to a goal, each after its prerequisites, and when they will be done."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.moments import Day
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import FORGOTTEN, KNOWN, MASTERED, UNSEEN, Estimates, Outlook

Goal: TypeAlias = Literal["improve_mastery", "master_topic", "prepare_assessment"]

SHORTEST_STEP = 5
USUAL_MINUTES, FEWEST_MINUTES, MOST_MINUTES = 30, 15, 120
RHYTHM_DAYS = 28
SCHOOL_DAYS = frozenset(range(5))
QUICKER, SLOWER = 0.7, 1.6
LAST_DAY = 3 * 365


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One skill on the way; ``now`` is the probability of a right answer before it."""

    skill: str
    minutes: int
    now: float
    forgotten: float
    leads_to: str = ""
    rested: bool = False

    @property
    def reason(self) -> str:
        if self.forgotten >= FORGOTTEN:
            lost = f"{self.forgotten:.2f} of it is lost, the next answer is right with {self.now:.2f}."
            return f"Known before and fading: {lost}"
        if self.rested:
            return f"Known before, and not practised for weeks: the next answer on it is right with {self.now:.2f}."
        why = f"The next answer on it is right with {self.now:.2f}; {MASTERED:.2f} is the goal."
        return f"{why} {self.leads_to} builds on it." if self.leads_to else why


class Rhythm(msgspec.Struct, frozen=True, gc=False):
    """On which weekdays (0 is Monday) a student works, and for how many minutes."""

    weekdays: frozenset[int]
    minutes: int


class Timetable(msgspec.Struct, frozen=True, gc=False):
    """Which skills on which days, and when all is done: at the earliest, expected, at the latest."""

    days: tuple[tuple[Day, tuple[str, ...]], ...]
    earliest: Day
    expected: Day
    latest: Day


def learning_path(
    view: Outlook, rules: Rules, goal: Goal = "improve_mastery", topic: str | None = None, *, most: int | None = None
) -> tuple[Step, ...]:
    """The (first) steps to a goal in an order that respects prerequisites; none where it is reached.

    ``master_topic``: every skill of ``topic`` and what they rest on. ``prepare_assessment``: what was begun (of
    ``topic``, if given) and is not mastered or fades. ``improve_mastery``: what brings the mean probability over the
    course to the next level's bound in the least minutes.
    """
    estimates, curriculum = view.estimates, view.curriculum
    wanted = curriculum.skills.keys() if topic is None else curriculum.skills_of(topic)
    if goal == "improve_mastery":
        chosen = _cheapest(view, rules)
    else:
        targets = [name for name in wanted if _is_open(name, view)]
        if goal == "prepare_assessment":
            targets = [name for name in targets if name in estimates] or targets[:1]
        chosen = 0
        for name in targets:
            chosen |= curriculum.bits[name] | curriculum.below[name] & ~view.known
    return _steps(chosen, estimates, curriculum, most)


def _is_open(name: str, view: Outlook) -> bool:
    one = view.estimates.get(name)
    if one is None:
        return not view.knows(name)
    return one.probability < MASTERED or one.fading


def _cheapest(view: Outlook, rules: Rules) -> int:
    """Skills by gain for a minute, as their prerequisites allow, until the mean reaches the next level's bound."""
    estimates, known, seen, rows = view.estimates, view.known, view.seen, view.curriculum.rows
    total, chances = 0.0, []
    ready: list[tuple[float, int]] = []
    waiting = 0
    for place, (name, bit, needed, minutes) in enumerate(rows):
        now = estimates[name].probability if seen & bit else KNOWN if known & bit else UNSEEN
        total += now
        chances.append(now)
        if now < MASTERED:
            if known & needed == needed:
                ready.append((_worth(now, minutes), place))
            else:
                waiting |= bit
    size = max(1, len(rows))
    goal = next((level.from_score for level in rules.levels if level.from_score > total / size + 1e-9), 1.0) * size
    heapify(ready)
    chosen = 0
    while ready and total < goal:
        place = heappop(ready)[1]
        bit = rows[place][1]
        chosen |= bit
        total += MASTERED - chances[place]
        if known & bit:
            continue
        for later in view.curriculum.opens[place]:
            _, opened, needed, minutes = rows[later]
            if waiting & opened and (known | chosen) & needed == needed:
                waiting ^= opened
                heappush(ready, (_worth(chances[later], minutes), later))
    return chosen


def _worth(now: float, whole: int) -> float:
    """What a minute brings, negative, so that the best comes first."""
    return (now - MASTERED) / _minutes(now, whole)


def _minutes(now: float, whole: int) -> int:
    """What is left of a skill's minutes; they are for the way from never seen to mastered."""
    return max(SHORTEST_STEP, round(whole * max(0.0, MASTERED - now) / (MASTERED - UNSEEN)))


def _steps(chosen: int, estimates: Estimates, curriculum: Curriculum, most: int | None) -> tuple[Step, ...]:
    """The first ``most`` of the skills whose bits are ``chosen``; all of them for None."""
    steps: list[Step] = []
    bits = curriculum.bits
    for name, bit, _, minutes in curriculum.rows:
        if len(steps) == most:
            break
        if chosen & bit:
            one = estimates.get(name)
            now, forgotten, rested = (
                (UNSEEN, 0.0, False) if one is None else (one.probability, one.forgotten, one.rested)
            )
            whole = minutes // 2 if forgotten >= FORGOTTEN else minutes
            leads_to = next((later for later in curriculum.after[name] if chosen & bits[later]), "")
            steps.append(Step(name, _minutes(now, whole), now, forgotten, leads_to, rested))
    return tuple(steps)


def rhythm(activity: ActiveDays, minutes_a_day: float | None, today: Day) -> Rhythm:
    """The weekdays of the last four weeks with at least half of the work of the busiest; school days of a newcomer."""
    active = activity.up_to(today)
    counts = [0] * 7
    for back in range(RHYTHM_DAYS):
        counts[weekday(today - back)] += active >> back & 1
    most = max(counts)
    days = frozenset(day for day, count in enumerate(counts) if 2 * count >= most) if most else SCHOOL_DAYS
    minutes = USUAL_MINUTES if minutes_a_day is None else round(minutes_a_day)
    return Rhythm(days, min(max(minutes, FEWEST_MINUTES), MOST_MINUTES))


def weekday(day: Day) -> int:
    """0 is Monday; day 0 was a Thursday."""
    return (day + 3) % 7


def timetable(steps: Iterable[Step], rhythm: Rhythm, today: Day) -> Timetable:
    """Days for the steps in the student's own rhythm, from today on.

    Earliest: every day, in 0.7 of the minutes; latest: on the usual weekdays, in 1.6 of them.
    """
    work = [(step.skill, step.minutes) for step in steps]
    days = _days(work, rhythm.weekdays, rhythm.minutes, today)
    quick = _days([(name, minutes * QUICKER) for name, minutes in work], frozenset(range(7)), rhythm.minutes, today)
    slow = _days([(name, minutes * SLOWER) for name, minutes in work], rhythm.weekdays, rhythm.minutes, today)
    first, middle, last = (one[-1][0] if one else today for one in (quick, days, slow))
    return Timetable(tuple(days), first, middle, last)


def _days(
    work: list[tuple[str, float]] | list[tuple[str, int]], weekdays: frozenset[int], minutes: int, today: Day
) -> list[tuple[Day, tuple[str, ...]]]:
    days: list[tuple[Day, tuple[str, ...]]] = []
    names: list[str] = []
    day, left = today - 1, 0.0
    for skill, needed in work:
        wanted = float(needed)
        while wanted > 1e-9:
            if left <= 1e-9:
                if names:
                    days.append((day, tuple(names)))
                day = next(one for one in range(day + 1, day + 8) if weekday(one) in weekdays)
                left, names = float(minutes), []
            spent = min(left, wanted)
            wanted, left = wanted - spent, left - spent
            names.append(skill)
    if names:
        days.append((day, tuple(names)))
    return days
