"""What changed between two days, and why: by component exactly, and of the last 14 days by cause.

A day's score is that of its end as it was known then: its daily point, or where it has none the newest point before it,
with a consistency that has fallen since. Today's is that of now. Components are whole sixths of 0.0001 (``sixths`` in
``history``), so that causes sum to a component's change, and contributions to the score's, without a rest.
"""

from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.domain.evidence.attempts import MAX_ATTEMPTS
from mastery_engine.domain.evidence.causes import CAUSE_DAYS, Cause, ChangeKind, merged_causes
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, TopicProgress
from mastery_engine.domain.evidence.history import NOTHING_YET, SIXTHS, FourSixths, Point, sixths
from mastery_engine.domain.evidence.score import component, mastery_score
from mastery_engine.domain.evidence.shown import shown_points
from mastery_engine.domain.moments import Day, DaySpan, Micros, iso_date
from mastery_engine.domain.rules import COMPONENTS, CONSISTENCY, Component, Rules
from mastery_engine.domain.student import Student

WHOLE = 10_000
MEAN_ERROR = 2  # in 1/10,000: means are rounded at each event, so that 4 of 8 may be held as 0.4999
_ZERO = NOTHING_YET[CONSISTENCY]
_HALF_SIXTH = 0.5


class ChangeCause(msgspec.Struct, frozen=True, gc=False):
    """One cause of a component's change. ``change`` is its part of the score's; ``message`` says it in plain words.

    ``events`` is the number of events, or of days where the kind is active or away; None where it is not known now.
    """

    kind: ChangeKind
    topic: str | None
    events: int | None
    change: float
    message: str


class ComponentChange(msgspec.Struct, frozen=True, gc=False):
    """One component's part of a change: ``change`` is its weight times what it moved by, and the sum of its causes."""

    component: Component
    change: float
    causes: tuple[ChangeCause, ...]


class ScoreChange(msgspec.Struct, frozen=True, gc=False):
    """What changed from the end of the day ``first`` to that of ``last``; ``change`` is the sum of the contributions.

    ``known_since`` is the day of the first point, if nothing was known at the end of ``first``. ``between`` has the
    ends that have no point of their own and another score than the newest point before, each with that point.
    """

    first: Day
    last: Day
    previous_score: float
    score: float
    change: float
    contributions: tuple[ComponentChange, ...]
    known_since: Day | None
    between: tuple[tuple[Day, Point], ...] = ()


def score_change(student: Student, first: Day, last: Day, now: Micros, rules: Rules) -> ScoreChange:
    """What changed in a student's score between the ends of two days, ``first`` ≤ ``last`` ≤ today.

    Causes are known of the last 14 days; what a component moved by before them is one cause, ``earlier``.
    """
    path = ScorePath(student, now, rules)
    told_since = max(path.today - CAUSE_DAYS, student.causes.complete_after)
    bound = max(first, min(last, told_since))
    begin, middle, end = path.values(first), path.values(bound), path.values(last)
    rows = [(day, cause) for day, cause in path.causes() if bound < day <= last]
    contributions = []
    for place, (name, weight) in enumerate(zip(COMPONENTS, rules.component_weights, strict=True)):
        here = [(day, cause) for day, cause in rows if cause.place == place]
        told = [
            _told(cause, weight, words(cause, student.evidence.completion))
            for cause in merged_causes([cause for _, cause in here])
        ]
        left = end[place] - middle[place] - sum(cause.moved for _, cause in here)
        if place == CONSISTENCY:
            told += _days(path, bound, last, here, rules)
        elif left:
            told.append(ChangeCause("aged", None, 0, _points(left, weight), _dropped_words(student, rules)))
        earlier = middle[place] - begin[place]
        if earlier:
            message = f"What happened up to {iso_date(bound)}; causes are known for {CAUSE_DAYS} days"
            told.append(ChangeCause("earlier", None, None, _points(earlier, weight), message))
        told.sort(key=lambda cause: -abs(cause.change))
        contributions.append(ComponentChange(name, _points(end[place] - begin[place], weight), tuple(told)))
    return ScoreChange(
        first,
        last,
        path.score(first),
        path.score(last),
        sum(one.change for one in contributions),
        tuple(contributions),
        path.known_since(first),
        tuple([(day, point) for day in sorted({first, last}) if (point := path.older_point(day)) is not None]),
    )


def change_since(student: Student, first: Day, now: Micros, rules: Rules) -> float:
    """The ``change`` of ``score_change`` from the end of a day to now: quicker, without its causes."""
    path = ScorePath(student, now, rules)
    return path.change(first, path.today)


def score_and_change(student: Student, span: DaySpan, now: Micros, rules: Rules) -> tuple[float | None, float]:
    """The score at the end of the last day, None where nothing was known by then, and its change since the first."""
    path = ScorePath(student, now, rules)
    return path.known_score(span.last), path.change(span.first, span.last)


class ScorePath:
    """A student's score and components at the end of each day, as they were known then."""

    def __init__(self, student: Student, now: Micros, rules: Rules) -> None:
        self.today = rules.day_of(now)
        self._rules = rules
        self._evidence = student.evidence
        self._causes = student.causes
        self._history = student.history.since(rules.first_day(self.today))
        self._now = mastery_score(student.evidence, now, rules)

    def causes(self) -> list[tuple[Day, Cause]]:
        """The causes with the days on which they show; what no point shows yet shows today."""
        today = self.today
        return [(today if cause.is_pending else min(day, today), cause) for day, cause in self._causes.each()]

    def is_active(self, day: Day) -> bool:
        """Whether anything marks a day as active."""
        return bool(self._evidence.activity.up_to(day) & 1)

    def values(self, day: Day) -> FourSixths:
        """The components at the end of a day, in sixths of 0.0001."""
        if day >= self.today:
            completion, quiz, quality, consistency = map(sixths, self._now.components)
            return (completion, quiz, quality, consistency)
        history = self._history.before(day + 1)
        completion, quiz, quality, consistency = history.values()
        return (completion, quiz, quality, self._faded(consistency, history.newest or day, day))

    def faded(self, day: Day) -> int:
        """The consistency at the end of a day, in sixths, if nothing had come since the newest point before it."""
        history = self._history.before(day)
        return self._faded(history.values()[CONSISTENCY], history.newest or day, day)

    def score(self, day: Day) -> float:
        """The score at the end of a day, as the other calls show it; 0 before anything is known."""
        if day >= self.today:
            return self._now.score
        points = shown_points(self._history.before(day + 1), self._rules)
        if not points:
            return 0.0
        faded = self.values(day)[CONSISTENCY] - self._history.before(day + 1).values()[CONSISTENCY]
        return points[-1].score + _points(faded, self._rules.weights.consistency)

    def known_score(self, day: Day) -> float | None:
        """As ``score``; None before anything is known."""
        return self.score(day) if day >= self.today or any(self._history.before(day + 1).points()) else None

    def change(self, first: Day, last: Day) -> float:
        """The change of the score from the end of a day to that of another, in whole steps of its components."""
        parts = zip(self.values(first), self.values(last), self._rules.component_weights, strict=True)
        return sum([_points(after - before, weight) for before, after, weight in parts])

    def older_point(self, day: Day) -> Point | None:
        """The newest point before a past day without one, where days away have lowered the score since."""
        points = shown_points(self._history.before(day + 1), self._rules)
        if day >= self.today or not points or points[-1].day == day or self.score(day) == points[-1].score:
            return None
        return points[-1]

    def known_since(self, day: Day) -> Day | None:
        """The day of the first point, if it is after ``day``."""
        first = next((point.day for point in self._history.points()), None)
        return first if first is not None and first > day else None

    def _faded(self, value: int, since: Day, day: Day) -> int:
        """The consistency of the point of ``since``, on a later day before the next point.

        It falls as the days that are known now make it fall: in the ratio that they give.
        """
        if value <= _ZERO or day == since:
            return value
        direct = self._evidence.direct[CONSISTENCY]
        if direct is not None and self._rules.day_of(direct.at) > since:
            direct = None
        then = msgspec.structs.replace(
            NO_EVIDENCE,
            activity=self._evidence.activity.before(since + 1),
            direct=(None, None, None, direct),
        )
        before, after = (component(then, CONSISTENCY, on, self._rules) or 0.0 for on in (since, day))
        if sixths(before) == value:
            return sixths(after)
        return sixths((value - _ZERO + _HALF_SIXTH) / SIXTHS * after / before) if before else value


def _days(path: ScorePath, first: Day, last: Day, told: Sequence[tuple[Day, Cause]], rules: Rules) -> list[ChangeCause]:
    """What days with and without work moved consistency by."""
    weight = rules.weights.consistency
    active = away = late = active_days = away_days = 0
    before = path.values(first)[CONSISTENCY]
    for day in range(first + 1, last + 1):
        after = path.values(day)[CONSISTENCY]
        moved = after - before - sum(cause.moved for on, cause in told if on == day)
        if path.is_active(day):
            active += moved
            active_days += 1
        elif moved:
            fell = path.faded(day) - before
            away += fell
            away_days += fell < 0
            late += moved - fell
        before = after
    found = []
    if active_days:
        message = f"Active on {active_days} {'day' if active_days == 1 else 'days'}"
        found.append(ChangeCause("active", None, active_days, _points(active, weight), message))
    if away:
        message = "A day away" if away_days == 1 else f"{away_days} days away"
        found.append(ChangeCause("away", None, away_days, _points(away, weight), message))
    if late:
        message = "Days of work that came late" if late > 0 else _aged_words(rules)
        found.append(ChangeCause("active" if late > 0 else "aged", None, 0, _points(late, weight), message))
    return found


def words(cause: Cause, completed: Mapping[str, TopicProgress]) -> str:
    """A cause in plain words, with numbers of exercises where ``completed`` still has them."""
    on = f" on {cause.topic}" if cause.topic else ""
    many, share = cause.events > 1, _percent(cause)
    match cause.kind:
        case "started":
            chapter = f"the chapter {cause.topic}" if cause.topic else "the exercises"
            text = f"Started {chapter}: {_done(cause, completed)}"
        case "completion":
            text = f"Exercises{on}: {_done(cause, completed)}"
        case "quiz":
            text = f"{cause.events} quizzes{on} with {share} on average" if many else f"A quiz{on} with {share}"
        case "answer":
            text = f"{cause.events} answers{on}, {share} right" if many else f"An answer{on}, {share} right"
        case "quality":
            text = f"{cause.events} reviews{on} with {share} on average" if many else f"A review{on} with {share}"
        case "regrade":
            marks = f"{cause.events} marks{on} corrected, the last" if many else f"A mark{on} corrected"
            text = f"{marks} to {share}"
        case "calculation":
            text = f"Set to {share} by a calculation"
        case _:
            text = f"{cause.events} pieces of work"
    return f"{text}, which came late" if cause.is_late else text


def _done(cause: Cause, completed: Mapping[str, TopicProgress]) -> str:
    progress = completed.get(cause.topic or "")
    if progress is not None:
        done = -(-cause.share * progress.total // WHOLE)
        if progress.total <= WHOLE and done * WHOLE // progress.total == cause.share:  # no other number comes to it
            return f"{done} of {progress.total} done"
    return f"{cause.share * 100 // WHOLE}% done"


def _percent(cause: Cause) -> str:
    """The result of a cause in whole per cent, rounded down as pages show shares; a mean without its error."""
    error = MEAN_ERROR if cause.events > 1 else 0
    return f"{min(cause.share + error, WHOLE) * 100 // WHOLE}%"


def _dropped_words(student: Student, rules: Rules) -> str:
    if len(student.evidence.told_apart()) < MAX_ATTEMPTS:
        return _aged_words(rules)
    return (
        f"Work from before the last {rules.retention_days} days, or from before the last {MAX_ATTEMPTS} attempts, no "
        "longer counts"
    )


def _aged_words(rules: Rules) -> str:
    return f"Work from before the last {rules.retention_days} days no longer counts"


def _told(cause: Cause, weight: float, message: str) -> ChangeCause:
    return ChangeCause(cause.kind, cause.topic, cause.events, _points(cause.moved, weight), message)


def _points(moved: int, weight: float) -> float:
    """So many sixths of a component, as a part of the score."""
    return weight * moved / SIXTHS
