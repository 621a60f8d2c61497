"""What is learned of items while the service runs: revisions of the model, which change nothing that was."""

from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.kinds import Answer, Difficulty
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, KnowledgeState, level_of, with_answer
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, MAX_REVISIONS, Revision, SkillModel
from mastery_engine.domain.student import NOBODY, StudentKey
from mastery_engine.domain.transition import apply
from mastery_engine.lab.skills.fit import learn_items
from mastery_engine.worker.logged_answers import LoggedAnswer
from tests.support.samples import NOW, event, logged

TRUTH = {f"i{number}": (number - 4.5) / 2 for number in range(10)}


def classroom(students: int, seed: int, difficulty: Difficulty | None = None, at: Micros = NOW) -> list[LoggedAnswer]:
    """Each student answers each item twice, in an order of their own; the items are as hard as the truth says."""
    chance, answers = Random(seed), []
    for number in range(students):
        ability = chance.gauss(1.0, 0.5)
        for place, item in enumerate(chance.sample([*TRUTH] * 2, 2 * len(TRUTH))):
            right = chance.random() < 1 / (1 + exp(TRUTH[item] - ability))
            when = at + place * MINUTE
            key = StudentKey("school", f"{seed}/{number}")
            answers.append(LoggedAnswer(key, when, when, Answer(item, ("s",), right, difficulty=difficulty)))
    return answers


def answered(item: str, right: bool, at: Micros, student: str = "ann") -> LoggedAnswer:
    return LoggedAnswer(StudentKey("school", student), at, at, Answer(item, ("s",), right))


def learned(answers: list[LoggedAnswer], model: SkillModel = DEFAULT_SKILLS) -> dict[str, float]:
    return {name: difficulty for name, (difficulty, _) in learn_items(answers, model, NOW).items.items()}


def loss(answers: list[LoggedAnswer], model: SkillModel) -> float:
    """The mean squared error of what is said of each answer before it."""
    errors = []
    levels: dict[StudentKey, KnowledgeState] = {}
    for key, _, at, answer in answers:
        knowledge = levels.get(key, NO_KNOWLEDGE)
        level = level_of(knowledge, "s", at, model) - model.difficulty(answer.item_id, answer.difficulty, at)
        errors.append((answer.correct - model.chance(level)) ** 2)
        levels[key] = with_answer(knowledge, answer, at, model)
    return sum(errors) / len(errors)


def test_it_learns_how_hard_items_are_and_so_predicts_better() -> None:
    revision = learn_items(classroom(200, 1), DEFAULT_SKILLS, NOW)
    items = {name: difficulty for name, (difficulty, _) in revision.items.items()}
    assert items == pytest.approx(TRUTH, abs=0.6)
    assert sorted(items, key=items.__getitem__) == [*TRUTH]
    unseen = classroom(50, 2)
    assert loss(unseen, DEFAULT_SKILLS.revised(revision, floor=0)) < 0.93 * loss(unseen, DEFAULT_SKILLS)


def test_where_nothing_is_known_it_begins_at_what_the_author_says() -> None:
    answers = [LoggedAnswer(StudentKey("school", "ann"), NOW, NOW, Answer("new", ("s",), True, difficulty="advanced"))]
    assert DEFAULT_SKILLS.harder - 1.0 < learned(answers)["new"] < DEFAULT_SKILLS.harder


def test_what_the_file_says_of_an_item_weighs_more_than_an_answer() -> None:
    fitted = learned([answered("known", True, NOW)], SkillModel(items={"known": 1.0}))["known"]
    unknown = learned([answered("known", True, NOW)])["known"]
    assert 0.0 < 1.0 - fitted < -unknown / 2


def test_it_goes_on_where_the_last_revision_ended_and_a_few_answers_outweigh_none_that_are_gone() -> None:
    first, later = classroom(100, 3), classroom(100, 4, at=NOW + DAY)
    once = learn_items(first, DEFAULT_SKILLS, NOW)
    model = DEFAULT_SKILLS.revised(once, floor=0)
    assert learn_items(first, model, NOW + DAY).items == {}, "the same answers again"
    twice = learn_items([*first, *later], model, NOW + DAY)
    assert all(twice.items[name][1] < once.items[name][1] for name in TRUTH)
    assert learned([*first, *later]) == pytest.approx(
        {name: difficulty for name, (difficulty, _) in twice.items.items()}, abs=0.05
    ), "in two steps as in one"
    left = learned([answered("i9", True, NOW + 2 * DAY)], model.revised(twice, floor=0))
    assert left["i9"] == pytest.approx(twice.items["i9"][0], abs=0.05), "the log has lost all others"


def test_who_is_first_in_the_alphabet_and_who_answers_again_and_again_decides_nothing() -> None:
    mixed = [
        answered("i", student % 2 == 0, NOW + student, f"{1 - student % 2}-{student:04}") for student in range(2_000)
    ]
    renamed = [answer._replace(key=StudentKey("school", answer.key.student_id[::-1])) for answer in mixed]
    assert learned(mixed) == learned(renamed)
    level = level_of(NO_KNOWLEDGE, "s", NOW, DEFAULT_SKILLS)
    assert learned(mixed)["i"] == pytest.approx(level, abs=0.25), "half of the newcomers are right"
    again = [answered("i", False, NOW + 5_000 + place, "zoe") for place in range(500)]
    assert learned([*mixed, *again])["i"] == pytest.approx(learned(mixed)["i"], abs=0.01)


ANSWERS = st.lists(st.tuples(st.integers(0, 100), st.sampled_from([*TRUTH]), st.booleans()), max_size=20)


def folded(answers: list[tuple[int, str, bool]], model: SkillModel) -> KnowledgeState:
    events = [
        event("answer", {"item_id": item, "skills": ["s"], "correct": right}, f"e{place}", at=NOW + at * SECOND)
        for place, (at, item, right) in enumerate(answers)
    ]
    return apply(NOBODY, logged(events), NOW + 1_000 * SECOND, Rules(), skills=model).student.knowledge


@given(ANSWERS, st.integers(0, 100))
def test_a_revision_changes_nothing_of_answers_from_before_it(answers: list[tuple[int, str, bool]], since: int) -> None:
    """So who has the newer file comes to the same as who has not yet, and a replay later to the same as both."""
    later = DEFAULT_SKILLS.revised(revision(NOW + since * SECOND, **TRUTH), floor=0)
    before = [answer for answer in answers if answer[0] < since]
    assert folded(before, later) == folded(before, DEFAULT_SKILLS)
    if any(at >= since for at, _, _ in answers):
        assert folded(answers, later) != folded(answers, DEFAULT_SKILLS)


def revision(since: Micros, **items: float) -> Revision:
    return Revision(since, since, {name: (difficulty, 0.1) for name, difficulty in items.items()})


def test_each_answer_goes_by_the_revision_of_its_moment() -> None:
    model = SkillModel(items={"i": 0.1})
    for newer in (revision(10, i=1.0), revision(20, j=5.0), revision(30, i=2.0)):
        model = model.revised(newer, floor=0)
    assert [model.difficulty("i", "advanced", at) for at in (9, 10, 29, 30)] == [0.1, 1.0, 1.0, 2.0]
    assert model.difficulty("j", "advanced", 19) == model.harder


def test_an_answer_that_comes_late_goes_by_its_own_moment_too() -> None:
    model = DEFAULT_SKILLS.revised(revision(NOW + DAY, i=2.0), floor=0)
    knowledge = with_answer(NO_KNOWLEDGE, Answer("other", ("s",), True), NOW + 2 * DAY, model)
    late = Answer("i", ("s",), True)
    assert with_answer(knowledge, late, NOW, model) == with_answer(knowledge, late, NOW, DEFAULT_SKILLS)
    assert with_answer(knowledge, late, NOW + DAY, model) != with_answer(knowledge, late, NOW + DAY, DEFAULT_SKILLS)


def test_revisions_that_no_answer_goes_by_any_more_become_one() -> None:
    model = DEFAULT_SKILLS
    for place in range(10):
        model = model.revised(revision(place * DAY, **{f"i{place}": 1.0}), floor=(place - 4) * DAY)
    assert [kept.since // DAY for kept in model.revisions] == [5, 6, 7, 8, 9]
    assert [name for name in sorted(f"i{place}" for place in range(10)) if model.difficulty(name, None, 9 * DAY)] == [
        f"i{place}" for place in range(10)
    ]


def test_a_revision_of_earlier_than_the_last_and_one_too_many_are_refused() -> None:
    model = DEFAULT_SKILLS.revised(revision(10), floor=0)
    with pytest.raises(ValueError, match="order of their moments"):
        model.revised(revision(10), floor=0)
    for since in range(11, 10 + MAX_REVISIONS):
        model = model.revised(revision(since), floor=0)
    with pytest.raises(ValueError, match="at most"):
        model.revised(revision(10 + MAX_REVISIONS), floor=0)
