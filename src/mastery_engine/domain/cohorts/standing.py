"""Where a student stands on a day: all that the figures of a cohort, and the lists of who needs help, need of them."""

from typing import TypeAlias

import msgspec

from mastery_engine.domain.cohorts.needs_help import Sign, severity, signs_of
from mastery_engine.domain.evidence.history import Trend, trend
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.evidence.shown import shown_scores
from mastery_engine.domain.forecast.forecast import Forecast
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import Student

FourScores: TypeAlias = tuple[float, float, float, float]


class Standing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One student on one day.

    ``score`` is rounded to 9 decimals, so that equal scores compare as equal; a component without evidence is 0.0.
    ``signs`` say why the student needs help, and ``severity`` how much; without a sign it is 0.
    """

    student_id: str
    score: float
    rank: int
    components: FourScores
    trend: Trend
    signs: tuple[Sign, ...] = ()
    severity: float = 0.0


def standing(
    student_id: str, student: Student, at: Micros, rules: Rules, ahead: Forecast | None, *, profiled: bool = True
) -> Standing | None:
    """A student's standing at a moment, with the week's forecast; None if nothing is known about them.

    Nothing is told of who needs help without ``profiled``, the student's consent to profiling.
    """
    if not student.is_known(at, rules):
        return None
    today = rules.day_of(at)
    mastery = mastery_score(student.evidence, at, rules)
    completion, quiz, quality, consistency = (round(value or 0.0, 9) for value in mastery.components)
    scores = shown_scores(student.history, rules, first=rules.first_day(today), last=today)
    signs = signs_of(student, mastery, at, rules, ahead) if profiled else ()
    return Standing(
        student_id,
        round(mastery.score, 9),
        mastery.rank,
        (completion, quiz, quality, consistency),
        trend(scores, today),
        signs,
        severity(signs),
    )


def worst_first(one: Standing) -> tuple[float, str]:
    """The order of all lists of who needs help: by severity, the worst first, and then by id."""
    return (-one.severity, one.student_id)


def those_who_need_help_first(one: Standing) -> tuple[float, float, str]:
    """The order of a whole class: who needs help as in ``worst_first``, then the others, the lowest score first."""
    return (-one.severity, 0.0 if one.signs else one.score, one.student_id)
