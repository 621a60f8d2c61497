"""What the components are computed from. Each kind of evidence merges with more of its kind, in any order.

``evidence_of`` says what an event is evidence of; ``merge`` adds evidence of other events. Merging is commutative and
associative (sums to float rounding), which is why late, shuffled and split deliveries need no special case.
"""

from functools import lru_cache
from heapq import nlargest
from typing import Any, TypeAlias

import msgspec

from mastery_engine.domain.active_days import NO_DAYS, ONE_DAY, ActiveDays, packed
from mastery_engine.domain.decayed_sums import NO_SUMS, DecayedSums
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

MAX_TOPICS = 256
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
        return Evidence({data.topic or "": progress}, NO_SUMS, NO_SUMS, ActiveDays(at // DAY, ONE_DAY))
    if kind is Answer:
        answered = DecayedSums.of(at, 1.0, float(data.correct))
        return Evidence(NO_PROGRESS, answered, NO_SUMS, ActiveDays(at // DAY, ONE_DAY))
    if kind is Quiz:
        trust = 1.0 if data.confidence_score is None else 0.5 + 0.5 * data.confidence_score
        answered = DecayedSums.of(at, data.total_questions * trust, data.correct_answers / data.total_questions)
        return Evidence(NO_PROGRESS, answered, NO_SUMS, ActiveDays(at // DAY, ONE_DAY))
    if kind is Quality:
        given = [data.code_quality_score, data.correctness_score, data.efficiency_score]
        if data.peer_review_score is not None:
            given.append(data.peer_review_score)
        scored = DecayedSums.of(at, 1.0, sum(given) / len(given))
        return Evidence(NO_PROGRESS, NO_SUMS, scored, ActiveDays(at // DAY, ONE_DAY))
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
    return Evidence(activity=ActiveDays(day, ONE_DAY))


def _named_days(data: Consistency, today: Day, floor: Day) -> ActiveDays:
    """The days that a consistency event marks, from ``floor`` on."""
    last = today - (data.days_since_last_activity or 0)
    named = [day for day in map(day_of_date, data.activity_dates or ()) if day >= floor]
    if data.days_since_last_activity is not None and last >= floor:
        named.append(last)
    streak = min(data.current_streak or 0, last - floor + 1)
    run = packed(last, (1 << streak) - 1) if streak > 0 else NO_DAYS
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
