"""What the knowledge state recalls of skills that the section no longer holds."""

from itertools import product
from random import Random
from statistics import mean

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY, MINUTE
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, General, KnowledgeState, SkillLevel, packed
from mastery_engine.domain.skills.knowledge import with_answer as traced
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills.next_answer import recall
from mastery_engine.domain.skills.next_answer.model import AnswerChance, ItemAsked, chances, with_answer
from mastery_engine.domain.skills.next_answer.parameters import PRIOR
from mastery_engine.domain.skills.next_answer.predictions import next_answers
from mastery_engine.domain.skills.next_answer.recall import Memory, last_results, recalled
from mastery_engine.domain.skills.next_answer.state import SKILL, SKILLS, name_hash, unpacked
from mastery_engine.domain.student import NOBODY
from tests.support.samples import NOW

NAMES = (
    "level",
    "variance",
    "second",
    "place",
    "results",
    "right 1",
    "wrong 1",
    "right 8",
    "wrong 8",
    "right",
    "wrong",
)
results = st.lists(st.booleans(), min_size=1, max_size=12)


def worked(skills: str, rights: list[bool]) -> tuple[bytes, KnowledgeState]:
    """What is known after answers, each on the skill of its letter, a minute apart, of both models."""
    source, knowledge = b"", NO_KNOWLEDGE
    for place, (skill, right) in enumerate(zip(skills, rights, strict=True)):
        answer, at = Answer(f"i{place}", (skill,), right), NOW + place * MINUTE
        source = with_answer(source, answer, at, PRIOR, Memory(knowledge))
        knowledge = traced(knowledge, answer, at, DEFAULT_SKILLS)
    return source, knowledge


def asked(skill: str, source: bytes, knowledge: KnowledgeState = NO_KNOWLEDGE) -> AnswerChance:
    (chance,) = chances(source, [ItemAsked("new", (skill,))], NOW + DAY, PRIOR, Memory(knowledge))
    return chance


def beside_the_section(rights: list[bool], other: bool) -> tuple[AnswerChance, AnswerChance, AnswerChance]:
    """The chance on a skill that is just still held, on the same when it fell out, and on one that was never tried."""
    others = "abcdefgh"
    before, _ = worked("s" * len(rights) + others[:-1], [*rights, *[other] * (SKILLS - 1)])
    source, knowledge = worked("s" * len(rights) + others, [*rights, *[other] * SKILLS])
    assert name_hash("s") in unpacked(before).skills
    assert name_hash("s") not in unpacked(source).skills
    return asked("s", before), asked("s", source, knowledge), asked("x", source, knowledge)


@given(results, st.booleans())
def test_a_skill_that_fell_out_is_told_from_one_that_was_never_tried(rights: list[bool], other: bool) -> None:
    held, fell_out, never = beside_the_section(rights, other)
    assert (held.basis, fell_out.basis, never.basis) == ("skills", "skills", "prior")
    assert abs(fell_out.probability - held.probability) < 0.15


def test_it_is_known_nearly_as_if_it_were_still_held() -> None:
    chance, recalled_by, taken_for_new_by = Random(1), [], []
    for _ in range(150):
        share = chance.random()
        rights = [chance.random() < share for _ in range(chance.randint(1, 12))]
        held, fell_out, never = beside_the_section(rights, chance.random() < 0.5)
        recalled_by.append(abs(fell_out.probability - held.probability))
        taken_for_new_by.append(abs(never.probability - held.probability))
    assert mean(recalled_by) < 0.03
    assert mean(recalled_by) < mean(taken_for_new_by) / 3


def test_a_mastered_skill_of_long_ago_is_no_longer_taken_for_a_new_one() -> None:
    source, knowledge = worked("s" * 12 + "abcdefghij", [True] * 12 + [False, True] * 5)
    student = msgspec.structs.replace(NOBODY, answers=source, traced=packed(knowledge))
    item = [ItemAsked("new", ("s",))]
    (known,) = next_answers(student, item, NOW + DAY, PRIOR, DEFAULT_SKILLS, Rules())
    (unknown,) = next_answers(
        msgspec.structs.replace(student, traced=b""), item, NOW + DAY, PRIOR, DEFAULT_SKILLS, Rules()
    )
    assert (known.basis, unknown.basis) == ("skills", "prior")
    assert known.probability > unknown.probability + 0.1
    (forgotten,) = next_answers(student, item, NOW + 100 * DAY, PRIOR, DEFAULT_SKILLS, Rules())
    assert forgotten.basis == "prior", "older than the retention"


@pytest.mark.parametrize("number", range(1, 8))
def test_the_last_results_are_read_off_the_successes(number: int) -> None:
    mistaken = 0
    for rights in product((0, 1), repeat=number):
        successes = 0.0
        for right in rights:
            successes = successes * 0.6 + right
        found = last_results(successes, number, 0.6)
        assert len(found) == min(number, 4)
        mistaken += sum(one != right for one, right in zip(found, rights[-4:], strict=True))
    assert mistaken == 0 if number <= 3 else mistaken <= 0.27 * 4 * 2**number


def test_of_older_documents_and_other_models_no_result_is_made_up() -> None:
    assert last_results(None, 5, 0.6) == []
    assert last_results(1.0, 3, 0.0) == [0, 0, 1]
    old = KnowledgeState(General(1.0, 0.3, NOW), {"s": SkillLevel(1.5, 0.2, NOW, 1.0, 6)})
    record = dict(zip(NAMES, recalled("s", Memory(old), 9), strict=False))
    assert record["level"] == pytest.approx(recall.OWN_SHARE * (1.5 - DEFAULT_SKILLS.usual - DEFAULT_SKILLS.carry_over))
    assert record["results"] == 1
    assert record["right"] + record["wrong"] == pytest.approx(6.0)
    assert record["place"] == 8


@given(results)
def test_a_recalled_record_is_one_that_a_section_might_hold(rights: list[bool]) -> None:
    source, knowledge = worked("s" * len(rights), rights)
    (held,) = SKILL.iter_unpack(unpacked(source).skill_records)
    found = recalled("s", Memory(knowledge), 0)
    assert SKILL.unpack(SKILL.pack(*found)) == pytest.approx(found, abs=2e-3, rel=2e-3)
    named, expected = dict(zip(NAMES, found, strict=False)), dict(zip(NAMES, held, strict=False))
    assert named["second"] == expected["second"]
    for which in ("1", "8"):
        assert named[f"right {which}"] + named[f"wrong {which}"] == pytest.approx(
            expected[f"right {which}"] + expected[f"wrong {which}"], abs=0.01
        )
    assert named["right"] + named["wrong"] == len(rights)
    if len(rights) <= 3:
        for name in NAMES[4:]:
            assert named[name] == pytest.approx(expected[name], abs=0.01)


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_a_right_answer_in_place_of_a_wrong_one_lowers_nothing_that_is_recalled(rights: list[bool]) -> None:
    worse, better = ([*rights, last] for last in (False, True))
    others = [True, False] * (SKILLS // 2)
    levels = []
    for answers in (worse, better):
        source, knowledge = worked("s" * len(answers) + "abcdefgh", [*answers, *others])
        levels.append(asked("s", source, knowledge).probability)
    assert levels[1] >= levels[0] - 1e-3


def test_a_document_from_before_the_section_is_known_by_its_knowledge() -> None:
    for right in (True, False):
        _, knowledge = worked("ssttuu", [right] * 6)
        known, other = asked("s", b"", knowledge), asked("x", b"", knowledge)
        (nothing,) = chances(b"", [ItemAsked("new", ("s",))], NOW, PRIOR)
        assert (known.probability > nothing.probability) is right
        assert (other.probability > nothing.probability) is right
        assert (known.basis, other.basis) == ("skills", "prior")
        after = with_answer(b"", Answer("i", ("x",), True), NOW + DAY, PRIOR, Memory(knowledge))
        assert (unpacked(after).mean > unpacked(with_answer(b"", Answer("i", ("x",), True), NOW, PRIOR)).mean) is right


def test_whatever_model_traced_the_knowledge_counts_stay_counts() -> None:
    chance = Random(1)
    _, knowledge = worked("".join(chance.choice("stuvw") for _ in range(60)), [True] * 60)
    for model in (DEFAULT_SKILLS, SkillModel(success_kept=0.3)):
        record = recalled("s", Memory(knowledge, model), 1)
        assert record[3] == 0
        assert all(number >= 0.0 for number in record[5:])
