"""What a student knows of each skill, as far as it is known: the value that advice, paths and simulations are given."""

from collections.abc import Mapping
from math import exp
from typing import TypeAlias

import msgspec

from mastery_engine.domain.curriculum import Curriculum
from mastery_engine.domain.evidence import Evidence, Progress
from mastery_engine.domain.moments import DAY, Day, Micros, day_of

UNSEEN = 0.30
KNOWN = 0.70
MASTERED = 0.85
_LEAST, _MOST = 0.25, 0.95
_KEEPS_DAYS = 60.0


class SkillEstimate(msgspec.Struct, frozen=True, gc=False):
    """What is known of one skill now.

    ``probability`` is that of a correct next answer, ``uncertainty`` its standard error, ``forgotten`` how much of it
    was lost since ``last_practised``; all in [0, 1].
    """

    skill: str
    probability: float
    uncertainty: float
    forgotten: float
    last_practised: Micros


Estimates: TypeAlias = Mapping[str, SkillEstimate]


def estimates_of(evidence: Evidence, curriculum: Curriculum, today: Day, floor: Day) -> dict[str, SkillEstimate]:
    """Estimates from the exercises done in each topic that is a skill, or a module for its skills.

    The share done stands for what was learned, and of that e^(-days / 60) is left (Ebbinghaus 1885, as an exponential).
    """
    found: dict[str, SkillEstimate] = {}
    skills = curriculum.skills
    oldest = floor * DAY
    for topic, progress in evidence.completion.items():
        if progress.at >= oldest:
            if topic in skills:
                found[topic] = _estimate(topic, progress, today)
            else:
                for skill in curriculum.skills_of(topic):
                    if skill not in evidence.completion:
                        found[skill] = _estimate(skill, progress, today)
    return found


def _estimate(skill: str, progress: Progress, today: Day) -> SkillEstimate:
    learned = (_MOST - _LEAST) * progress.completed / progress.total
    left = learned * exp(-max(0, today - day_of(progress.at)) / _KEEPS_DAYS)
    return SkillEstimate(skill, _LEAST + left, 0.5 / (1 + progress.total) ** 0.5, learned - left, progress.at)


def known_skills(estimates: Estimates, curriculum: Curriculum) -> set[str]:
    """The skills that count as known: shown to be, or never seen and below one that is."""
    shown = [name for name, one in estimates.items() if one.probability >= KNOWN]
    known = set(shown)
    before = curriculum.before
    for name in shown:
        known.update(needed for needed in before.get(name, ()) if needed not in estimates)
    return known
