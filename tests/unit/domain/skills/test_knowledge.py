"""Knowledge tracing, and what it promises."""

import random
from math import exp, sqrt
from time import perf_counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY, MINUTE, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import (
    MAX_SKILLS,
    NO_KNOWLEDGE,
    KnowledgeEstimate,
    KnowledgeState,
    SkillLevel,
    estimate,
    level_of,
    with_answer,
)
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.student import NOBODY
from mastery_engine.domain.transition import aged, apply
from tests.support.samples import NOW, event, logged

FITTED = SkillModel(items={"hard": 1.5, "easy": -1.0}, skills={"a": -0.5, "b": 1.7}, guess=0.1, slip=0.05)

# An answer: seconds since the one before, item, skills, right or wrong.
SECONDS = st.one_of(st.integers(0, 3_600), st.integers(0, 200 * 86_400))
ITEMS = st.sampled_from(["hard", "easy", "unknown"])
SKILLS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).map(tuple)
ANSWERS = st.lists(st.tuples(SECONDS, ITEMS, SKILLS, st.booleans()), max_size=25)
MODELS = st.sampled_from([DEFAULT_SKILLS, FITTED])

# Runs of answers that are alike, as practice is: a history as above.
RUNS = st.lists(st.tuples(SECONDS, ITEMS, SKILLS, st.booleans(), st.integers(1, 40)), max_size=6).map(
    lambda runs: [(seconds if not place else 60, *one) for seconds, *one, times in runs for place in range(times)]
)

History = list[tuple[int, str, tuple[str, ...], bool]]


def told(
    history: History, model: SkillModel = DEFAULT_SKILLS, start: KnowledgeState = NO_KNOWLEDGE
) -> tuple[KnowledgeState, Micros]:
    """The knowledge after a history, and when it ends."""
    knowledge, at = start, NOW
    for seconds, item, skills, right in history:
        at += seconds * 1_000_000
        knowledge = with_answer(knowledge, Answer(item, skills, right), at, model)
    return knowledge, at


def level(found: KnowledgeEstimate, model: SkillModel) -> float:
    return (found.probability - model.guess) / (1 - model.guess - model.slip)


@given(ANSWERS, MODELS, st.sampled_from("abcd"), SECONDS)
def test_estimates_are_probabilities_at_any_time(history: History, model: SkillModel, skill: str, later: int) -> None:
    knowledge, at = told(history, model)
    found = estimate(knowledge, skill, at + later * 1_000_000, model)
    assert 0.0 <= model.guess <= found.probability <= 1.0 - model.slip <= 1.0
    assert 0.0 <= found.forgotten <= 1.0
    assert found.uncertainty > 0.0
    practised = any(skill in skills for _, _, skills, _ in history)
    assert (found.last_practised is not None) == practised == (skill in knowledge.skills)


@given(ANSWERS, MODELS, st.sampled_from("abc"), SECONDS, SECONDS)
def test_a_right_answer_never_lowers_the_estimate_and_a_wrong_one_never_raises_it(
    history: History, model: SkillModel, skill: str, seconds: int, later: int
) -> None:
    knowledge, at = told(history, model)
    answered = at + seconds * 1_000_000
    moment = answered + later * 1_000_000
    before = estimate(knowledge, skill, moment, model).probability
    for right in (True, False):
        after = with_answer(knowledge, Answer("unknown", (skill,), right), answered, model)
        now = estimate(after, skill, moment, model).probability
        if right:
            assert now >= before - 1e-12
        else:
            assert (
                estimate(after, skill, answered, model).probability
                <= estimate(knowledge, skill, answered, model).probability + 1e-12
            )


@given(ANSWERS.filter(bool), MODELS, st.data(), SECONDS)
def test_a_right_answer_in_the_place_of_a_wrong_one_lowers_no_estimate(
    history: History, model: SkillModel, data: st.DataObject, later: int
) -> None:
    place = data.draw(st.integers(0, len(history) - 1))
    seconds, item, skills, _ = history[place]
    ends = []
    for right in (False, True):
        knowledge, at = told([*history[:place], (seconds, item, skills, right), *history[place + 1 :]], model)
        ends.append([estimate(knowledge, name, at + later * 1_000_000, model).probability for name in "abcd"])
    for wrong, right in zip(*ends, strict=True):
        assert right >= wrong - 1e-12


@given(RUNS, MODELS, st.sampled_from("abc"), st.booleans(), SECONDS)
@example([(0, "x", ("a",), True), *[(60, "x", ("b",), True)] * 80], DEFAULT_SKILLS, "a", True, 0)
def test_right_answers_alone_leave_no_skill_below_one_never_tried_and_wrong_ones_none_above(
    history: History, model: SkillModel, skill: str, right: bool, later: int
) -> None:
    """Whatever the answers on other skills were, before, between and after."""
    knowledge, at = told([(s, item, names, right if skill in names else r) for s, item, names, r in history], model)
    never = KnowledgeState(knowledge.general, {name: one for name, one in knowledge.skills.items() if name != skill})
    moment = at + later * 1_000_000
    tried, untried = (estimate(one, skill, moment, model).probability for one in (knowledge, never))
    assert tried >= untried - 1e-12 if right else tried <= untried + 1e-12


@given(RUNS, SECONDS)
@example([(60, "x", ("b",), True)] * 80, 0)
def test_an_early_right_answer_leaves_no_skill_below_that_of_a_student_without_it(history: History, later: int) -> None:
    """Neither the skill that it was on nor one that neither of them tried, whatever came after on others."""
    elsewhere: History = [(s, "unknown", tuple(set(names) - {"a"}) or ("b",), r) for s, _, names, r in history]
    ends = []
    for start in ([], [(0, "unknown", ("a",), True)]):
        knowledge, at = told([*start, *elsewhere])
        ends.append([estimate(knowledge, name, at + later * 1_000_000, DEFAULT_SKILLS).probability for name in "ad"])
    for without, with_it in zip(*ends, strict=True):
        assert with_it >= without - 1e-12


def test_uncertainty_comes_back_in_weeks_and_months() -> None:
    """Of what answers took from it less than a tenth is back after nine days, some after a month, half after four."""
    knowledge, at = told([(60, "x", ("a",), True)] * 12)
    prior = estimate(NO_KNOWLEDGE, "a", at, DEFAULT_SKILLS).uncertainty
    known = estimate(knowledge, "a", at, DEFAULT_SKILLS).uncertainty
    back = [
        (estimate(knowledge, "a", at + days * DAY, DEFAULT_SKILLS).uncertainty - known) / (prior - known)
        for days in (9, 30, 120, 720)
    ]
    assert known < 0.85 * prior
    assert 0.02 < back[0] < 0.1 < back[1] < 0.3 < back[2] < 0.7 < 0.95 < back[3] < 1.0


@given(ANSWERS, MODELS, st.sampled_from("abcd"), SECONDS, SECONDS)
def test_time_away_makes_no_estimate_higher_or_surer(
    history: History, model: SkillModel, skill: str, soon: int, later: int
) -> None:
    knowledge, at = told(history, model)
    first = estimate(knowledge, skill, at + soon * 1_000_000, model)
    then = estimate(knowledge, skill, at + (soon + later) * 1_000_000, model)
    assert then.probability <= first.probability + 1e-12
    assert then.uncertainty >= first.uncertainty - 1e-12
    assert then.forgotten >= first.forgotten - 1e-12


@given(ANSWERS, MODELS, st.sampled_from("abc"), st.booleans())
def test_an_answer_makes_the_estimate_surer(history: History, model: SkillModel, skill: str, right: bool) -> None:
    knowledge, at = told(history, model)
    after = with_answer(knowledge, Answer("easy", (skill,), right), at, model)
    assert estimate(after, skill, at, model).uncertainty <= estimate(knowledge, skill, at, model).uncertainty + 1e-12


@given(ANSWERS, ANSWERS)
def test_the_future_changes_no_past_estimate(past: History, future: History) -> None:
    knowledge, at = told(past)
    before = [estimate(knowledge, name, at, DEFAULT_SKILLS) for name in "abcd"]
    told(future, start=knowledge)
    assert [estimate(knowledge, name, at, DEFAULT_SKILLS) for name in "abcd"] == before


def test_an_independent_computation_agrees() -> None:
    """Written apart, by hand, from the description in docs/predictions.md."""
    chance = random.Random(7)
    model = SkillModel(skills={"a": 0.3}, items={"i": 0.6}, guess=0.1, slip=0.02)
    knowledge, mean, variance = NO_KNOWLEDGE, 0.0, model.general_variance
    skills: dict[str, list[float]] = {}  # what it is above the expected, variance, day

    def right_at(z: float) -> float:
        return 0.1 + 0.88 / (1 + exp(-z))

    def now_of(name: str, day: float) -> tuple[float, float]:
        usual = 0.3 if name == "a" else model.usual
        if name not in skills:
            return usual + model.carry_over * mean, model.skill_variance
        own, spread, since = skills[name]
        own *= 0.5 ** ((day - since) / model.half_life_days) if own > 0 else 1
        return usual + model.carry_over * mean + own, unsure(spread, model.skill_variance, day - since)

    def unsure(spread: float, most: float, days: float) -> float:
        left: float = 0.5 ** (days / model.unsure_days)
        return most + (spread - most) * left

    day = last = 0.0
    for _ in range(300):
        day += chance.choice([0.0, 0.001, 0.5, 9.0])
        names, right, item = (
            chance.choice([("a",), ("b",), ("a", "b"), ("c",)]),
            chance.random() < 0.6,
            chance.choice("ij"),
        )
        harder = 0.6 if item == "i" else 0.0
        knowledge = with_answer(knowledge, Answer(item, names, right), NOW + round(day * DAY), model)
        variance = unsure(variance, model.general_variance, day - last)
        expected = sum(0.3 if name == "a" else model.usual for name in names) / len(names)
        before = {name: now_of(name, day) for name in names}
        gain = variance / (1 + model.information * variance)
        moved = gain * (right - right_at(mean + expected - harder))
        mean += moved
        variance, last = gain + model.general_noise, day
        for name, (z, spread) in before.items():
            gain = spread / (1 + model.information * spread)
            own = z - (0.3 if name == "a" else model.usual) - model.carry_over * (mean - moved)
            more = gain * (right - right_at(z - harder)) - model.carry_over * moved
            own += max(more, 0) if right else min(more, 0)
            skills[name] = [own, gain + model.skill_noise, day]
    for name in "abcd":
        found = estimate(knowledge, name, NOW + round((day + 3) * DAY), model)
        z, spread = now_of(name, day + 3)
        known = unsure(variance, model.general_variance, 3)
        assert found.probability == pytest.approx(right_at(z), abs=1e-9)
        assert found.uncertainty == pytest.approx(sqrt(spread + model.carry_over**2 * known), abs=1e-9)


def test_a_learner_is_told_from_one_who_does_not_learn() -> None:
    good, at = told([(60, "x", ("a",), True)] * 12)
    bad, _ = told([(60, "x", ("a",), False)] * 12)
    assert estimate(good, "a", at, DEFAULT_SKILLS).probability > 0.85
    assert estimate(bad, "a", at, DEFAULT_SKILLS).probability < 0.35
    half_life = round(DEFAULT_SKILLS.half_life_days) * DAY
    later = estimate(good, "a", at + half_life, DEFAULT_SKILLS)
    assert later.forgotten == pytest.approx(estimate(good, "a", at, DEFAULT_SKILLS).probability - later.probability)
    assert later.forgotten > 0.0
    # Who does well elsewhere is trusted more on what is new.
    fresh = [estimate(one, "new", at, DEFAULT_SKILLS).probability for one in (bad, NO_KNOWLEDGE, good)]
    assert fresh == sorted(set(fresh))


def test_what_goes_wrong_elsewhere_does_not_undo_what_went_right() -> None:
    """Six right answers of six outweigh four wrong ones on another skill, nearly."""
    knowledge, at = told([*[(60, "x", ("a",), True)] * 6, *[(60, "x", ("b",), False)] * 4])
    untried, good, bad = (estimate(knowledge, name, at, DEFAULT_SKILLS).probability for name in "cab")
    assert bad < 0.6 < untried < 0.7 < good


def test_an_item_known_to_be_hard_says_more_when_it_is_solved() -> None:
    ends = [
        estimate(told([(0, item, ("a",), True)], FITTED)[0], "a", NOW, FITTED).probability for item in ("easy", "hard")
    ]
    assert ends[0] < ends[1]
    said = [
        estimate(
            with_answer(NO_KNOWLEDGE, Answer("x", ("a",), True, difficulty=how), NOW, DEFAULT_SKILLS),
            "a",
            NOW,
            DEFAULT_SKILLS,
        )
        for how in ("beginner", "intermediate", "advanced")
    ]
    assert [one.probability for one in said] == sorted({one.probability for one in said})


def test_an_answer_that_arrives_late_counts_as_at_the_last_ones_time() -> None:
    knowledge, at = told([(0, "x", ("a",), True)])
    late = with_answer(knowledge, Answer("x", ("a",), True), at - 30 * DAY, DEFAULT_SKILLS)
    assert late == with_answer(knowledge, Answer("x", ("a",), True), at, DEFAULT_SKILLS)
    assert estimate(knowledge, "a", at - DAY, DEFAULT_SKILLS) == estimate(knowledge, "a", at, DEFAULT_SKILLS)


def test_the_skills_practised_last_are_kept() -> None:
    knowledge = NO_KNOWLEDGE
    for number in range(MAX_SKILLS + 5):
        knowledge = with_answer(knowledge, Answer("x", (f"s{number}", "always"), True), NOW + number, DEFAULT_SKILLS)
    assert len(knowledge.skills) == MAX_SKILLS
    assert "always" in knowledge.skills
    assert f"s{MAX_SKILLS + 4}" in knowledge.skills
    assert "s0" not in knowledge.skills
    assert knowledge.skills["always"].answers == MAX_SKILLS + 5


def test_ten_thousand_answers_cost_no_more_than_ten() -> None:
    few, _ = told([(60, "x", ("a", "b"), True)] * 10)
    many = few
    for number in range(10_000):
        many = with_answer(many, Answer("x", ("a", "b"), number % 3 > 0), NOW + number * MINUTE, DEFAULT_SKILLS)
    answer = Answer("x", ("a", "b"), True)

    def cost(knowledge: KnowledgeState) -> float:
        started = perf_counter()
        for _ in range(300):
            with_answer(knowledge, answer, NOW + 10_000 * MINUTE, DEFAULT_SKILLS)
        return perf_counter() - started

    assert min(cost(many) for _ in range(5)) < 3 * min(cost(few) for _ in range(5))


def test_answers_are_traced_in_the_fold_and_age_with_their_skill() -> None:
    old = event("answer", {"item_id": "i", "skills": ["old"], "correct": True}, "e-old", at=NOW - 80 * DAY)
    new = event("answer", {"item_id": "i", "skills": ["new"], "correct": True}, "e-new", at=NOW)
    student = apply(NOBODY, logged([old, new, new]), NOW, Rules()).student
    assert {name: one.answers for name, one in student.knowledge.skills.items()} == {"old": 1, "new": 1}
    assert isinstance(student.knowledge.skills["new"], SkillLevel)
    again = apply(student, logged([new]), NOW, Rules()).student
    assert again is student
    later = aged(student, {}, NOW + 20 * DAY, Rules())
    assert later is not None
    assert set(later.student.knowledge.skills) == {"new"}
    assert student.knowledge.since(day_of(NOW) + 1) == NO_KNOWLEDGE
    assert NO_KNOWLEDGE.since(day_of(NOW)) is NO_KNOWLEDGE


def test_what_is_older_than_the_retention_at_a_receipt_is_not_traced_on() -> None:
    old = event("answer", {"item_id": "i", "skills": ["old"], "correct": True}, "e-old", at=NOW - 89 * DAY)
    new = event("answer", {"item_id": "i", "skills": ["new"], "correct": True}, "e-new", at=NOW + 2 * DAY)
    student = apply(NOBODY, logged([old]), NOW, Rules()).student
    assert set(apply(student, logged([new]), NOW + 2 * DAY, Rules()).student.knowledge.skills) == {"new"}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12), st.floats(0.0, 1.0))
def test_an_answer_right_to_a_fraction_moves_every_level_by_the_fraction(
    history: list[tuple[str, bool]], score: float
) -> None:
    known = NO_KNOWLEDGE
    for place, (skill, right) in enumerate(history):
        known = with_answer(known, Answer("i", (skill,), right), NOW + place, DEFAULT_SKILLS)
    wrong, between, right = (
        with_answer(known, Answer("i", ("a", "b"), score=part), NOW + DAY, DEFAULT_SKILLS) for part in (0.0, score, 1.0)
    )
    for skill in ("a", "b", "c", "d"):
        low, middle, high = (level_of(one, skill, NOW + DAY, DEFAULT_SKILLS) for one in (wrong, between, right))
        assert middle == pytest.approx(low + score * (high - low), abs=1e-9)
    assert right == with_answer(known, Answer("i", ("a", "b"), True), NOW + DAY, DEFAULT_SKILLS)


def test_an_answer_without_skills_moves_the_general_level() -> None:
    right, wrong = (with_answer(NO_KNOWLEDGE, Answer("i", (), was), NOW, DEFAULT_SKILLS) for was in (True, False))
    assert right.skills == wrong.skills == {}
    levels = [level_of(one, "any", NOW, DEFAULT_SKILLS) for one in (wrong, NO_KNOWLEDGE, right)]
    assert levels == sorted(set(levels))
