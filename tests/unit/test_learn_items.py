"""What is learned of items while the service runs: revisions of the model, which change nothing that was."""

from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.kinds import Answer, Difficulty
from mastery_engine.domain.moments import MINUTE, SECOND
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skill_model import DEFAULT_SKILLS, MAX_REVISIONS, SkillModel
from mastery_engine.domain.skills import NOT_TRACED, Tracing, level_of, traced
from mastery_engine.domain.student import NOBODY
from mastery_engine.domain.transition import apply
from mastery_engine.lab.fit_skills import MOVED, Answered, learn_items
from tests.samples import NOW, event, logged

TRUTH = {f"i{number}": (number - 4.5) / 2 for number in range(10)}


def classroom(students: int, seed: int, said: Difficulty | None = None) -> list[list[Answered]]:
    """Each student answers each item twice, in an order of their own; the items are as hard as the truth says."""
    chance, found = Random(seed), []
    for _ in range(students):
        ability = chance.gauss(1.0, 0.5)
        items = chance.sample([*TRUTH] * 2, 2 * len(TRUTH))
        found.append(
            [
                (
                    NOW + place * MINUTE,
                    Answer(item, ("s",), chance.random() < 1 / (1 + exp(TRUTH[item] - ability)), difficulty=said),
                )
                for place, item in enumerate(items)
            ]
        )
    return found


def loss(students: list[list[Answered]], model: SkillModel) -> float:
    """The mean squared error of what is said of each answer before it."""
    errors = []
    for answers in students:
        tracing = NOT_TRACED
        for at, answer in answers:
            level = level_of(tracing, "s", at, model) - model.difficulty(answer.item_id, answer.difficulty, at)
            errors.append((answer.correct - model.chance(level)) ** 2)
            tracing = traced(tracing, answer, at, model)
    return sum(errors) / len(errors)


def test_it_learns_how_hard_items_are_and_so_predicts_better() -> None:
    items = learn_items(classroom(200, 1), DEFAULT_SKILLS, NOW)
    assert items == pytest.approx(TRUTH, abs=0.6)
    assert sorted(items, key=items.__getitem__) == [*TRUTH]
    unseen = classroom(50, 2)
    assert loss(unseen, DEFAULT_SKILLS.revised(NOW, items)) < 0.93 * loss(unseen, DEFAULT_SKILLS)


def test_where_nothing_is_known_it_begins_at_what_the_author_says() -> None:
    one = [[(NOW, Answer("new", ("s",), True, difficulty="advanced"))]]
    (learned,) = learn_items(one, DEFAULT_SKILLS, NOW).values()
    assert DEFAULT_SKILLS.harder - 1.0 < learned < DEFAULT_SKILLS.harder


def test_what_the_file_says_of_an_item_weighs_more_than_an_answer() -> None:
    one = [[(NOW, Answer("known", ("s",), True))]]
    fitted = learn_items(one, SkillModel(items={"known": 1.0}), NOW)["known"]
    unknown = learn_items(one, DEFAULT_SKILLS, NOW)["known"]
    assert 0.0 < 1.0 - fitted < -unknown / 2


def test_the_same_answers_again_are_no_news() -> None:
    students = classroom(60, 3)
    model = DEFAULT_SKILLS.revised(NOW, learn_items(students, DEFAULT_SKILLS, NOW))
    assert learn_items(students, model, NOW + 1) == {}
    more = learn_items([*students, *classroom(60, 4)], model, NOW + 1)
    assert all(abs(now - model.difficulty(name, None, NOW)) > MOVED for name, now in more.items())


ANSWERS = st.lists(st.tuples(st.integers(0, 100), st.sampled_from([*TRUTH]), st.booleans()), max_size=20)


def folded(answers: list[tuple[int, str, bool]], model: SkillModel) -> Tracing:
    events = [
        event("answer", {"item_id": item, "skills": ["s"], "correct": right}, f"e{place}", at=NOW + at * SECOND)
        for place, (at, item, right) in enumerate(answers)
    ]
    return apply(NOBODY, logged(events), NOW + 1_000 * SECOND, Rules(), skills=model).student.tracing


@given(ANSWERS, st.integers(0, 100))
def test_a_revision_changes_nothing_of_answers_from_before_it(answers: list[tuple[int, str, bool]], since: int) -> None:
    """So who has the newer file comes to the same as who has not yet, and a replay later to the same as both."""
    later = DEFAULT_SKILLS.revised(NOW + since * SECOND, TRUTH)
    before = [one for one in answers if one[0] < since]
    assert folded(before, later) == folded(before, DEFAULT_SKILLS)
    if any(at >= since for at, _, _ in answers):
        assert folded(answers, later) != folded(answers, DEFAULT_SKILLS)


def test_each_answer_goes_by_the_revision_of_its_moment() -> None:
    model = SkillModel(items={"i": 0.1}).revised(10, {"i": 1.0}).revised(20, {"j": 5.0}).revised(30, {"i": 2.0})
    assert [model.difficulty("i", "advanced", at) for at in (9, 10, 29, 30)] == [0.1, 1.0, 1.0, 2.0]
    assert model.difficulty("j", "advanced", 19) == model.harder


def test_the_oldest_revision_becomes_part_of_the_file_where_there_are_too_many() -> None:
    model = DEFAULT_SKILLS
    for since in range(MAX_REVISIONS + 1):
        model = model.revised(since, {f"i{since}": 1.0})
    assert len(model.revisions) == MAX_REVISIONS
    assert model.items == {"i0": 1.0}


def test_a_revision_of_earlier_than_the_last_is_refused() -> None:
    with pytest.raises(ValueError, match="order of their moments"):
        DEFAULT_SKILLS.revised(10, {}).revised(10, {})
