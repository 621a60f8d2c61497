"""The past weeks of a student, forecast as they would have been: what a course learns its calibration from."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.forecast.calibration import WEEK, Miss
from mastery_engine.domain.forecast.forecast import model_ahead
from mastery_engine.domain.forecast.model import ForecastModel
from mastery_engine.domain.ids import id_hash
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import apply


def no_calendar(at: Micros) -> Sequence[Day]:
    """The due days known at a moment where there is no calendar: none."""
    del at
    return ()


def misses_of(
    events: Sequence[LearningEvent],
    model: ForecastModel,
    rules: Rules,
    *,
    until: Micros,
    due_known: Callable[[Micros], Sequence[Day]] = no_calendar,
    document: Student = NOBODY,
) -> list[Miss]:
    """The misses of one student in the weeks that were over by ``until``, oldest first.

    ``events`` are the student's, in any order, each taken as received at its own time. ``due_known`` gives the due
    days, past and to come, that were known at a moment. ``document`` is the student's as it is now: what it holds from
    before the day of the first event counts from the beginning, since a log no longer has the events of long ago. The
    weeks follow one another from one of the first seven days on, which the id decides, so that a course's weeks begin
    on all days of the week.
    """
    if not events:
        return []
    known = sorted(events, key=lambda event: (event.at, event.event_id))
    first = rules.day_of(known[0].at)
    start = first + id_hash(known[0].student_id)[0] % WEEK
    begun = Student(document.evidence.before(first, rules), document.history.before(first))
    misses: list[Miss] = []
    before: Student | None = None
    for day, student in documents(known, range(start, rules.day_of(until), WEEK), rules, begun):
        if before is not None:
            came = mastery_score(student.evidence, rules.end_of(day), rules).score
            origin = day - WEEK
            misses.append(_miss(before, origin, came, model, rules, due_known(rules.end_of(origin))))
        before = student if student.is_known(rules.end_of(day), rules) else None
    return misses


def _miss(
    student: Student, origin: Day, came: float, model: ForecastModel, rules: Rules, due_days: Sequence[Day]
) -> Miss:
    found = model_ahead(student, rules.end_of(origin), (WEEK,), model, rules, due_days)
    return Miss(
        origin,
        found.here.score,
        found.aged[-1],
        came,
        found.quantiles[-1],
        found.away,
        found.known_for,
        has_calendar=bool(due_days),
        due=found.due[-1],
        strangeness=found.strangeness,
    )


def documents(
    events: Sequence[LearningEvent], days: Sequence[Day], rules: Rules, student: Student = NOBODY
) -> Iterator[tuple[Day, Student]]:
    """The document of a student at the end of each of some days, which rise, folded as the worker folds.

    ``events`` are in the order of time, each taken as received at its own time. ``student`` is the document before.
    """
    cold = IdsByDay()
    place = 0
    for day in days:
        while place < len(events) and rules.day_of(events[place].at) <= day:
            today = rules.day_of(events[place].at)
            same_day = []
            while place < len(events) and rules.day_of(events[place].at) == today:
                event = events[place]
                same_day.append(Logged(msgspec.structs.replace(event, received=event.at), 0, place))
                place += 1
            done = apply(student, same_day, rules.end_of(today), rules, cold=cold)
            student = msgspec.structs.replace(done.student, results=b"")
            cold = cold if done.cold is None else done.cold
        yield day, student
