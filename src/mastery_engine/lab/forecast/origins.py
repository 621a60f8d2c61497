"""The origins of the protocol: the moments from which a week ahead is forecast, and what came of it."""

from collections.abc import Iterator

import msgspec

from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.moments import DAY, Day
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.lab.forecast.courses import RecordedLearner, days_of

FIRST, WEEK = 14, 7


class Origin(msgspec.Struct, frozen=True):
    """23:59:59 UTC of one day of one student, with the score then (``now``) and a week later (``later``).

    ``weekly`` are the scores at the same time of day in the weeks before, the newest, which is now, last. ``due`` says
    whether work was due in the week: by the calendar as it was known then, ``due_days``, or, without one, whether work
    came.
    """

    student_id: str
    day: Day
    now: float
    later: float
    aged: float
    weekly: tuple[float, ...]
    due: bool
    due_days: tuple[Day, ...]
    student: Student = NOBODY


def origins_of(learner: RecordedLearner, rules: Rules, *, calendar: bool, documents: bool) -> Iterator[Origin]:
    """A learner's origins: days 14, 21, 28, … up to 7 days before the last event, where there is evidence then.

    ``documents`` keeps the document of each.
    """
    scores: dict[Day, float] = {}
    known: dict[Day, Student] = {}
    for day, student in days_of(learner, rules):
        if (day - learner.first) % WEEK == 0:
            scores[day] = mastery_score(student.evidence, rules.end_of(day), rules).score
            if day - learner.first >= FIRST and student.is_known(rules.end_of(day), rules):
                known[day] = student
    for day, student in known.items():
        at = rules.end_of(day)
        if at + WEEK * DAY > learner.last:
            continue
        due_days = learner.due_known(at)
        due = any(day < due_day <= day + WEEK for due_day in due_days) if calendar else learner.worked(day, day + WEEK)
        yield Origin(
            learner.student_id,
            day,
            scores[day],
            scores[day + WEEK],
            mastery_score(student.evidence, at + WEEK * DAY, rules).score,
            tuple(score for scored, score in scores.items() if scored <= day),
            due,
            due_days,
            student if documents else NOBODY,
        )
