"""What the components are computed from. Each kind of evidence merges with more of its kind, in any order.

``evidence_of`` says what an event is evidence of; ``merge`` adds evidence of other events. Merging is commutative and
associative (sums to float rounding), which is why late, shuffled and split deliveries need no special case.
"""

from array import array
from functools import lru_cache
from heapq import nlargest
from struct import Struct
from typing import Any, TypeAlias

import msgspec

from mastery_engine.domain.events import LearningEvent
from mastery_engine.domain.kinds import (
    Answer,
    CalculationRequested,
    Completion,
    Consistency,
    Execution,
    Help,
    Quality,
    Quiz,
)
from mastery_engine.domain.moments import DAY, Day, Micros, day_of, day_of_date

HALF_LIFE: Micros = 14 * DAY
MAX_TOPICS = 256
NEVER: Micros = -1

# Decay is relative, so any fixed zero will do; this one keeps 2^(days / 14) within a double until the year 2058.
ZERO: Micros = 18_262 * DAY  # 2020-01-01
_ONE_DAY = b"\x01"
_DAY = Struct(">H")
_SUM = Struct("=d")
BEGINNER, INTERMEDIATE, ADVANCED = range(3)
_DIFFICULTIES = {"beginner": BEGINNER, "intermediate": INTERMEDIATE, "advanced": ADVANCED}


class Progress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest word on one topic's exercises. ``difficulty`` is 0 beginner, 1 intermediate, 2 advanced."""

    at: Micros
    event_id: str
    completed: int
    total: int
    difficulty: int

    @property
    def order(self) -> tuple[Micros, str]:
        """Later is greater; at the same time the greater event_id is."""
        return (self.at, self.event_id)


class DecayedSums(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Σ w·2^(t/14 d) and Σ w·2^(t/14 d)·x over the evidence of each day, so that whole days can be dropped exactly.

    Three packed columns with a place for each day that has evidence: the days, which rise, and the two sums. ``weight``
    and ``score`` are the sums over all days; ``latest`` is the time of the newest evidence.
    """

    days: bytes = b""
    weights: bytes = b""
    scores: bytes = b""
    weight: float = 0.0
    score: float = 0.0
    latest: Micros = NEVER

    @staticmethod
    def of(at: Micros, weight: float, score: float) -> "DecayedSums":
        """One piece of evidence: ``score`` in [0, 1], with its weight."""
        decayed = weight * 2.0 ** ((at - ZERO) / HALF_LIFE)
        scored = decayed * score
        return DecayedSums(_DAY.pack(at // DAY), _SUM.pack(decayed), _SUM.pack(scored), decayed, scored, at)

    def merge(self, other: "DecayedSums") -> "DecayedSums":
        if not self.days:
            return other
        days, weights, scores = self.days, self.weights, self.scores
        for number in range(len(other.days) // 2):
            day = other.days[2 * number : 2 * number + 2]
            weight, score = other.weights[8 * number : 8 * number + 8], other.scores[8 * number : 8 * number + 8]
            place = _place(days, day)
            end = place
            if days[2 * place : 2 * place + 2] == day:
                end = place + 1
                weight = _SUM.pack(_SUM.unpack(weight)[0] + _SUM.unpack_from(weights, 8 * place)[0])
                score = _SUM.pack(_SUM.unpack(score)[0] + _SUM.unpack_from(scores, 8 * place)[0])
            days = days[: 2 * place] + day + days[2 * end :]
            weights = weights[: 8 * place] + weight + weights[8 * end :]
            scores = scores[: 8 * place] + score + scores[8 * end :]
        latest = max(other.latest, self.latest)
        return DecayedSums(days, weights, scores, self.weight + other.weight, self.score + other.score, latest)

    def since(self, floor: Day) -> "DecayedSums":
        """Without the days before ``floor``."""
        drop = _place(self.days, _DAY.pack(floor))
        if not drop:
            return self
        if 2 * drop == len(self.days):
            return NO_SUMS
        weights, scores = self.weights[8 * drop :], self.scores[8 * drop :]
        totals = sum(array("d", weights)), sum(array("d", scores))
        return DecayedSums(self.days[2 * drop :], weights, scores, *totals, self.latest)

    def standing(self, at: Micros, floor: Day) -> tuple[float, float]:
        """Weight and weighted score of the days from ``floor`` on, on the scale of evidence that comes at ``at``."""
        kept = self.since(floor)
        scale = 2.0 ** ((ZERO - at) / HALF_LIFE)
        return kept.weight * scale, kept.score * scale

    def mean(self, floor: Day) -> float | None:
        """Σ w·2^(t/14 d)·x / Σ w·2^(t/14 d) over the days from ``floor`` on, in [0, 1]; None where there are none."""
        if self.latest < floor * DAY:
            return None
        kept = self if self.days[:2] >= _DAY.pack(floor) else self.since(floor)
        mean = kept.score / kept.weight
        return min(1.0, mean)


def _place(days: bytes, day: bytes) -> int:
    """The number of the first of the days that is not before ``day``; big-endian days compare as bytes do."""
    place = len(days) // 2
    while place and days[2 * place - 2 : 2 * place] >= day:
        place -= 1
    return place


NO_SUMS = DecayedSums()


class ActiveDays(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A set of days. Bit k of ``bits`` (little-endian) stands for the day ``newest - k``."""

    newest: Day = 0
    bits: bytes = b""

    @staticmethod
    def of(*days: Day) -> "ActiveDays":
        if not days:
            return NO_DAYS
        newest = max(days)
        mask = 0
        for day in days:
            mask |= 1 << (newest - day)
        return _packed(newest, mask)

    @property
    def mask(self) -> int:
        return int.from_bytes(self.bits, "little")

    def merge(self, other: "ActiveDays") -> "ActiveDays":
        if not self.bits:
            return other
        if not other.bits or (other.bits == _ONE_DAY and self.newest == other.newest):
            return self
        older, newer = (self, other) if self.newest <= other.newest else (other, self)
        shift = newer.newest - older.newest
        return _packed(newer.newest, newer.mask | older.mask << shift)

    def since(self, floor: Day) -> "ActiveDays":
        """Without the days before ``floor``."""
        kept = self.newest - floor + 1
        if kept <= 0:
            return NO_DAYS
        if len(self.bits) * 8 <= kept:
            return self
        return _packed(self.newest, self.mask & ((1 << kept) - 1))

    def up_to(self, day: Day) -> int:
        """The set as bits again, bit k for ``day - k``: days later than ``day`` are left out."""
        mask = int.from_bytes(self.bits, "little")
        newest = self.newest
        return mask >> newest - day if newest > day else mask << day - newest


NO_DAYS = ActiveDays()


class Direct(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A component that was set, and when."""

    at: Micros
    event_id: str
    value: float


FourDirect: TypeAlias = tuple[Direct | None, Direct | None, Direct | None, Direct | None]

NONE_SET: FourDirect = (None, None, None, None)


class Evidence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that is known of one student. ``direct`` is in the order of ``COMPONENTS``."""

    completion: dict[str, Progress] = {}
    quiz: DecayedSums = NO_SUMS
    quality: DecayedSums = NO_SUMS
    activity: ActiveDays = NO_DAYS
    direct: FourDirect = NONE_SET

    def merge(self, other: "Evidence") -> "Evidence":
        """This evidence and that of other events; an event that is in both counts twice, so the caller sees to it."""
        completion, quiz, quality = self.completion, self.quiz, self.quality
        activity, direct = self.activity.merge(other.activity), self.direct
        if other.completion:
            completion = _latest_of_each(completion, other.completion)
        if other.quiz.days:
            quiz = quiz.merge(other.quiz)
        if other.quality.days:
            quality = quality.merge(other.quality)
        if other.direct is not NONE_SET:
            direct = _later_of_each(direct, other.direct)
        return Evidence(completion, quiz, quality, activity, direct)

    def since(self, floor: Day) -> "Evidence":
        """Without what is of a day before ``floor``."""
        completion, quiz, quality, consistency = (
            None if one is None or one.at // DAY < floor else one for one in self.direct
        )
        return Evidence(
            {topic: progress for topic, progress in self.completion.items() if progress.at // DAY >= floor},
            self.quiz.since(floor),
            self.quality.since(floor),
            self.activity.since(floor),
            (completion, quiz, quality, consistency),
        )


NO_PROGRESS: dict[str, Progress] = {}  # shared: whoever adds to progress makes a dictionary of its own
NO_EVIDENCE = Evidence()


def evidence_of(event: LearningEvent, *, retention_days: int) -> Evidence:
    """What one event is evidence of. Days that it names and that are older than the retention are left out."""
    data: Any = event.data
    kind = type(data)
    if kind is Execution or kind is Help:
        return _active(event.at // DAY)
    at = event.at
    if kind is Completion:
        difficulty = _DIFFICULTIES[data.difficulty]
        progress = Progress(at, event.event_id, data.completed_exercises, data.total_exercises, difficulty)
        return Evidence({data.topic or "": progress}, NO_SUMS, NO_SUMS, ActiveDays(at // DAY, _ONE_DAY))
    if kind is Answer:
        answered = DecayedSums.of(at, 1.0, float(data.correct))
        return Evidence(NO_PROGRESS, answered, NO_SUMS, ActiveDays(at // DAY, _ONE_DAY))
    if kind is Quiz:
        trust = 1.0 if data.confidence_score is None else 0.5 + 0.5 * data.confidence_score
        answered = DecayedSums.of(at, data.total_questions * trust, data.correct_answers / data.total_questions)
        return Evidence(NO_PROGRESS, answered, NO_SUMS, ActiveDays(at // DAY, _ONE_DAY))
    if kind is Quality:
        given = [data.code_quality_score, data.correctness_score, data.efficiency_score]
        if data.peer_review_score is not None:
            given.append(data.peer_review_score)
        scored = DecayedSums.of(at, 1.0, sum(given) / len(given))
        return Evidence(NO_PROGRESS, NO_SUMS, scored, ActiveDays(at // DAY, _ONE_DAY))
    if kind is Consistency:
        return Evidence(activity=_named_days(data, at // DAY, day_of(event.received) - retention_days + 1))
    if kind is CalculationRequested:
        completion, quiz, quality, consistency = (
            None if value is None else Direct(at, event.event_id, value) for value in data.components.values()
        )
        return Evidence(direct=(completion, quiz, quality, consistency))
    return NO_EVIDENCE


@lru_cache(maxsize=512)
def _active(day: Day) -> Evidence:
    """Of work that counts for its day alone."""
    return Evidence(activity=ActiveDays(day, _ONE_DAY))


def _named_days(data: Consistency, today: Day, floor: Day) -> ActiveDays:
    """The days that a consistency event marks, from ``floor`` on."""
    last = today - (data.days_since_last_activity or 0)
    named = [day for day in map(day_of_date, data.activity_dates or ()) if day >= floor]
    if data.days_since_last_activity is not None and last >= floor:
        named.append(last)
    streak = min(data.current_streak or 0, last - floor + 1)
    run = _packed(last, (1 << streak) - 1) if streak > 0 else NO_DAYS
    return ActiveDays.of(*named).merge(run)


def _latest_of_each(ours: dict[str, Progress], theirs: dict[str, Progress]) -> dict[str, Progress]:
    """The later word on every topic; of the topics, the ``MAX_TOPICS`` with the latest words."""
    latest = {**ours}
    for topic, progress in theirs.items():
        known = latest.get(topic)
        if known is None or known.order < progress.order:
            latest[topic] = progress
    if len(latest) > MAX_TOPICS:
        latest = dict(nlargest(MAX_TOPICS, latest.items(), key=lambda item: item[1].order))
    return latest


def _later_of_each(ours: FourDirect, theirs: FourDirect) -> FourDirect:
    completion, quiz, quality, consistency = map(_later, ours, theirs)
    return (completion, quiz, quality, consistency)


def _later(ours: Direct | None, theirs: Direct | None) -> Direct | None:
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    return theirs if (ours.at, ours.event_id) < (theirs.at, theirs.event_id) else ours


def _packed(newest: Day, mask: int) -> ActiveDays:
    """The set with its first bit set, so that equal sets are equal values."""
    empty = (mask & -mask).bit_length() - 1
    mask >>= empty
    return ActiveDays(newest - empty, mask.to_bytes((mask.bit_length() + 7) // 8, "little"))
