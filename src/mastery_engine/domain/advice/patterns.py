"""Patterns that a tutor would notice in a student's history, each with its evidence, if there is enough of it.

The thresholds are rules of thumb, stated in each function; a pattern is a hint for people, who decide.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.advice.habits import Work, work
from mastery_engine.domain.advice.learning_path import weekday
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
    """One pattern: its strength in [0, 1], the day since when it holds, and the evidence in words."""

    kind: PatternKind
    strength: float
    since: Day
    evidence: str


class PatternFeatures(msgspec.Struct, frozen=True, gc=False):
    """What patterns are computed from.

    ``quizzes`` has the mean result of each day with one; ``active`` has bit k set for an active day ``today - k``;
    ``zone`` is the name of the time zone whose hours are told.
    """

    points: list[Point]
    work: Work
    quizzes: Sequence[tuple[Day, float]]
    active: int
    today: Day
    zone: str


def patterns(student: Student, today: Day, rules: Rules) -> list[Pattern]:
    """A student's patterns as of a day, the strongest first."""
    floor = today - rules.retention_days + 1
    features = PatternFeatures(
        list(student.history.points(first=floor, last=today)),
        work(student.guidance.habits, floor),
        [(day, mean) for day, _, mean in student.evidence.quiz.daily(floor)],
        student.evidence.activity.since(floor).up_to(today),
        today,
        rules.zone.name,
    )
    detected = [pattern for detect in DETECTORS if (pattern := detect(features)) is not None]
    return sorted(detected, key=lambda pattern: (-pattern.strength, pattern.kind))


def _rhythm(features: PatternFeatures) -> Pattern | None:
    """60% of the work falls within four hours of the day; or 80% of the days with work on at most three weekdays."""
    hours, days = features.work.hours, features.work.days
    pieces = sum(hours)
    if pieces < LEAST_PIECES or len(days) < LEAST_DAYS:
        return None
    in_window = [sum(hours[(first + k) % 24] for k in range(WINDOW_HOURS)) for first in range(24)]
    most = max(in_window)
    sentences, strength = [], 0.0
    if most >= WINDOW_SHARE * pieces:
        first = in_window.index(most)
        hours_worked = f"{first:02}:00 and {(first + WINDOW_HOURS) % 24:02}:00 {features.zone}"
        sentences.append(f"{most} of {pieces} pieces of work between {hours_worked}")
        strength = most / pieces
    counts = [sum(weekday(day) == number for day in days) for number in range(7)]
    usual = sorted(sorted(range(7), key=lambda number: (-counts[number], number))[:USUAL_DAYS])
    on_usual = sum(counts[number] for number in usual)
    if len(days) >= USUAL_LEAST and on_usual >= USUAL_SHARE * len(days):
        names = ", ".join(WEEKDAYS[number] for number in usual if counts[number])
        sentences.append(f"{on_usual} of {len(days)} days of work are {names}")
        strength = max(strength, on_usual / len(days))
    return Pattern("rhythm", strength, min(days), "; ".join(sentences)) if sentences else None


def _plateau(features: PatternFeatures) -> Pattern | None:
    """The scores of the last 10 days or more lie within 0.02, while the student works on and is below 0.90."""
    points = features.points
    if not points or points[-1].score >= TOP or features.today - points[-1].day > FLAT_DAYS // 2:
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


def _surge(features: PatternFeatures) -> Pattern | None:
    """The score rose by 0.12 within 10 days, after at least two weeks of history."""
    recent = [point for point in features.points if point.day > features.today - SURGE_DAYS]
    if len(recent) < 3 or features.points[0].day > recent[0].day - BEHIND_DAYS:
        return None
    lowest = min(recent, key=lambda point: point.score)
    rise = recent[-1].score - lowest.score
    if rise < SURGE:
        return None
    evidence = f"from {lowest.score:.2f} to {recent[-1].score:.2f} in {recent[-1].day - lowest.day} days"
    return Pattern("surge", min(1.0, rise / 0.3), lowest.day, evidence)


def _decline(features: PatternFeatures) -> Pattern | None:
    """The score fell by 0.08 within 14 days, on a declining trend."""
    recent = [point for point in features.points if point.day > features.today - DECLINE_DAYS]
    scores = [(point.day, point.score) for point in features.points]
    if len(recent) < 3 or trend(scores, features.today) != "declining":
        return None
    highest = max(recent, key=lambda point: point.score)
    fall = highest.score - recent[-1].score
    if fall < DECLINE:
        return None
    evidence = f"from {highest.score:.2f} to {recent[-1].score:.2f} in {recent[-1].day - highest.day} days"
    return Pattern("decline", min(1.0, fall / 0.3), highest.day, evidence)


def _cramming(features: PatternFeatures) -> Pattern | None:
    """70% of the work falls on quiz days and the days before them, which are at most 40% of all days; 3 quizzes."""
    days, quizzes = features.work.days, features.work.quiz_days
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


def _forgetting(features: PatternFeatures) -> Pattern | None:
    """After two or more pauses of six days, quiz results are lower by 0.15 on average."""
    lost: list[float] = []
    since: Day | None = None
    for (day, before), (next_day, after) in pairwise(features.quizzes):
        between = features.active >> max(0, features.today - next_day + 1) & (1 << max(0, next_day - day - 1)) - 1
        if next_day - day > PAUSE_DAYS and not between:
            lost.append(before - after)
            since = day if since is None else since
    if since is None or len(lost) < PAUSES or sum(lost) / len(lost) < LOST:
        return None
    mean = sum(lost) / len(lost)
    evidence = f"results were lower by {mean:.2f} on average after {len(lost)} pauses of {PAUSE_DAYS} days or more"
    return Pattern("forgetting_after_pauses", min(1.0, mean / 0.5), since, evidence)


def _rushing(features: PatternFeatures) -> Pattern | None:
    """30% of the questions are answered in under 10 s, and these are wrong more often than the others by 0.2."""
    asked = features.work.asked
    if asked.timed < TIMED or asked.fast < HURRIED or asked.fast < HURRY_SHARE * asked.timed:
        return None
    slow = asked.timed - asked.fast
    hasty, calm = asked.fast_wrong / asked.fast, (asked.wrong - asked.fast_wrong) / slow if slow else 0.3
    if hasty - calm < HURRY_COSTS:
        return None
    others = f"{calm:.0%} of the other {slow}" if slow else "no slower ones to compare"
    evidence = f"{hasty:.0%} of {asked.fast} answers given in under 10 s are wrong, {others}"
    return Pattern("rushing", min(1.0, hasty - calm + 0.2), min(features.work.days), evidence)


def _hints(features: PatternFeatures) -> Pattern | None:
    """Half of the answers, of at least ten, came with hints."""
    asked = features.work.asked
    if asked.told < TOLD or asked.helped < HELPED * asked.told:
        return None
    evidence = f"{asked.helped} of {asked.told} answers came with hints"
    return Pattern("leaning_on_hints", asked.helped / asked.told, min(features.work.days), evidence)


def _drag(features: PatternFeatures) -> Pattern | None:
    """One component lies 0.2 below the mean of the others, of which there are at least two."""
    found = [_lowest(point) for point in features.points[-1:]]
    if not found or found[0] is None:
        return None
    place, value, others = found[0]
    since = features.points[-1].day
    for point in reversed(features.points):
        lowest = _lowest(point)
        if lowest is None or lowest[0] != place:
            break
        since = point.day
    evidence = f"{COMPONENTS[place]} is {value:.2f}, the other components {others:.2f} on average"
    return Pattern("dragging_component", min(1.0, (others - value) / 0.6), since, evidence)


def _lowest(point: Point) -> tuple[int, float, float] | None:
    """The lowest component if it drags: its place, its value and the mean of the others."""
    there = [(value, place) for place, value in enumerate(point.components) if value is not None]
    if len(there) < DRAG_COMPONENTS:
        return None
    value, place = min(there)
    others = (sum(one for one, _ in there) - value) / (len(there) - 1)
    return (place, value, others) if others - value >= DRAGS else None


DETECTORS: tuple[Callable[[PatternFeatures], Pattern | None], ...] = (
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
