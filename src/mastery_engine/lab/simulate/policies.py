"""How much practice students need whose next skill is chosen by the engine, at random, or by a simple rule.

What the engine advises is what the service would: answers go through the fold, and the document is asked
(``served_student``). Learners are those of ``learners``; engine and rules see answers alone.
"""

from collections.abc import Callable, Mapping
from random import Random
from statistics import mean
from typing import TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY, MINUTE, Micros
from mastery_engine.lab.simulate.learners import FIRST_DAY, LEARNERS
from mastery_engine.lab.simulate.served_student import SHIPPED, ServedModels, ServedStudent

GOAL = 0.75
SESSIONS_A_DAY = 4
LONGEST = 3_000
EXERCISES = 12  # of each skill, answered in turn

_ROUNDS = 4


Policy: TypeAlias = Callable[[ServedStudent, int, Micros, Random], str]


def _engine(student: ServedStudent, session: int, at: Micros, chance: Random) -> str:
    """The engine's first advice about a skill."""
    del session, chance
    return student.advised_skill(at)


def _random(student: ServedStudent, session: int, at: Micros, chance: Random) -> str:
    del session, at
    return chance.choice(list(student.curriculum.skills))


def _weakest(student: ServedStudent, session: int, at: Micros, chance: Random) -> str:
    """The skill with the lowest estimate, whatever it asks for first; of equals any."""
    del session
    view = student.outlook(at // DAY)
    return min(student.curriculum.skills, key=lambda skill: (view.chance(skill), chance.random()))


def _in_order(student: ServedStudent, session: int, at: Micros, chance: Random) -> str:
    """The course from its first skill to its last, four sessions each, and from the start again."""
    del at, chance
    skills = list(student.curriculum.skills)
    return skills[session // _ROUNDS % len(skills)]


POLICIES: Mapping[str, Policy] = {"engine": _engine, "random": _random, "weakest": _weakest, "curriculum": _in_order}


class PolicyOutcome(msgspec.Struct, frozen=True):
    """How a class fared under one policy. ``sessions`` is the mean number until a learner's mean mastery was 0.75.

    ``reached`` counts the learners who came so far within 3,000 sessions; ``curve`` is the class's mean mastery after
    each session.
    """

    policy: str
    sessions: float
    reached: int
    students: int
    curve: list[float]


def course(
    policy: str,
    curriculum: Curriculum,
    *,
    students: int,
    seed: int,
    learners: str = "smooth",
    models: ServedModels = SHIPPED,
) -> PolicyOutcome:
    """A class under a policy, each learner until the goal; the same seed is the same class, whatever the policy."""
    needed: list[int] = []
    curves: list[list[float]] = []
    for number in range(students):
        learner = LEARNERS[learners](curriculum, Random(f"{seed}/{number}"))  # nosec B311
        student, chance = ServedStudent(curriculum, models), Random(f"{seed}/{number}/{policy}")  # nosec B311
        curve = [learner.mean(FIRST_DAY)]
        while curve[-1] < GOAL and len(curve) <= LONGEST:
            session = len(curve) - 1
            at = _moment(session)
            skill = POLICIES[policy](student, session, at, chance)
            answers = learner.practise(skill, at // DAY)
            student.see([_answer(skill, session, place, right) for place, right in enumerate(answers)], at)
            curve.append(learner.mean(at // DAY))
        needed.append(len(curve) - 1)
        curves.append(curve)
    longest = max(map(len, curves))
    whole = [round(mean(curve[min(place, len(curve) - 1)] for curve in curves), 4) for place in range(longest)]
    return PolicyOutcome(
        policy, round(mean(needed), 1), sum(sessions < LONGEST for sessions in needed), students, whole
    )


def _answer(skill: str, session: int, place: int, right: bool) -> Answer:
    return Answer(f"{skill}/{(session + place) % EXERCISES}", (skill,), right)


def _moment(session: int) -> Micros:
    """When a session begins: so many a day, half an hour apart."""
    day, place = divmod(session, SESSIONS_A_DAY)
    return (FIRST_DAY + day) * DAY + (24 + place) * 30 * MINUTE
