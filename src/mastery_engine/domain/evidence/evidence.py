"""What the components are computed from. Each kind of evidence merges with more of its kind, in any order.

``with_event`` says what an event is evidence of, and adds it; ``merge`` adds evidence of other events. Merging is
commutative and associative (sums to float rounding), which is why late, shuffled and split deliveries need no special
case.
"""

from heapq import nlargest
from typing import Any, TypeAlias

import msgspec

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import (
    Answer,
    CalculationRequested,
    Completion,
    Consistency,
    Execution,
    Help,
    Quality,
    Quiz,
)
from mastery_engine.domain.evidence.active_days import NO_DAYS, ActiveDays, packed
from mastery_engine.domain.evidence.decayed_sums import NO_SUMS, DecayedSums
from mastery_engine.domain.moments import DAY, Day, Micros, day_of_date

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


NO_EVIDENCE = Evidence()


def with_event(known: Evidence, event: LearningEvent, *, retention_days: int) -> Evidence:
    """The evidence with that of one more event. Days that it names, older than the retention, are left out."""
    data: Any = event.data
    kind, at = type(data), event.at
    if kind is CalculationRequested:
        completed, asked, reviewed, kept = (
            None if value is None else Direct(at, event.event_id, value) for value in data.components.values()
        )
        return known.merge(Evidence(direct=(completed, asked, reviewed, kept)))
    completion, quiz, quality, activity = known.completion, known.quiz, known.quality, known.activity
    if kind is Consistency:
        activity = activity.merge(_named_days(data, at // DAY, event.received // DAY - retention_days + 1))
        return known if activity is known.activity else Evidence(completion, quiz, quality, activity, known.direct)
    activity = activity.with_day(at // DAY)
    if kind is Completion:
        difficulty = _DIFFICULTIES[data.difficulty]
        progress = Progress(at, event.event_id, data.completed_exercises, data.total_exercises, difficulty)
        completion = _latest_of_each(completion, {data.topic or "": progress})
    elif kind is Answer:
        quiz = quiz.plus(at, 1.0, float(data.correct))
    elif kind is Quiz:
        trust = 1.0 if data.confidence_score is None else 0.5 + 0.5 * data.confidence_score
        quiz = quiz.plus(at, data.total_questions * trust, data.correct_answers / data.total_questions)
    elif kind is Quality:
        scores = [data.code_quality_score, data.correctness_score, data.efficiency_score]
        if data.peer_review_score is not None:
            scores.append(data.peer_review_score)
        quality = quality.plus(at, 1.0, sum(scores) / len(scores))
    elif activity is known.activity or not (kind is Execution or kind is Help):
        return known
    return Evidence(completion, quiz, quality, activity, known.direct)


def _named_days(data: Consistency, today: Day, floor: Day) -> ActiveDays:
    """The days that a consistency event marks, from ``floor`` on."""
    away, last = data.days_since_last_activity, today - (data.days_since_last_activity or 0)
    streak = max(0, min(data.current_streak or 0, last - floor + 1))
    if away is not None and last >= floor and not streak:
        streak = 1
    run = packed(last, (1 << streak) - 1) if streak else NO_DAYS
    if data.activity_dates is None:
        return run
    return ActiveDays.of(*[day for day in map(day_of_date, data.activity_dates) if day >= floor]).merge(run)


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
