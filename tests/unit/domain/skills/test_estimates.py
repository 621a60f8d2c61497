"""What advice goes by: the exercises done, and answers where there were enough."""

import pytest

from mastery_engine.domain.advice.guidance import outlook_of
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import ENOUGH, KNOWN, RESTED_DAYS
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, KnowledgeState, estimate, with_answer
from mastery_engine.domain.skills.model import DEFAULT_SKILLS
from tests.support.samples import CURRICULUM, NOW, TODAY, done, evidence_of

SKILL = next(iter(CURRICULUM.skills))


def test_a_skill_once_known_is_to_be_reviewed_after_three_weeks_without_practice() -> None:
    """Whatever else was practised; what was never known is to be practised, not reviewed."""
    at, elsewhere = NOW, NO_KNOWLEDGE
    for right, fades in ((True, True), (False, False)):
        knowledge = answered(8, right=right)
        for days, rested in ((RESTED_DAYS - 2, False), (RESTED_DAYS - 1, fades)):
            at = NOW + days * DAY
            elsewhere = with_answer(knowledge, Answer("i", ("juggling",), True), at, DEFAULT_SKILLS)
            for one in (knowledge, elsewhere):
                view = outlook_of(NO_EVIDENCE, TODAY + days, CURRICULUM, Rules(), one)
                assert view.estimates[SKILL].rested == view.estimates[SKILL].needs_review == rested
    again = with_answer(elsewhere, Answer("i", (SKILL,), True), at, DEFAULT_SKILLS)
    assert not outlook_of(NO_EVIDENCE, at // DAY, CURRICULUM, Rules(), again).estimates[SKILL].needs_review


def answered(times: int, *, right: bool, skill: str = SKILL) -> KnowledgeState:
    knowledge = NO_KNOWLEDGE
    for number in range(times):
        knowledge = with_answer(knowledge, Answer(f"i{number}", (skill,), right), NOW - DAY, DEFAULT_SKILLS)
    return knowledge


def test_a_few_answers_say_nothing_yet_and_enough_of_them_are_believed() -> None:
    assert outlook_of(NO_EVIDENCE, TODAY, CURRICULUM, Rules(), answered(ENOUGH - 1, right=True)).known == 0
    view = outlook_of(NO_EVIDENCE, TODAY, CURRICULUM, Rules(), answered(8, right=True))
    assert view.knows(SKILL)
    found = view.estimates[SKILL]
    traced_now = estimate(answered(8, right=True), SKILL, TODAY * DAY, DEFAULT_SKILLS)
    assert found.probability == traced_now.probability >= KNOWN
    assert found.uncertainty == pytest.approx(
        traced_now.uncertainty * found.probability * (1 - found.probability), abs=1e-12
    )
    assert found.last_practised == NOW - DAY


def test_answers_count_for_more_than_exercises_and_unknown_skills_are_left_out() -> None:
    evidence = evidence_of(done(SKILL, 10, 10), retention_days=90)
    assert outlook_of(evidence, TODAY, CURRICULUM, Rules()).knows(SKILL)
    assert not outlook_of(evidence, TODAY, CURRICULUM, Rules(), answered(8, right=False)).knows(SKILL)
    assert (
        "juggling"
        not in outlook_of(evidence, TODAY, CURRICULUM, Rules(), answered(8, right=True, skill="juggling")).estimates
    )
