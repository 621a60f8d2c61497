"""The model of the next answer: fractions, monotony, what it says when little is known, and its cost."""

from math import exp, sqrt
from random import Random
from time import process_time

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.kinds import Answer, Difficulty
from mastery_engine.domain.moments import DAY, SECOND, Micros
from mastery_engine.domain.skills.next_answer.effects import Effects
from mastery_engine.domain.skills.next_answer.features import FEATURES, SIGNS
from mastery_engine.domain.skills.next_answer.head import SHIPPED, SHIPPED_INTERCEPT, Head, HeadWeights
from mastery_engine.domain.skills.next_answer.levels import ItemLevel, Known, elapsed, skills_standing
from mastery_engine.domain.skills.next_answer.model import (
    AT_ONCE,
    ItemAsked,
    NewAnswer,
    answers_since_right,
    chances,
    known_before,
    last_answer,
    moved_traits,
    seen,
    with_answer,
    with_answers,
)
from mastery_engine.domain.skills.next_answer.parameters import (
    PRIOR,
    AnswerModel,
    AnswerModels,
    AnswerParameters,
    LevelRevision,
)
from mastery_engine.domain.skills.next_answer.recall import NO_MEMORY
from mastery_engine.domain.skills.next_answer.state import AnswerState, unpacked
from tests.support.samples import NOW

ITEM = ItemLevel(0.5, 0.2, 3.0, 9.0, (0.4, -0.2))
LEVELS = LevelRevision(items={"i": ITEM, "j": ItemLevel(-0.5, 0.1)}, skills={"s": (0.3, 0.1)}, usual=1.0, answers=99)


def head(*, weight: float = 0.1, units: int = 3) -> HeadWeights:
    signed = np.where(SIGNS == 0, 0.3, SIGNS) * weight
    weights = np.column_stack([np.tile(signed, (units + 1, 1)), np.zeros(units + 1)])
    return HeadWeights(weights.astype("<f4").tobytes(), np.ones(units, "<f4").tobytes())


MODEL = AnswerModel(AnswerParameters(revisions=(LEVELS,), head=head()))
histories = st.lists(
    st.tuples(st.sampled_from("ijk"), st.sampled_from([(), ("s",), ("t",), ("s", "t"), ("s", "s")]), st.booleans()),
    max_size=25,
)


def state(history: list[tuple[str, tuple[str, ...], bool]], model: AnswerModel = MODEL) -> bytes:
    source = b""
    for place, (item, skills, right) in enumerate(history):
        source = with_answer(source, Answer(item, skills, right), NOW + place * 40 * SECOND, model)
    return source


@given(histories, st.floats(0.0, 1.0), st.sampled_from([(), ("s",), ("s", "t")]))
def test_an_answer_right_to_a_fraction_moves_the_state_by_the_fraction(
    history: list[tuple[str, tuple[str, ...], bool]], score: float, skills: tuple[str, ...]
) -> None:
    before, at = state(history), NOW + DAY
    wrong, between, right = (
        unpacked(with_answer(before, Answer("i", skills, score=part), at, MODEL)) for part in (0.0, score, 1.0)
    )
    for name in ("mean", "right", "variance"):
        low, middle, high = (getattr(one, name) for one in (wrong, between, right))
        assert middle == pytest.approx(low + score * (high - low), abs=2e-3, rel=2e-3)
    for name in ("faded", "timed", "traits"):
        for low, middle, high in zip(*(getattr(one, name) for one in (wrong, between, right)), strict=True):
            assert middle == pytest.approx(low + score * (high - low), abs=5e-3, rel=2e-3)


def test_whole_scores_are_right_and_wrong_answers() -> None:
    before = state([("i", ("s",), True), ("j", ("t",), False)])
    for right in (False, True):
        told = with_answer(before, Answer("i", ("s",), right), NOW + DAY, MODEL)
        assert with_answer(before, Answer("i", ("s",), score=float(right)), NOW + DAY, MODEL) == told
        assert with_answer(before, Answer("i", ("s",), not right, score=float(right)), NOW + DAY, MODEL) == told


def before(known: AnswerState, asked: ItemAsked, at: Micros, model: AnswerModel) -> Known:
    now = elapsed(known, at)
    return known_before(known, now, asked, skills_standing(known, now, asked.skills, model, NO_MEMORY), model)


@pytest.mark.parametrize(("level", "right"), [(30.0, True), (-30.0, False)])
def test_an_answer_that_was_as_good_as_certain_teaches_nothing(level: float, right: bool) -> None:
    sure = LevelRevision(items={"i": ItemLevel(-level, 0.0)}, skills={"s": (level, 0.0)})
    model = AnswerModel(AnswerParameters(revisions=(sure,)))
    known = before(unpacked(b""), ItemAsked("i", ("s",)), NOW, model)
    assert known.standing.logit == level
    assert unpacked(with_answer(b"", Answer("i", ("s",), right), NOW, model)).mean == pytest.approx(0.0, abs=1e-9)


@given(histories, st.sampled_from("ijk"), st.sampled_from([("s",), ("t",), ()]))
def test_a_right_answer_leaves_every_level_at_or_above_a_wrong_one(
    history: list[tuple[str, tuple[str, ...], bool]], item: str, skills: tuple[str, ...]
) -> None:
    at = NOW + DAY
    wrong, right = (with_answer(state(history), Answer(item, skills, was), at, PRIOR) for was in (False, True))
    for asked in (ItemAsked("new", skills), ItemAsked("new", ("new",)), ItemAsked(item, skills)):
        low, high = (chances(one, [asked], at, PRIOR)[0].probability for one in (wrong, right))
        assert high >= low


def test_without_parameters_it_goes_by_the_student_alone() -> None:
    (nothing,) = chances(b"", [ItemAsked("i", ("s",))], NOW, PRIOR)
    assert nothing.basis == "prior"
    level = 0.8 / sqrt(1 + 0.35 * (0.7 + 1.0 + 0.5 + 0.25))
    logit = SHIPPED["first estimate"] * level + SHIPPED_INTERCEPT
    assert nothing.probability == pytest.approx(1 / (1 + exp(-logit)), abs=1e-6)
    good, bad = (state([(f"i{n}", ("s",), right) for n in range(12)], PRIOR) for right in (True, False))
    for source, above in ((good, True), (bad, False)):
        known, other = chances(source, [ItemAsked("new", ("s",)), ItemAsked("new", ("other",))], NOW + DAY, PRIOR)
        assert (known.probability > nothing.probability) is above
        assert (other.probability > nothing.probability) is above
        assert abs(known.probability - nothing.probability) > abs(other.probability - nothing.probability)
        assert (known.basis, other.basis) == ("skills", "prior")


def test_the_basis_is_what_is_known_best() -> None:
    source = state([("mine", ("practised",), True)])
    named: dict[str, tuple[str, ...]] = {
        "i": ("x",),
        "mine": ("x",),
        "new": ("s",),
        "newer": ("x", "practised"),
        "newest": (),
    }
    asked = [ItemAsked(item, skills) for item, skills in named.items()]
    assert [one.basis for one in chances(source, asked, NOW, MODEL)] == ["item", "item", "skills", "skills", "prior"]


def test_what_the_author_says_of_an_item_counts_until_more_is_known() -> None:
    said: tuple[Difficulty | None, ...] = ("beginner", "intermediate", "advanced", None)
    asked = [ItemAsked("x", (), difficulty) for difficulty in said]
    easy, middle, hard, unknown = (one.probability for one in chances(b"", asked, NOW, PRIOR))
    assert easy > middle > hard
    assert unknown == middle
    (known,) = chances(b"", [ItemAsked("i", (), "beginner")], NOW, MODEL)
    assert known == chances(b"", [ItemAsked("i")], NOW, MODEL)[0]


@given(histories, st.integers(0, 40))
def test_uncertainty_is_a_standard_error_and_falls_with_answers(
    history: list[tuple[str, tuple[str, ...], bool]], away: int
) -> None:
    for one in chances(state(history), [ItemAsked("i", ("s",)), ItemAsked("x", ())], NOW + away * DAY, MODEL):
        assert 0.0 < one.uncertainty <= 0.5
        assert 0.0 < one.probability < 1.0
    many = [(f"k{n}", ("s",), bool(n % 2)) for n in range(40)]
    asked = [ItemAsked("x", ("s",))]
    assert chances(state(many), asked, NOW, PRIOR)[0].uncertainty < chances(b"", asked, NOW, PRIOR)[0].uncertainty


def test_any_number_of_items_may_be_asked_about_at_once() -> None:
    source = state([("i", ("s",), True), ("j", ("t", "s"), False)])
    asked = [ItemAsked(name, skills) for name in "ijk" for skills in ((), ("s",), ("t", "u"))]
    together = chances(source, asked, NOW + DAY, MODEL)
    assert chances(source, [], NOW, MODEL) == []
    for one, alone in zip(together, (chances(source, [item], NOW + DAY, MODEL)[0] for item in asked), strict=True):
        assert one.probability == pytest.approx(alone.probability, abs=1e-6)
        assert one.basis == alone.basis
    assert chances(source, asked, NOW - DAY, MODEL) == chances(source, asked, NOW + 40 * SECOND, MODEL)


def test_a_level_counts_for_answers_from_its_moment_on() -> None:
    later = LevelRevision(NOW, 1, 5, 0.2, {"i": ItemLevel(2.0)}, {"s": (-1.0, 0.1)})
    model = AnswerModel(AnswerParameters(revisions=(LEVELS,)).revised(later, floor=0))
    before, after = model.item("i", NOW - 1), model.item("i", NOW)
    assert before == ITEM
    assert after == ItemLevel(2.0)
    assert model.item("j", NOW) == LEVELS.items["j"]
    assert model.item("x", NOW) is None
    assert [model.skill("s", at)[0] for at in (NOW - 1, NOW)] == [0.3, -1.0]
    assert [model.skill("x", at)[0] for at in (NOW - 1, NOW)] == [1.0, 0.2]
    alone = AnswerModel(AnswerParameters(revisions=(later,)))
    assert alone.skill("s", NOW - 1) == PRIOR.skill("s", NOW) == (0.8, 0.5)
    assert alone.item("i", NOW - 1) is None
    assert [alone.knows_skill("s", at) for at in (NOW - 1, NOW)] == [False, True]
    source = with_answer(b"", Answer("i", ("s",), True), NOW - 1, AnswerModel(AnswerParameters(revisions=(LEVELS,))))
    assert with_answer(b"", Answer("i", ("s",), True), NOW - 1, model) == source


def test_revisions_that_no_answer_needs_become_one() -> None:
    parameters = AnswerParameters(revisions=(LEVELS,))
    for since in (10, 20, 30):
        parameters = parameters.revised(LevelRevision(since, since, items={f"n{since}": ITEM}), floor=0)
    merged = parameters.revised(LevelRevision(40, 40), floor=25)
    assert [one.since for one in merged.revisions] == [20, 30, 40]
    assert set(merged.revisions[0].items) == {"i", "j", "n10", "n20"}
    assert merged.revisions[0].skills == LEVELS.skills
    for since in (30, 29):
        with pytest.raises(ValueError, match="order of their moments"):
            parameters.revised(LevelRevision(since), floor=0)
    for at in (25, 35, 45):
        assert AnswerModel(merged).item("n20", at) == AnswerModel(parameters).item("n20", at)


def test_each_course_has_its_own_or_that_for_all() -> None:
    own, everywhere = AnswerParameters(version="own", revisions=(LEVELS,)), AnswerParameters(version="all")
    models = AnswerModels({"school/default": own, "*": everywhere})
    assert models.of("school").parameters is own
    assert models.of("school", "other").parameters is models.of("b").parameters is everywhere
    assert AnswerModels({}).of("b") is PRIOR
    assert models == AnswerModels({"school/default": own, "*": everywhere})
    assert models != AnswerModels({})
    assert models != "models"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"revisions": (LevelRevision(2), LevelRevision(1))}, "order of their moments"),
        ({"revisions": (LevelRevision(1), LevelRevision(1))}, "order of their moments"),
        ({"revisions": tuple(LevelRevision(n) for n in range(101))}, "at most 100"),
        ({"revisions": (LevelRevision(usual=float("nan")),)}, "from -30 to 30"),
        ({"revisions": (LevelRevision(items={"i": ItemLevel(31.0)}),)}, "from -30 to 30"),
        ({"revisions": (LevelRevision(items={"i": ItemLevel(loadings=(0.0, float("inf")))}),)}, "from -30 to 30"),
        ({"revisions": (LevelRevision(items={"i": ItemLevel(variance=-0.1)}),)}, "below 0"),
        ({"revisions": (LevelRevision(items={"i": ItemLevel(paces=-1.0)}),)}, "below 0"),
        ({"revisions": (LevelRevision(skills={"s": (0.0, -0.1)}),)}, "below 0"),
        ({"head": HeadWeights(b"", b"")}, f"{len(FEATURES)} features"),
        ({"head": HeadWeights(head().weights[4:], head().out)}, f"{len(FEATURES)} features"),
        ({"head": head(weight=float("nan"))}, "every weight"),
        ({"head": head(weight=1e5)}, "every weight"),
        ({"effects": Effects(b"0000", b"", b"")}, "equally many"),
        ({"effects": Effects(b"0000" * 2, b"00" * 2, b"00" * 2)}, "order of their keys"),
        ({"effects": Effects(b"0000", np.full(1, np.nan, "<f2").tobytes(), b"00")}, "finite"),
        ({"effects": Effects(b"0000", b"00", np.full(1, -1.0, "<f2").tobytes())}, "0 or more"),
    ],
    ids=str,
)
def test_parameters_that_cannot_work_are_refused(wrong: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AnswerModel(msgspec.structs.replace(AnswerParameters(), **wrong))


def test_the_head_adds_up_units_and_a_line() -> None:
    weights = np.array([[0.5] * len(FEATURES) + [0.1], [0.2] * len(FEATURES) + [-0.3]], "<f4")
    made = Head(HeadWeights(weights.tobytes(), np.array([2.0], "<f4").tobytes()))
    rows = np.array([[0.01] * len(FEATURES), [0.0] * len(FEATURES)], np.float32)
    total = 0.01 * len(FEATURES)
    expected = [2 * np.tanh(0.5 * total + 0.1) + 0.2 * total - 0.3, 2 * np.tanh(0.1) - 0.3]
    assert made.logits(rows) == pytest.approx(expected, abs=1e-5)


def test_what_usually_follows_on_such_a_past_moves_a_prediction() -> None:
    source = state([("i", ("s",), True), ("j", ("t",), False)])
    now = unpacked(source)
    _, keys = seen([before(now, ItemAsked("j", ("t",)), NOW + DAY, MODEL)])
    found = np.unique(keys[keys > 0])
    probability = {}
    for residual in (-4.0, 0.0, 4.0):
        sums = (np.full(len(found), value, "<f2").tobytes() for value in (residual, 8.0))
        parameters = AnswerParameters(revisions=(LEVELS,), head=head(), effects=Effects(found.tobytes(), *sums))
        (answer,) = chances(source, [ItemAsked("j", ("t",))], NOW + DAY, AnswerModel(parameters))
        probability[residual] = answer.probability
        (other,) = chances(source, [ItemAsked("other", ("u",))], NOW + DAY, AnswerModel(parameters))
        probability[residual, "other"] = other.probability
    assert probability[-4.0] < probability[0.0] < probability[4.0]
    assert probability[-4.0, "other"] == pytest.approx(probability[4.0, "other"], abs=1e-6)


def test_a_trait_moves_as_bayes_says() -> None:
    """With one trait asked for, the filter is exact: the posterior of a normal mean with known information."""
    traits, variances, evidence = (0.0, 0.0), (1.0, 1.0), 0.0
    for place in range(1, 30):
        residual, information, asked = 0.3 - 0.02 * place, 0.2, 0.8
        unexplained = residual - information * asked * traits[0]
        traits, variances = moved_traits(
            traits, variances, (asked, 0.0), unexplained, information, asked**2 * variances[0]
        )
        evidence += asked * residual
        precision = 1.0 + place * information * asked**2
        assert variances == pytest.approx((1.0 / precision, 1.0))
        assert traits == pytest.approx((evidence / precision, 0.0))


def test_an_answer_costs_the_same_after_ten_and_after_ten_thousand() -> None:
    chance = Random(1)
    answers = [Answer(f"i{chance.randrange(900)}", (f"s{chance.randrange(40)}",), True) for _ in range(10_000)]
    source, costs = b"", []
    for place, answer in enumerate(answers):
        source = with_answer(source, answer, NOW + place * SECOND, MODEL)
        if place in (100, 9_999):
            costs.append(min(_cost(source, answer) for _ in range(7)))
    assert costs[1] < 3 * costs[0] + 1e-5


def _cost(source: bytes, answer: Answer) -> float:
    started = process_time()
    for _ in range(100):
        with_answer(source, answer, NOW + DAY, MODEL)
    return process_time() - started


def test_what_was_answered_right_and_when_is_remembered() -> None:
    assert last_answer(b"") is None
    assert answers_since_right(b"", ["i"]) == [None]
    source = state([("i", ("s",), True), ("j", ("s",), False), ("k", (), True)])
    assert last_answer(source) == NOW + 80 * SECOND
    assert answers_since_right(source, ["i", "j", "k", "never"]) == [3, None, 1, None]
    assert answers_since_right(state([("i", (), True), ("i", (), False)]), ["i"]) == [None]


def test_of_many_students_at_once_each_has_the_state_that_is_theirs_alone() -> None:
    sources = [state([("i", ("s",), place % 3 > 0)] * (place % 4)) for place in range(2 * AT_ONCE + 5)]
    new = [
        NewAnswer(source, Answer("ijk"[place % 3], ("s", "t")[: place % 3], place % 2 > 0), NOW + DAY, MODEL)
        for place, source in enumerate(sources)
    ]
    assert with_answers([]) == []
    assert with_answers(new) == [with_answer(one.source, one.answer, one.at, one.shared) for one in new]
