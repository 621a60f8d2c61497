"""The evidence that the components are computed from. Each kind of evidence merges with more of its kind in any order.

``with_event`` adds what one event is evidence of; ``merge`` adds the evidence of other events. Merging is commutative
and associative (sums up to float rounding), so late, shuffled and split deliveries need no special case.
"""

from heapq import nlargest
from typing import Any, TypeAlias

import msgspec

from mastery_engine.domain.events.event import NAME_OF, LearningEvent
from mastery_engine.domain.events.kinds import (
    Answer,
    CalculationRequested,
    Completion,
    Consistency,
    Execution,
    Help,
    Quality,
    Quiz,
    RecommendationDismissed,
    RecommendationFollowed,
)
from mastery_engine.domain.evidence.active_days import NO_DAYS, ActiveDays, packed
from mastery_engine.domain.evidence.attempts import Attempts, Word, attempt_hash
from mastery_engine.domain.evidence.decayed_sums import NO_SUMS, DecayedSums
from mastery_engine.domain.ids import short_id, whole_id
from mastery_engine.domain.moments import Day, Micros, day_of_date
from mastery_engine.domain.rules import QUALITY, QUIZ, Rules

MAX_TOPICS = 256
BEGINNER, INTERMEDIATE, ADVANCED = range(3)
_DIFFICULTIES = {"beginner": BEGINNER, "intermediate": INTERMEDIATE, "advanced": ADVANCED}


class TopicProgress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest progress in the exercises of one topic. ``difficulty`` is 0 beginner, 1 intermediate, 2 advanced.

    ``id_held`` is the event's id as documents hold it.
    """

    at: Micros
    id_held: bytes
    completed: int
    total: int
    difficulty: int

    @property
    def event_id(self) -> str:
        return whole_id(self.id_held)

    @property
    def order(self) -> tuple[Micros, str]:
        """The later progress is the greater; at the same time, the one with the greater event id."""
        return (self.at, self.event_id)

    def is_before(self, other: "TopicProgress") -> bool:
        """Whether the other is the greater."""
        return self.at < other.at or (self.at == other.at and self.event_id < other.event_id)


class Direct(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A component that was set directly, and when."""

    at: Micros
    event_id: str
    value: float


FourDirect: TypeAlias = tuple[Direct | None, Direct | None, Direct | None, Direct | None]

NONE_SET: FourDirect = (None, None, None, None)


class Evidence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All evidence about one student. ``direct`` is in the order of ``COMPONENTS``.

    ``quiz`` and ``quality`` are the sums of all evidence. ``attempts`` has what of it may be regraded; it is None where
    no event named an attempt.
    """

    completion: dict[str, TopicProgress] = {}
    quiz: DecayedSums = NO_SUMS
    quality: DecayedSums = NO_SUMS
    activity: ActiveDays = NO_DAYS
    direct: FourDirect = NONE_SET
    attempts: Attempts | None = None

    def merge(self, other: "Evidence") -> "Evidence":
        """This evidence and that of other events. An event in both counts twice, so the caller must exclude repeats."""
        completion, quiz, quality = self.completion, self.quiz, self.quality
        activity, direct, attempts = self.activity.merge(other.activity), self.direct, self.attempts
        if other.completion:
            completion = _latest_of_each(completion, other.completion)
        if attempts is None and other.attempts is None:
            if other.quiz.days:
                quiz = quiz.merge(other.quiz)
            if other.quality.days:
                quality = quality.merge(other.quality)
        elif other.quiz.days or other.quality.days or other.attempts is not None:
            attempts = self.told_apart().merge(other.told_apart())
            quiz = attempts.all_evidence(QUIZ, quiz.merge(other.quiz).decays_in)
            quality = attempts.all_evidence(QUALITY, quality.merge(other.quality).decays_in)
        if other.direct is not NONE_SET:
            direct = _later_of_each(direct, other.direct)
        return Evidence(completion, quiz, quality, activity, direct, attempts)

    def told_apart(self) -> Attempts:
        """The words on attempts, and beside them the sums of the evidence that names none."""
        return Attempts(quiz=self.quiz, quality=self.quality) if self.attempts is None else self.attempts

    def word_on(self, data: Answer | Quiz | Quality) -> Word | None:
        """The word that is held on the attempt that an event names; None if there is none."""
        if self.attempts is None or data.attempt_id is None:
            return None
        return self.attempts.word_on(_attempt_of(data))

    def weight_on(self, data: Answer | Quiz | Quality) -> float | None:
        """The weight of the word that is held on the attempt that an event names; None if there is none."""
        if self.attempts is None or data.attempt_id is None:
            return None
        return self.attempts.weight_on(_attempt_of(data))

    def since(self, floor: Day, rules: Rules) -> "Evidence":
        """Without anything from days before ``floor``."""
        oldest = rules.start_of(floor)
        completion, quiz, quality, consistency = (
            None if value is None or value.at < oldest else value for value in self.direct
        )
        return Evidence(
            {topic: progress for topic, progress in self.completion.items() if progress.at >= oldest},
            self.quiz.since(floor),
            self.quality.since(floor),
            self.activity.since(floor),
            (completion, quiz, quality, consistency),
            None if self.attempts is None else self.attempts.since(floor) or None,
        )

    def before(self, day: Day, rules: Rules) -> "Evidence":
        """Without anything of ``day`` and the days after it. Of a topic only the latest progress is known."""
        start = rules.start_of(day)
        completion, quiz, quality, consistency = (
            None if value is None or value.at >= start else value for value in self.direct
        )
        return Evidence(
            {topic: progress for topic, progress in self.completion.items() if progress.at < start},
            self.quiz.before(day, rules.start_of),
            self.quality.before(day, rules.start_of),
            self.activity.before(day),
            (completion, quiz, quality, consistency),
            None if self.attempts is None else self.attempts.before(day, rules.start_of) or None,
        )

    def has_more(self, left: "Evidence") -> bool:
        """Whether ``left``, which is what ``since`` made of this, lacks anything that a component was computed from."""
        return (
            len(left.completion) < len(self.completion)
            or left.quiz is not self.quiz
            or left.quality is not self.quality
            or left.direct != self.direct
        )


NO_EVIDENCE = Evidence()

# Every other kind has its own branch below; a kind without one raises, so that no kind counts for nothing by mistake.
_DAY_ALONE = frozenset({Execution, Help})
_NO_EVIDENCE = frozenset({RecommendationFollowed, RecommendationDismissed})
_MEASURED = frozenset({Answer, Quiz, Quality})


def with_event(known: Evidence, event: LearningEvent, rules: Rules) -> Evidence:
    """The evidence with that of one more event; days it names that are older than the retention are left out."""
    data: Any = event.data
    kind, at = type(data), event.at
    if kind is CalculationRequested:
        completion_set, quiz_set, quality_set, consistency_set = (
            None if value is None else Direct(at, event.event_id, value) for value in data.components.values()
        )
        return known.merge(Evidence(direct=(completion_set, quiz_set, quality_set, consistency_set)))
    completion, quiz, quality, activity = known.completion, known.quiz, known.quality, known.activity
    if kind is Consistency:
        first = rules.first_day(rules.day_of(event.received))
        activity = activity.merge(_named_days(data, rules.day_of(at), first))
        if activity is known.activity:
            return known
        return Evidence(completion, quiz, quality, activity, known.direct, known.attempts)
    day = rules.day_of(at)
    activity = activity.with_day(day)
    if kind is Completion:
        completion = _with_progress(completion, data, at, event.event_id)
    elif kind in _MEASURED:
        place, weight, score = _measured(data)
        if data.attempt_id is not None or known.attempts is not None:
            word = Word(event.event_id, _attempt_of(data), at, day, place, weight, score)
            return _beside_attempts(known, word, activity, rules.half_life)
        if place == QUALITY:
            quality = quality.plus(at, day, weight, score, rules.half_life)
        elif weight:
            quiz = quiz.plus(at, day, weight, score, rules.half_life)
    elif kind in _NO_EVIDENCE:
        return known
    elif kind not in _DAY_ALONE:
        raise TypeError(f"{kind.__name__} is evidence of nothing: add a branch for it in domain/evidence/evidence.py.")
    elif activity is known.activity:
        return known
    return Evidence(completion, quiz, quality, activity, known.direct, known.attempts)


def _measured(data: Any) -> tuple[int, float, float]:
    """The place of the component that an answer, a quiz or a review is evidence of, its weight and its score in [0, 1].

    An answer that is part of a quiz weighs nothing: the quiz's own event is the evidence.
    """
    kind = type(data)
    if kind is Answer:
        return QUIZ, 1.0 if data.part_of is None else 0.0, data.fraction
    if kind is Quiz:
        trust = 1.0 if data.confidence_score is None else 0.5 + 0.5 * data.confidence_score
        return QUIZ, data.total_questions * trust, data.correct_answers / data.total_questions
    return QUALITY, 1.0, mean_quality(data)


def _beside_attempts(known: Evidence, word: Word, activity: ActiveDays, half_life: Micros) -> Evidence:
    """The evidence with that of an event that names an attempt, or that names none where others did."""
    quiz, quality, apart, gone = known.quiz, known.quality, known.told_apart(), None
    if word.attempt:
        attempts, gone = apart.with_word(word)
    else:
        attempts = apart.with_sum(word, half_life) if word.weight else apart
    if attempts is not apart:
        if word.place == QUALITY:
            quality = quality.plus(word.at, word.day, word.weight, word.score, half_life)
        elif word.weight:
            quiz = quiz.plus(word.at, word.day, word.weight, word.score, half_life)
    if gone is not None and gone.weight:
        if gone.place == QUALITY:
            quality = attempts.without(gone, quality, half_life)
        else:
            quiz = attempts.without(gone, quiz, half_life)
    return Evidence(known.completion, quiz, quality, activity, known.direct, attempts)


def _attempt_of(data: Any) -> bytes:
    return b"" if data.attempt_id is None else attempt_hash(NAME_OF[type(data)], data.attempt_id)


def mean_quality(data: Quality) -> float:
    """The mean of the scores that a review gives, in [0, 1]."""
    scores = [data.code_quality_score, data.correctness_score, data.efficiency_score]
    if data.peer_review_score is not None:
        scores.append(data.peer_review_score)
    return sum(scores) / len(scores)


def _named_days(data: Consistency, today: Day, floor: Day) -> ActiveDays:
    """The days that a consistency event states, from ``floor`` on."""
    away, last = data.days_since_last_activity, today - (data.days_since_last_activity or 0)
    streak = max(0, min(data.current_streak or 0, last - floor + 1))
    if away is not None and last >= floor and not streak:
        streak = 1
    run = packed(last, (1 << streak) - 1) if streak else NO_DAYS
    if data.activity_dates is None:
        return run
    return ActiveDays.of(*[day for day in map(day_of_date, data.activity_dates) if day >= floor]).merge(run)


def _with_progress(
    known: dict[str, TopicProgress], data: Completion, at: Micros, event_id: str
) -> dict[str, TopicProgress]:
    """With the progress in one topic, if it is later than what is known; the same object if not."""
    topic, difficulty = data.topic or "", _DIFFICULTIES[data.difficulty]
    progress = TopicProgress(at, short_id(event_id), data.completed_exercises, data.total_exercises, difficulty)
    held = known.get(topic)
    if held is not None and not held.is_before(progress):
        return known
    return _with_most({**known, topic: progress})


def _latest_of_each(ours: dict[str, TopicProgress], theirs: dict[str, TopicProgress]) -> dict[str, TopicProgress]:
    """The later progress of every topic, of at most ``MAX_TOPICS``."""
    latest = {**ours}
    for topic, progress in theirs.items():
        known = latest.get(topic)
        if known is None or known.is_before(progress):
            latest[topic] = progress
    return _with_most(latest)


def _with_most(progress: dict[str, TopicProgress]) -> dict[str, TopicProgress]:
    """At most the ``MAX_TOPICS`` topics with the latest progress."""
    if len(progress) <= MAX_TOPICS:
        return progress
    return dict(nlargest(MAX_TOPICS, progress.items(), key=lambda item: item[1].order))


def _later_of_each(ours: FourDirect, theirs: FourDirect) -> FourDirect:
    completion, quiz, quality, consistency = map(_later, ours, theirs)
    return (completion, quiz, quality, consistency)


def _later(ours: Direct | None, theirs: Direct | None) -> Direct | None:
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    return theirs if (ours.at, ours.event_id) < (theirs.at, theirs.event_id) else ours
