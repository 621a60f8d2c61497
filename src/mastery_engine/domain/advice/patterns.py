"""Patterns: what a tutor would notice in a student's history, each with its evidence. None without enough of it.

The thresholds are rules of thumb, written where they are used; a pattern invites a look, and people decide.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.advice.habits import Work, work
from mastery_engine.domain.advice.learning_path import weekday
from mastery_engine.domain.evidence.decayed_sums import DecayedSums
from mastery_engine.domain.evidence.history import Point, trend
from mastery_engine.domain.moments import Day
from mastery_engine.domain.rules import COMPONENTS, Rules
from mastery_engine.domain.student import Student

PatternKind: TypeAlias = Literal[
    "rhythm",
    "plateau",
    "surge",
    "decline",
    "cramming",
    "forgetting_after_pauses",
    "rushing",
    "leaning_on_hints",
    "dragging_component",
]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WINDOW_HOURS, WINDOW_SHARE = 4, 0.6
LEAST_PIECES, LEAST_DAYS = 20, 5
USUAL_DAYS, USUAL_SHARE, USUAL_LEAST = 3, 0.8, 8
FLAT, FLAT_POINTS, FLAT_DAYS, TOP = 0.02, 6, 10, 0.90
SURGE, SURGE_DAYS, BEHIND_DAYS = 0.12, 10, 14
DECLINE, DECLINE_DAYS = 0.08, 14
QUIZZES, CRAMMED, NEAR_AT_MOST = 3, 0.7, 0.4
PAUSE_DAYS, PAUSES, LOST = 6, 2, 0.15
TIMED, HURRIED, HURRY_SHARE, HURRY_COSTS = 20, 10, 0.3, 0.2
TOLD, HELPED = 10, 0.5
DRAGS, DRAG_COMPONENTS = 0.2, 3


class Pattern(msgspec.Struct, frozen=True, gc=False):
    """One pattern: how strong in [0, 1], since which day, and on what evidence."""

    kind: PatternKind
    strength: float
    since: Day
    evidence: str


class Sight(msgspec.Struct, frozen=True, gc=False):
    """What patterns are looked for in."""

    points: list[Point]
    work: Work
    quiz: DecayedSums
    active: int
    today: Day


def patterns(student: Student, today: Day, rules: Rules) -> list[Pattern]:
    """The patterns of a day, the strongest first."""
    floor = today - rules.retention_days + 1
    sight = Sight(
        list(student.history.points(first=floor, last=today)),
        work(student.guidance.habits, floor),
        student.evidence.quiz.since(floor),
        student.evidence.activity.since(floor).up_to(today),
        today,
    )
    found = [one for look in LOOKS for one in [look(sight)] if one is not None]
    return sorted(found, key=lambda one: (-one.strength, one.kind))


def _rhythm(sight: Sight) -> Pattern | None:
    """60% of the work within four hours of the day; or 80% of the days of work on three weekdays at most."""
    hours, days = sight.work.hours, sight.work.days
    pieces = sum(hours)
    if pieces < LEAST_PIECES or len(days) < LEAST_DAYS:
        return None
    in_window = [sum(hours[(first + k) % 24] for k in range(WINDOW_HOURS)) for first in range(24)]
    most = max(in_window)
    told, strength = [], 0.0
    if most >= WINDOW_SHARE * pieces:
        first = in_window.index(most)
        told.append(f"{most} of {pieces} pieces of work between {first:02}:00 and {(first + 4) % 24:02}:00 UTC")
        strength = most / pieces
    counts = [sum(weekday(day) == one for day in days) for one in range(7)]
    usual = sorted(sorted(range(7), key=lambda one: (-counts[one], one))[:USUAL_DAYS])
    on_usual = sum(counts[one] for one in usual)
    if len(days) >= USUAL_LEAST and on_usual >= USUAL_SHARE * len(days):
        names = ", ".join(WEEKDAYS[one] for one in usual if counts[one])
        told.append(f"{on_usual} of {len(days)} days of work are {names}")
        strength = max(strength, on_usual / len(days))
    return Pattern("rhythm", strength, min(days), "; ".join(told)) if told else None


def _plateau(sight: Sight) -> Pattern | None:
    """The newest points of 10 days or more within 0.02, by somebody who goes on working and is not at the top."""
    points = sight.points
    if not points or points[-1].score >= TOP or sight.today - points[-1].day > FLAT_DAYS // 2:
        return None
    low = high = points[-1].score
    run = 0
    for point in reversed(points):
        low, high = min(low, point.score), max(high, point.score)
        if high - low > FLAT + 1e-9:
            break
        run += 1
    flat = points[-run:]
    days = flat[-1].day - flat[0].day
    if len(flat) < FLAT_POINTS or days < FLAT_DAYS:
        return None
    scores = [point.score for point in flat]
    evidence = f"{len(flat)} days of work in {days + 1} days, the score between {min(scores):.2f} and {max(scores):.2f}"
    return Pattern("plateau", min(1.0, days / 28), flat[0].day, evidence)


def _surge(sight: Sight) -> Pattern | None:
    """A rise of 0.12 within 10 days, by somebody who has been here for two weeks before."""
    recent = [point for point in sight.points if point.day > sight.today - SURGE_DAYS]
    if len(recent) < 3 or sight.points[0].day > recent[0].day - BEHIND_DAYS:
        return None
    lowest = min(recent, key=lambda point: point.score)
    rise = recent[-1].score - lowest.score
    if rise < SURGE:
        return None
    evidence = f"from {lowest.score:.2f} to {recent[-1].score:.2f} in {recent[-1].day - lowest.day} days"
    return Pattern("surge", min(1.0, rise / 0.3), lowest.day, evidence)


def _decline(sight: Sight) -> Pattern | None:
    """A fall of 0.08 within 14 days, on a declining trend."""
    recent = [point for point in sight.points if point.day > sight.today - DECLINE_DAYS]
    scores = [(point.day, point.score) for point in sight.points]
    if len(recent) < 3 or trend(scores, sight.today) != "declining":
        return None
    highest = max(recent, key=lambda point: point.score)
    fall = highest.score - recent[-1].score
    if fall < DECLINE:
        return None
    evidence = f"from {highest.score:.2f} to {recent[-1].score:.2f} in {recent[-1].day - highest.day} days"
    return Pattern("decline", min(1.0, fall / 0.3), highest.day, evidence)


def _cramming(sight: Sight) -> Pattern | None:
    """70% of the work on the days of three or more quizzes and the days before, which are 40% of all days at most."""
    days, quizzes = sight.work.days, sight.work.quiz_days
    pieces = sum(days.values())
    if len(quizzes) < QUIZZES or pieces < LEAST_PIECES:
        return None
    near = {day for quiz in quizzes for day in (quiz - 1, quiz)}
    share = sum(count for day, count in days.items() if day in near) / pieces
    first, last = min(days), max(days)
    if share < CRAMMED or len(near) > NEAR_AT_MOST * (last - first + 1):
        return None
    evidence = f"{share:.0%} of the work on the days of {len(quizzes)} quizzes and the days before them"
    return Pattern("cramming", share, quizzes[0], evidence)


def _forgetting(sight: Sight) -> Pattern | None:
    """After two or more pauses of six days, answers that are worse by 0.15 in the mean."""
    lost: list[float] = []
    since: Day | None = None
    results = list(_daily(sight.quiz))
    for (day, before), (next_day, after) in pairwise(results):
        between = sight.active >> max(0, sight.today - next_day + 1) & (1 << max(0, next_day - day - 1)) - 1
        if next_day - day > PAUSE_DAYS and not between:
            lost.append(before - after)
            since = day if since is None else since
    if since is None or len(lost) < PAUSES or sum(lost) / len(lost) < LOST:
        return None
    mean = sum(lost) / len(lost)
    evidence = f"{len(lost)} pauses of {PAUSE_DAYS} days or more, after which results were lower by {mean:.2f}"
    return Pattern("forgetting_after_pauses", min(1.0, mean / 0.5), since, evidence)


def _daily(sums: DecayedSums) -> Iterator[tuple[Day, float]]:
    """Each day's mean result."""
    for place in range(len(sums.days) // 2):
        weight, score = (memoryview(column).cast("d")[place] for column in (sums.weights, sums.scores))
        yield int.from_bytes(sums.days[2 * place : 2 * place + 2], "big"), score / weight


def _rushing(sight: Sight) -> Pattern | None:
    """Three of ten questions answered in under 10 s, and wrong more often than others by 0.2."""
    asked = sight.work.asked
    if asked.timed < TIMED or asked.fast < HURRIED or asked.fast < HURRY_SHARE * asked.timed:
        return None
    slow = asked.timed - asked.fast
    hasty, calm = asked.fast_wrong / asked.fast, (asked.wrong - asked.fast_wrong) / slow if slow else 0.3
    if hasty - calm < HURRY_COSTS:
        return None
    others = f"{calm:.0%} of the other {slow}" if slow else "no slower ones to compare"
    evidence = f"{hasty:.0%} of {asked.fast} answers given in under 10 s are wrong, {others}"
    return Pattern("rushing", min(1.0, hasty - calm + 0.2), min(sight.work.days), evidence)


def _hints(sight: Sight) -> Pattern | None:
    """Half of ten or more answers came with hints."""
    asked = sight.work.asked
    if asked.told < TOLD or asked.helped < HELPED * asked.told:
        return None
    evidence = f"{asked.helped} of {asked.told} answers came with hints"
    return Pattern("leaning_on_hints", asked.helped / asked.told, min(sight.work.days), evidence)


def _drag(sight: Sight) -> Pattern | None:
    """One component 0.2 below the mean of the others, of which there are two at least."""
    found = [_lowest(point) for point in sight.points[-1:]]
    if not found or found[0] is None:
        return None
    place, value, others = found[0]
    since = sight.points[-1].day
    for point in reversed(sight.points):
        lowest = _lowest(point)
        if lowest is None or lowest[0] != place:
            break
        since = point.day
    evidence = f"{COMPONENTS[place]} is {value:.2f}, the others {others:.2f} in the mean"
    return Pattern("dragging_component", min(1.0, (others - value) / 0.6), since, evidence)


def _lowest(point: Point) -> tuple[int, float, float] | None:
    """The component that drags: its place, its value and the mean of the others."""
    there = [(value, place) for place, value in enumerate(point.components) if value is not None]
    if len(there) < DRAG_COMPONENTS:
        return None
    value, place = min(there)
    others = (sum(one for one, _ in there) - value) / (len(there) - 1)
    return (place, value, others) if others - value >= DRAGS else None


LOOKS: tuple[Callable[[Sight], Pattern | None], ...] = (
    _rhythm,
    _plateau,
    _surge,
    _decline,
    _cramming,
    _forgetting,
    _rushing,
    _hints,
    _drag,
)
