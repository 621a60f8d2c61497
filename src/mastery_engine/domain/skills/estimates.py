"""Estimates of what a student knows, skill by skill: what advice, paths and simulations are computed from."""

from collections.abc import Mapping
from math import exp
from typing import TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.evidence.evidence import Evidence
from mastery_engine.domain.moments import DAY, Day, Micros
from mastery_engine.domain.skills import knowledge as skills
from mastery_engine.domain.skills.knowledge import KnowledgeState
from mastery_engine.domain.skills.model import SkillModel

UNSEEN = 0.30
KNOWN = 0.60
MASTERED = 0.80
FORGOTTEN = 0.12
RESTED_DAYS = 21  # about the gap after which a review keeps most for months (Cepeda et al. 2008)
ENOUGH = 3  # answers, from which on they count and not the exercises done
_LEAST, _MOST = 0.25, 0.95
_KEEPS_DAYS = 60.0


class SkillEstimate(msgspec.Struct, frozen=True, gc=False):
    """What is known about one skill now.

    ``probability`` is that of a correct next answer, ``uncertainty`` its standard error, ``forgotten`` how much of it
    was lost since ``last_practised``; all in [0, 1]. ``rested`` means that the skill was known at ``last_practised``,
    three weeks ago or more.
    """

    skill: str
    probability: float
    uncertainty: float
    forgotten: float
    last_practised: Micros
    rested: bool = False

    @property
    def needs_review(self) -> bool:
        """Whether it is time for a review."""
        return self.rested or self.forgotten >= FORGOTTEN


Estimates: TypeAlias = Mapping[str, SkillEstimate]


class Outlook(msgspec.Struct, frozen=True, gc=False):
    """Estimates within a course; ``known`` has the bits of skills that count as known, ``seen`` of skills estimated."""

    estimates: Estimates
    known: int
    seen: int
    curriculum: Curriculum

    def knows(self, skill: str) -> bool:
        """Whether a skill of the course counts as known."""
        return bool(self.known & self.curriculum.bits[skill])


def outlook(estimates: Estimates, curriculum: Curriculum) -> Outlook:
    """The estimates within a course: skills shown to be known count as known, and so do their unseen prerequisites."""
    seen = shown = below = 0
    for name, one in estimates.items():
        bit = curriculum.bits.get(name, 0)
        seen |= bit
        if bit and one.probability >= KNOWN:
            shown |= bit
            below |= curriculum.below[name]
    return Outlook(estimates, below & ~seen | shown, seen, curriculum)


def estimates_of(evidence: Evidence, curriculum: Curriculum, today: Day, floor: Day) -> dict[str, SkillEstimate]:
    """Estimates from the exercises done in each topic that is a skill, or a module, which stands for its skills.

    The share done is taken as learned, and e^(-days / 60) of it is left (Ebbinghaus 1885, as an exponential).
    """
    found: dict[str, SkillEstimate] = {}
    oldest, progresses = floor * DAY, evidence.completion
    for topic, progress in progresses.items():
        meant = curriculum.skills_of(topic)
        if not meant or progress.at < oldest:
            continue
        learned = (_MOST - _LEAST) * progress.completed / progress.total
        left = learned * exp(-max(0, today - progress.at // DAY) / _KEEPS_DAYS)
        uncertainty = 0.5 / (1 + progress.total) ** 0.5
        for skill in meant:
            if skill == topic or skill not in progresses:
                found[skill] = SkillEstimate(skill, _LEAST + left, uncertainty, learned - left, progress.at)
    return found


def answered_estimates(
    knowledge: KnowledgeState, curriculum: Curriculum, today: Day, model: SkillModel
) -> dict[str, SkillEstimate]:
    """Estimates from the answers to items, for each skill of the course with enough answers.

    Answers after pauses show almost no loss, but neither do they prove that the skill is still there: so a known skill
    should be reviewed after some weeks.
    """
    found: dict[str, SkillEstimate] = {}
    names = [name for name, one in knowledge.skills.items() if one.answers >= ENOUGH and name in curriculum.skills]
    for name, now in zip(names, skills.estimates(knowledge, names, today * DAY, model), strict=True):
        probability, forgotten, last = now.probability, now.forgotten, knowledge.skills[name].at
        error = now.uncertainty * probability * (1.0 - probability)
        rested = probability + forgotten >= KNOWN and today - last // DAY >= RESTED_DAYS
        found[name] = SkillEstimate(name, probability, error, forgotten, last, rested)
    return found
