"""What the knowledge state recalls of skills that the section no longer holds.

The section holds the skills answered last, the knowledge state all of them, in fewer numbers: how many answers, the own
level, and recent successes, each of which counts less with every further answer. From these a record is made as the
section would hold it, so that a skill practised long ago is not taken for one that was never tried.
"""

import msgspec

from mastery_engine.domain.moments import SECOND
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, KnowledgeState, level_when_practised, own_level
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills.next_answer.state import (
    GENERAL_VARIANCE,
    LATEST_SECOND,
    NO_ANSWERS,
    SKILL_VARIANCE,
    AnswerState,
    SkillRecord,
    unpacked,
)

# How what the knowledge state says becomes a level of this model's, by records of assist09 and assist17_ts that were
# kept longer on trial: there 0.69 and 0.24 of the own level, and 0.024 and 0.007 of a variance's loss an answer.
OWN_SHARE, SURER = 0.5, 0.016
RESULTS = 4  # as many results a record holds
FAST, MIDDLE = 0.5, 0.5 ** (1 / 8)  # what is left of a count after an answer more, at half-lives of 1 and 8 answers


class Memory(msgspec.Struct, frozen=True, gc=False):
    """The knowledge state before an answer, with the model that traced it."""

    knowledge: KnowledgeState = NO_KNOWLEDGE
    model: SkillModel = DEFAULT_SKILLS


NO_MEMORY = Memory()


def state_of(source: bytes, memory: Memory) -> AnswerState:
    """The state in bytes; of a document from before there was a section, its general level as the knowledge state has
    it."""
    general = memory.knowledge.general
    if source or general is None:
        return unpacked(source)
    share = memory.model.carry_over
    variance = min(GENERAL_VARIANCE, share * share * general.variance)
    return msgspec.structs.replace(NO_ANSWERS, mean=share * general.mean, variance=variance)


def recalled(name: str, memory: Memory, longest: int) -> SkillRecord:
    """The record of a skill that the knowledge state has; ``longest`` is the place of the answer on the skill that the
    section has held longest, before which this one's came.

    The last four results are read off the recent successes; of those before them the share was right that is likely at
    the level.
    """
    knowledge, model = memory.knowledge, memory.model
    skill = knowledge.skills[name]
    results = last_results(skill.successes, skill.answers, model.success_kept)
    chance = model.chance(level_when_practised(knowledge, name, model))
    earlier = skill.answers - len(results)
    bits = 1
    fast, middle = _weight(earlier, FAST), _weight(earlier, MIDDLE)
    right_fast, right_middle, right = fast * chance, middle * chance, earlier * chance
    for was_right in results:
        bits = bits << 1 | was_right
        fast, middle = fast * FAST + 1.0, middle * MIDDLE + 1.0
        right_fast, right_middle = right_fast * FAST + was_right, right_middle * MIDDLE + was_right
        right += was_right
    wrong_middle = middle - right_middle
    return (
        OWN_SHARE * own_level(skill, name, model),
        SKILL_VARIANCE / (1.0 + SURER * skill.answers),
        min(max(skill.at // SECOND, 0), LATEST_SECOND),
        max(longest - 1, 0),
        bits,
        right_fast,
        fast - right_fast,
        right_middle,
        wrong_middle,
        right,
        skill.answers - right,
        right_middle * (1.0 - chance),
        wrong_middle * chance,
    )


def last_results(successes: float | None, answers: int, kept: float) -> list[int]:
    """The last results of so many answers, the newest at the end and at most four, by the recent successes, of which
    ``kept`` was left with each further answer.

    Where ``kept`` is 0.6, those of three answers cannot be mistaken; of more, one in four is. Documents from
    before successes were counted have None, and no results.
    """
    found: list[int] = []
    if successes is None:
        return found
    for more in range(answers - 1, max(answers - 1 - RESULTS, -1), -1):
        most = kept * _weight(more, kept)  # of the successes before this answer, if all were right
        was_right = int(successes >= (1.0 + most) / 2.0)
        found.append(was_right)
        successes = (successes - was_right) / kept if kept else 0.0
    return found[::-1]


def _weight(answers: int, kept: float) -> float:
    """What so many answers weigh, if with each further one the share ``kept`` of them is left."""
    return float((1.0 - kept**answers) / (1.0 - kept))
