"""The answers of an explanation, and of several students at a glance."""

import msgspec

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.evidence.history import Trend
from mastery_engine.domain.rules import Component
from mastery_engine.responses.help import Reason
from mastery_engine.responses.scores import Score


class Cost(msgspec.Struct, frozen=True):
    """What one component costs: ``cost`` = ``weight`` × (1 − ``score``), the most that it could add to the score.

    ``needed`` is the value at which the next level begins if the others stay; None if it cannot be reached so.
    """

    component: Component
    score: Score
    weight: Score
    cost: Score
    has_evidence: bool
    needed: Score | None
    what_moves_it: str


class Explanation(msgspec.Struct, frozen=True):
    """Why a score is what it is; the costliest component first. ``missing`` is the distance to the next level."""

    student_id: str
    mastery_score: Score
    level: str
    coverage: Score
    next_level: str | None
    missing: Score | None
    costs: list[Cost]


class Glance(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of several students. ``risk`` and ``reasons`` are as in a cohort's figures; 0 and empty if all is well.

    They are so, too, where the student does not consent to profiling. ``display_name`` is there where they have one.
    ``course_id`` is left out for ``default``.
    """

    student_id: str
    mastery_score: Score
    level: str
    trend: Trend
    risk: Score
    reasons: list[Reason]
    display_name: str | None = None
    course_id: str = DEFAULT_COURSE


class ClassGlance(msgspec.Struct, frozen=True):
    """Several students: those who need help, the worst first, and then the others, the lowest score first.

    A teacher's student who is in several of their courses stands there once for each.
    ``unknown`` are those without any event. The ``average`` and the ``levels``, how many are at each that somebody has
    reached, are of those who consent to profiling, as a cohort's are.
    """

    students: list[Glance]
    unknown: list[str]
    average: Score | None
    levels: dict[str, int]
