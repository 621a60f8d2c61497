"""What a forecast looks at: numbers of a student's document, the calendar of work due, and the days ahead.

Everything is told from the document as it stands, relative to a day: no number names a date, a student or a class.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import log1p, sqrt
from statistics import fmean

import msgspec

from mastery_engine.domain.evidence.evidence import Evidence
from mastery_engine.domain.evidence.history import Point
from mastery_engine.domain.evidence.score import MasteryScore, mastery_score, score_on
from mastery_engine.domain.moments import DAY, Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import Student

FAR = 60.0  # days: what is further away, or never was, is as far as this
WEEKS = 12


class ForecastFeatures(msgspec.Struct, frozen=True, gc=False):
    """Where a student stands at a moment.

    ``numbers`` are those that do not depend on the days ahead; ``submitted`` are the days with quiz evidence, and
    ``settled`` is the day of the newest completion (0 where there is none).
    """

    evidence: Evidence
    today: Day
    score: float
    numbers: tuple[float, ...]
    submitted: tuple[Day, ...]
    settled: Day


def forecast_features(student: Student, at: Micros, rules: Rules) -> ForecastFeatures:
    """Where a student stands at a moment, by what the document holds."""
    today = rules.day_of(at)
    floor = rules.first_day(today)
    evidence = student.evidence
    now = mastery_score(evidence, at, rules)
    points = list(student.history.points(first=floor, last=today))
    tested = list(evidence.quiz.daily(floor))
    newest = max((progress.at for progress in evidence.completion.values()), default=None)
    settled = 0 if newest is None else rules.day_of(newest)
    values = [value or 0.0 for value in now.components]
    numbers = (
        now.score,
        *values,
        *[float(value is not None) for value in now.components],
        *_activity(evidence, today, floor),
        *_completion(evidence, today, floor, rules),
        *_sums(tested, values[1], today, rules.weights.quiz, rules.half_life),
        *_sums(list(evidence.quality.daily(floor)), values[2], today, rules.weights.quality, rules.half_life),
        *_past(points, now.score, today),
        *_by_week([day for day, _ in _settlements(points)], today),
        *_by_week([day for day, _, _ in tested], today),
    )
    return ForecastFeatures(evidence, today, now.score, numbers, tuple(day for day, _, _ in tested), settled)


def aged(here: ForecastFeatures, days: int, rules: Rules) -> MasteryScore:
    """The score in so many days where no new evidence comes. This is exact: the document holds all that it needs."""
    return score_on(here.evidence, here.today + days, rules)


def ahead(here: ForecastFeatures, days: int, left: MasteryScore) -> tuple[float, ...]:
    """The numbers about the days ahead that need no calendar; ``left`` is the score as it will have aged."""
    return (days / 30.0, sqrt(days / 30.0), *[value or 0.0 for value in left.components], left.score - here.score)


def due_ahead(
    here: ForecastFeatures, days: int, due_days: Sequence[Day], behind: Sequence[float] | None = None
) -> tuple[float, ...]:
    """The numbers that a calendar adds; ``due_days`` rise, and name a day as often as it has work due.

    ``behind`` is ``due_behind`` where that is at hand: it is the same for any number of days.
    """
    today, until = here.today, here.today + days
    end = bisect_right(due_days, until)
    within = due_days[bisect_right(due_days, today, hi=end) : end]
    next_due = due_days[end] if end < len(due_days) else None
    return (
        float(len(within)),
        float(bool(within)),
        min(FAR, within[0] - today if within else FAR) / 7.0,
        min(FAR, until - within[-1] if within else FAR) / 7.0,
        min(FAR, FAR if next_due is None else next_due - until) / 7.0,
        float(bisect_right(due_days, until + 7) - end),
        *(due_behind(here, due_days) if behind is None else behind),
        float(len(set(within))),
    )


def due_behind(here: ForecastFeatures, due_days: Sequence[Day]) -> tuple[float, ...]:
    """The numbers about the due days that are past, and the work that came for them."""
    today = here.today
    past = bisect_right(due_days, today)
    before = due_days[:past]
    since = before[-1] if before else today - int(FAR)
    latest = dict.fromkeys(before[-8:])
    leads = [lead for day in latest if (lead := _lead(day, here.submitted)) is not None]
    handed_in = sum(day > max(since, here.settled) for day in here.submitted)
    return (
        min(FAR, today - since) / 7.0,
        float(past - bisect_right(due_days, today - 7)),
        float(past - bisect_right(due_days, today - 28)),
        float(handed_in),
        float(sum(day > since for day in here.submitted)),
        float(bool(leads)),
        fmean(leads) / 7.0 if leads else 0.0,
        len(leads) / max(1, len(latest)),
        float(sum(day > here.settled for day in before)),
    )


def _lead(due: Day, submitted: Sequence[Day]) -> float | None:
    """How many days before a due day work came (negative: after it), where it came within two weeks."""
    place = bisect_left(submitted, due - 14)
    near = [due - day for day in submitted[place:] if day <= due + 5]
    return min(near, key=abs) if near else None


def _activity(evidence: Evidence, today: Day, floor: Day) -> tuple[float, ...]:
    active = evidence.activity.up_to(today) & (1 << today - floor + 1) - 1
    if not active:
        return (FAR / 7.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return (
        min(FAR, (active & -active).bit_length() - 1) / 7.0,
        active.bit_length() / 30.0,
        (active & 127).bit_count() / 7.0,
        (active & (1 << 14) - 1).bit_count() / 14.0,
        (active & (1 << 28) - 1).bit_count() / 28.0,
        active.bit_count() / active.bit_length(),
    )


def _completion(evidence: Evidence, today: Day, floor: Day, rules: Rules) -> tuple[float, ...]:
    """How much is done, how long ago, and what one exercise more would change, done or not."""
    oldest = rules.start_of(floor)
    kept = [progress for progress in evidence.completion.values() if progress.at >= oldest]
    done = sum(progress.completed for progress in kept)
    total = sum(progress.total for progress in kept)
    since = today - max((rules.day_of(progress.at) for progress in kept), default=today - int(FAR))
    share = done / total if total else 0.0
    weight = rules.weights.completion
    return (
        log1p(done),
        log1p(total),
        log1p(total - done),
        min(FAR, since) / 7.0,
        weight * ((done + 1) / (total + 1) - share),
        weight * (done / (total + 1) - share),
        log1p(len(kept)),
    )


def _sums(
    days: Sequence[tuple[Day, float, float]], mean: float, today: Day, weight: float, half_life: Micros
) -> tuple[float, ...]:
    """How often such evidence came, how it went, and how far a piece of the usual weight would move the mean."""
    if not days:
        return (FAR / 7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    usual = fmean(amount for _, amount, _ in days)
    held = sum(amount * 2.0 ** ((day - today) * DAY / half_life) for day, amount, _ in days)
    pull = usual / (usual + held)
    scores = [score for _, _, score in days]
    plain = fmean(scores)
    return (
        min(FAR, today - days[-1][0]) / 7.0,
        log1p(len(days)),
        float(sum(day > today - 7 for day, _, _ in days)),
        float(sum(day > today - 28 for day, _, _ in days)),
        pull,
        scores[-1] - mean,
        plain - mean,
        weight * pull * (plain - mean),
        sqrt(fmean([(score - plain) ** 2 for score in scores])),
        weight * pull,
    )


def _past(points: Sequence[Point], score: float, today: Day) -> tuple[float, ...]:
    """How the score went, and in which rhythm work was settled: days on which completion or quiz changed."""
    moves = [
        later.day
        for earlier, later in pairwise(points)
        if later.components[0] != earlier.components[0] or later.components[1] != earlier.components[1]
    ]
    settled = _settlements(points)
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(settled)]
    return (
        score - _at(points, today - 7),
        score - _at(points, today - 14),
        score - _at(points, today - 28),
        score - max([score, *[point.score for point in points]]),
        score - (fmean(point.score for point in points) if points else 0.0),
        log1p(len(moves)),
        float(sum(day > today - 28 for day in moves)),
        *[min(FAR, today - day) / 7.0 for day in _last(moves, 3, today - int(FAR))],
        *[min(FAR, today - day) / 7.0 for day in _last([day for day, _ in settled], 3, today - int(FAR))],
        *[min(FAR, gap) / 7.0 for gap in _last(gaps, 3, int(FAR))],
        min(FAR, fmean(gaps)) / 7.0 if gaps else FAR / 7.0,
        sum(gain > 0 for _, gain in settled) / max(1, len(settled)),
        float(settled[-1][1] > 0) if settled else 0.0,
        log1p(len(settled)),
    )


def _settlements(points: Sequence[Point]) -> list[tuple[Day, float]]:
    """The days on which completion changed, and by how much."""
    return [
        (later.day, (later.components[0] or 0.0) - (earlier.components[0] or 0.0))
        for earlier, later in pairwise(points)
        if later.components[0] != earlier.components[0]
    ]


def _by_week(days: Sequence[Day], today: Day) -> list[float]:
    """On how many of the days of each of the last weeks something came, this week's first."""
    found = [0.0] * WEEKS
    for day in days:
        if 0 <= (week := (today - day) // 7) < WEEKS:
            found[week] += 1.0
    return found


def _at(points: Sequence[Point], day: Day) -> float:
    """The score as it was known on a day; 0 before the first."""
    known = 0.0
    for point in points:
        if point.day > day:
            break
        known = point.score
    return known


def _last(days: Sequence[int], most: int, missing: int) -> list[int]:
    """The last of some, newest first, filled up."""
    newest = list(days[: -most - 1 : -1])
    return newest + [missing] * (most - len(newest))
