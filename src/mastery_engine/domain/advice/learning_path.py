"""The learning path: the skills on the shortest way to a goal, each after its prerequisites, and a timetable."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.moments import Day
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import FORGOTTEN, KNOWN, MASTERED, Outlook, SkillEstimate

Goal: TypeAlias = Literal["improve_mastery", "master_topic", "prepare_assessment"]

SHORTEST_STEP = 5
USUAL_MINUTES, FEWEST_MINUTES, MOST_MINUTES = 30, 15, 120
RHYTHM_DAYS = 28
SCHOOL_DAYS = frozenset(range(5))
QUICKER, SLOWER = 0.7, 1.6
LAST_DAY = 3 * 365
UNLEARNED = 0.30  # the probability of a right answer up to which a skill takes all of its minutes


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One skill on the path. ``now`` is how much of it counts as learned before the step, in [0, 1].

    ``forgotten`` is how much of it was lost, ``rested`` whether it was known before and not practised for weeks;
    ``leads_to`` is a later skill of the path that builds on it.
    """

    skill: str
    minutes: int
    now: float
    forgotten: float
    leads_to: str = ""
    rested: bool = False

    @property
    def is_review(self) -> bool:
        """Whether the skill was known before, and is to be reviewed."""
        return self.rested or self.forgotten >= FORGOTTEN

    @property
    def reason(self) -> str:
        """Why. It names no figure: they move on while the path is held."""
        if self.forgotten >= FORGOTTEN:
            return "Known before, and partly forgotten: it is time for a review."
        if self.rested:
            return "Known before, and not practised for weeks: it is time for a review."
        why = "Not shown yet to be mastered."
        return f"{why} {self.leads_to} builds on it." if self.leads_to else why


class Rhythm(msgspec.Struct, frozen=True, gc=False):
    """The weekdays on which a student works (0 is Monday), and the minutes a day."""

    weekdays: frozenset[int]
    minutes: int


class Timetable(msgspec.Struct, frozen=True, gc=False):
    """Which skills to work on each day, and the day when all is done: at the earliest, expected, at the latest."""

    days: tuple[tuple[Day, tuple[str, ...]], ...]
    earliest: Day
    expected: Day
    latest: Day


def learning_path(
    view: Outlook, rules: Rules, goal: Goal = "improve_mastery", topic: str | None = None, *, most: int | None = None
) -> tuple[Step, ...]:
    """The steps to a goal, at most the first ``most``, in an order that respects prerequisites; none if it is reached.

    ``master_topic``: every skill of ``topic`` and its prerequisites. ``prepare_assessment``: the skills (of ``topic``,
    if given) that were begun and are not mastered, or need a review. ``improve_mastery``: the skills that bring the
    mean probability over the course to the next level's bound in the fewest minutes.
    """
    curriculum = view.curriculum
    wanted = curriculum.skills.keys() if topic is None else curriculum.skills_of(topic)
    if goal == "improve_mastery":
        chosen = _cheapest(view, rules)
    else:
        targets = [name for name in wanted if _is_open(name, view)]
        if goal == "prepare_assessment":
            targets = [name for name in targets if name in view.estimates] or targets[:1]
        chosen = 0
        for name in targets:
            chosen |= curriculum.bits[name] | curriculum.below[name] & ~view.known
    return _steps(chosen, view, most)


def _is_open(name: str, view: Outlook) -> bool:
    estimate = view.estimates.get(name)
    if estimate is None:
        return not view.knows(name)
    return not estimate.is_settled or estimate.needs_review


def _cheapest(view: Outlook, rules: Rules) -> int:
    """The bits of the skills with the most gain per minute, after their prerequisites, until the next level's bound.

    The mean is over what was learned: a skill counts by its probability once there is enough evidence, as known if
    skills that are known rest on it, and else as not learned, however likely a right answer is.
    """
    curriculum, known = view.curriculum, view.known
    rows, opens = curriculum.rows, curriculum.opens
    chances, begun = _chances(view), known | view.seen
    ready = [
        (_worth_unlearned(minutes), place)
        for place, (_, bit, needed, minutes) in enumerate(rows)
        if known & needed == needed and not begun & bit
    ]
    total = UNLEARNED * (len(rows) - len(chances))
    for place, now in chances.items():
        total += now
        if now < MASTERED:
            _, _, needed, minutes = rows[place]
            if known & needed == needed:
                ready.append((_worth(now, minutes), place))
    size = len(rows) or 1
    goal = next((level.from_score for level in rules.levels if level.from_score > total / size + 1e-9), 1.0) * size
    heapify(ready)
    chosen, reached = 0, known
    while ready and total < goal:
        place = heappop(ready)[1]
        bit = rows[place][1]
        chosen |= bit
        total += MASTERED - chances.get(place, UNLEARNED)
        if reached & bit:
            continue
        reached |= bit
        for later in opens[place]:
            _, _, needed, minutes = rows[later]
            if reached & needed == needed:
                if later not in chances:
                    heappush(ready, (_worth_unlearned(minutes), later))
                elif chances[later] < MASTERED:
                    heappush(ready, (_worth(chances[later], minutes), later))
    return chosen


def _chances(view: Outlook) -> dict[int, float]:
    """By place how much is learned of skills with evidence, and of those that count as known: ``KNOWN`` at least."""
    bits, known, seen = view.curriculum.bits, view.known, view.seen
    found = {}
    for name, one in view.estimates.items():
        bit = bits.get(name)
        if bit is not None:
            learned = _learned(one)
            found[bit.bit_length() - 1] = KNOWN if learned < KNOWN and known & bit else learned
    unseen = known & ~seen
    while unseen:
        bit = unseen & -unseen
        unseen ^= bit
        found[bit.bit_length() - 1] = KNOWN
    return found


def _learned(estimate: SkillEstimate) -> float:
    """How much of a skill counts as learned, from the probability of someone who has not learned it to 1."""
    return estimate.probability if estimate.is_enough or estimate.is_settled else UNLEARNED


def _worth(now: float, whole: int) -> float:
    """The gain per minute, negated, so that a heap gives the best first."""
    return (now - MASTERED) / _minutes(now, whole)


def _worth_unlearned(whole: int) -> float:
    """As ``_worth`` of a skill that takes all of its minutes."""
    return (UNLEARNED - MASTERED) / (max(SHORTEST_STEP, whole))


def _minutes(now: float, whole: int) -> int:
    """The minutes left of a skill's ``whole`` minutes, which are from not learned to mastered."""
    if now >= MASTERED:
        return SHORTEST_STEP
    minutes = whole if now <= UNLEARNED else round(whole * ((MASTERED - now) / (MASTERED - UNLEARNED)))
    return max(SHORTEST_STEP, minutes)


def _steps(chosen: int, view: Outlook, most: int | None) -> tuple[Step, ...]:
    """The steps for the skills whose bits are ``chosen``: the first ``most``, or all."""
    steps: list[Step] = []
    curriculum, estimates = view.curriculum, view.estimates
    bits, after = curriculum.bits, curriculum.after
    for name, bit, _, minutes in curriculum.rows:
        if not chosen & bit:
            continue
        if len(steps) == most:
            break
        leads_to = ""
        for later in after[name]:
            if chosen & bits[later]:
                leads_to = later
                break
        one = estimates.get(name)
        if one is None:
            steps.append(Step(name, _minutes(UNLEARNED, minutes), UNLEARNED, 0.0, leads_to))
        else:
            now, whole = _learned(one), minutes // 2 if one.forgotten >= FORGOTTEN else minutes
            steps.append(Step(name, _minutes(now, whole), now, one.forgotten, leads_to, one.is_rested))
    return tuple(steps)


def rhythm(activity: ActiveDays, minutes_a_day: float | None, today: Day) -> Rhythm:
    """The weekdays with at least half as much work as the busiest, in the last four weeks; else Monday to Friday."""
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
    """A timetable for the steps in the student's own rhythm, from today on.

    The earliest end is with work on every day and 0.7 of the minutes, the latest with the usual days and 1.6 of them.
    """
    work = [(step.skill, step.minutes) for step in steps]
    days = _days(work, rhythm.weekdays, rhythm.minutes, today)
    quick = _days([(name, minutes * QUICKER) for name, minutes in work], frozenset(range(7)), rhythm.minutes, today)
    slow = _days([(name, minutes * SLOWER) for name, minutes in work], rhythm.weekdays, rhythm.minutes, today)
    earliest, expected, latest = (plan[-1][0] if plan else today for plan in (quick, days, slow))
    return Timetable(tuple(days), earliest, expected, latest)


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
                day = next(later for later in range(day + 1, day + 8) if weekday(later) in weekdays)
                left, names = float(minutes), []
            spent = min(left, wanted)
            wanted, left = wanted - spent, left - spent
            names.append(skill)
    if names:
        days.append((day, tuple(names)))
    return days
