"""Knowledge tracing, and what it promises."""

import random
from math import exp, log, sqrt
from time import perf_counter

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY, MINUTE, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import (
    MAX_SKILLS,
    NO_KNOWLEDGE,
    General,
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


@given(RUNS.filter(bool), MODELS, st.data(), SECONDS)
def test_nor_does_it_however_long_the_practice_was_that_came_after(
    history: History, model: SkillModel, data: st.DataObject, later: int
) -> None:
    """Each part of a level moves by its own past alone, so what it gained early is never lost to another part."""
    place = data.draw(st.sampled_from(sorted({0, len(history) // 2, len(history) - 1})))
    seconds, item, skills, _ = history[place]
    ends = []
    for right in (False, True):
        knowledge, at = told([*history[:place], (seconds, item, skills, right), *history[place + 1 :]], model)
        ends.append([estimate(knowledge, name, at + later * 1_000_000, model).probability for name in "abcd"])
    for wrong, right in zip(*ends, strict=True):
        assert right >= wrong - 1e-12


def test_a_success_is_never_taken_back_by_what_comes_after_on_other_skills() -> None:
    """This history once cost 0.011: a skill's own level had given way to the general one, which then faded."""
    after: History = [
        *[(60, "hard", ("b",), True)] * 23,
        *[(60, "x", ("c",), False)] * 60,
        (86_400, "easy", ("a",), True),
        *[(60, "easy", ("a",), True)] * 59,
    ]
    before: History = [(60, "hard", ("b",), True)] * 126
    ends = [told([*before, (60, "hard", ("b",), right), *after], FITTED) for right in (False, True)]
    for name in "abcd":
        wrong, right = (estimate(knowledge, name, at, FITTED).probability for knowledge, at in ends)
        assert right >= wrong


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


class ByHand:
    """Written apart from the code, from the description in docs/predictions.md, over the whole history. Days from 0."""

    def __init__(self, model: SkillModel) -> None:
        self.model = model
        self.mean, self.variance, self.day = 0.0, model.general_variance, 0.0
        self.answers: dict[str, list[tuple[float, bool]]] = {}  # of each skill
        self.own: dict[str, tuple[float, float]] = {}  # how far above the usual after the last answer, and the variance

    def chance(self, z: float) -> float:
        guess, slip = self.model.guess, self.model.slip
        return guess + (1 - guess - slip) / (1 + exp(-z))

    def usual(self, name: str) -> float:
        return self.model.skills.get(name, self.model.usual)

    def left(self, days: float) -> float:
        return 0.5 ** (days / self.model.half_life_days)

    def unsure(self, spread: float, most: float, days: float) -> float:
        return most + (spread - most) * 0.5 ** (days / self.model.unsure_days)

    def recent(self, name: str, day: float, *, all_right: bool = False) -> float:
        """Each success fades by the answers and by the time after it; if all answers are taken as right, only by the
        time after the last one."""
        past = self.answers.get(name, [])
        total = 0.0
        for place, (since, right) in enumerate(past):
            kept = self.model.success_kept ** (len(past) - 1 - place)
            total += kept * self.left(day - past[-1][0]) if all_right else right * kept * self.left(day - since)
        return total

    def above(self, name: str, day: float) -> tuple[float, float]:
        if name not in self.own:
            return 0.0, self.model.skill_variance
        (z, spread), days = self.own[name], day - self.answers[name][-1][0]
        return (z * self.left(days) if z > 0 else z), self.unsure(spread, self.model.skill_variance, days)

    def expected(self, name: str, z: float, day: float) -> float:
        return z + self.model.success_weight * log(1 + self.chance(z) * self.recent(name, day, all_right=True))

    def moved(self, spread: float, surprise: float, noise: float) -> tuple[float, float]:
        gain = spread / (1 + self.model.information * spread)
        return gain * surprise, gain + noise

    def answer(self, names: tuple[str, ...], right: bool, harder: float, day: float) -> None:
        general = self.unsure(self.variance, self.model.general_variance, day - self.day)
        levels = [self.expected(name, self.mean + self.usual(name) - harder, day) for name in names]
        before = {name: self.above(name, day) for name in names}
        more, self.variance = self.moved(
            general, right - self.chance(sum(levels) / len(levels)), self.model.general_noise
        )
        self.mean, self.day = self.mean + more, day
        for name, (z, spread) in before.items():
            surprise = right - self.chance(self.expected(name, z + self.usual(name) - harder, day))
            more, spread = self.moved(spread, surprise, self.model.skill_noise)
            self.own[name] = z + self.model.own_gain * more, spread
        for name in names:
            self.answers.setdefault(name, []).append((day, right))

    def estimate(self, name: str, day: float) -> tuple[float, float]:
        z, spread = self.above(name, day)
        model, general = self.model, self.unsure(self.variance, self.model.general_variance, day - self.day)
        level = self.usual(name) + model.carry_over * self.mean + z
        level += model.success_weight * log(1 + self.recent(name, day))
        return self.chance(level), sqrt(spread + model.carry_over**2 * general)


def test_an_independent_computation_agrees() -> None:
    chance = random.Random(7)
    model = SkillModel(skills={"a": 0.3}, items={"i": 0.6}, guess=0.1, slip=0.02)
    knowledge, by_hand, day = NO_KNOWLEDGE, ByHand(model), 0.0
    for _ in range(300):
        day += chance.choice([0.0, 0.001, 0.5, 9.0])
        names = chance.choice([("a",), ("b",), ("a", "b"), ("c",)])
        right, item = chance.random() < 0.6, chance.choice("ij")
        knowledge = with_answer(knowledge, Answer(item, names, right), NOW + round(day * DAY), model)
        by_hand.answer(names, right, 0.6 if item == "i" else 0.0, day)
    for name in "abcd":
        found = estimate(knowledge, name, NOW + round((day + 3) * DAY), model)
        assert (found.probability, found.uncertainty) == pytest.approx(by_hand.estimate(name, day + 3), abs=1e-9)


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
    """Six right answers of six outweigh four wrong ones on another skill, where a newcomer stands at 0.62."""
    knowledge, at = told([*[(60, "x", ("a",), True)] * 6, *[(60, "x", ("b",), False)] * 4])
    untried, good, bad = (estimate(knowledge, name, at, DEFAULT_SKILLS).probability for name in "cab")
    newcomer = estimate(NO_KNOWLEDGE, "a", at, DEFAULT_SKILLS).probability
    assert bad + 0.03 < untried < newcomer < 0.65 < 0.75 < good


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


def test_recent_successes_tell_and_fade_with_further_answers_and_with_time() -> None:
    """Of as many right answers the last count for most; what they told is half forgotten after a half-life."""
    late, at = told([*[(60, "x", ("a",), False)] * 4, *[(60, "x", ("a",), True)] * 4])
    early, _ = told([*[(60, "x", ("a",), True)] * 4, *[(60, "x", ("a",), False)] * 4])
    now = [estimate(knowledge, "a", at, DEFAULT_SKILLS).probability for knowledge in (early, late)]
    assert now[0] + 0.1 < now[1]
    then = at + round(DEFAULT_SKILLS.half_life_days) * DAY
    gone = [one - estimate(k, "a", then, DEFAULT_SKILLS).probability for k, one in zip((early, late), now, strict=True)]
    assert 0.0 < gone[0] < gone[1]
    assert gone[1] == pytest.approx(estimate(late, "a", then, DEFAULT_SKILLS).forgotten, abs=1e-12)


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.floats(-2.0, 2.0), MODELS)
def test_a_document_from_before_successes_were_counted_is_read_and_keeps_its_promises(
    answers: list[bool], general: float, model: SkillModel
) -> None:
    """It stood at the same level, as far as so many answers can explain it; a right answer still lowers nothing."""
    level = model.offset("a") + model.carry_over * general + (sum(answers) - len(answers) / 2) / 4
    packed = msgspec.msgpack.encode([[general, 0.3, NOW], {"a": [level, 0.2, NOW, general, len(answers)]}])
    old = msgspec.msgpack.decode(packed, type=KnowledgeState)
    now = estimate(old, "a", NOW, model)
    least = estimate(KnowledgeState(old.general, {"a": old.skills["a"]}), "a", NOW + 9_999 * DAY, model)
    assert least.probability <= now.probability + 1e-12
    for right in (True, False):
        after = estimate(with_answer(old, Answer("x", ("a",), right), NOW, model), "a", NOW, model)
        assert (
            (after.probability >= now.probability - 1e-12) if right else (after.probability <= now.probability + 1e-12)
        )


def test_an_older_document_stands_where_it_stood() -> None:
    old = KnowledgeState(General(0.8, 0.3, NOW), {"a": SkillLevel(1.9, 0.2, NOW, 0.8, 8)})
    assert level_of(old, "a", NOW, DEFAULT_SKILLS) == pytest.approx(1.9)
    again = with_answer(old, Answer("i", ("a",), True), NOW, DEFAULT_SKILLS)
    assert level_of(again, "a", NOW, DEFAULT_SKILLS) > 1.9


def test_with_many_answers_a_skill_stands_where_they_say_whatever_comes_on_others() -> None:
    """A strong student may be weak in one skill, and a weak one strong: the general level must not hide it."""
    for others, own in ((0.9, 0.2), (0.9, 0.5), (0.3, 0.9), (0.2, 1.0)):
        found = []
        for seed in range(10):
            chance = random.Random(seed)
            history = [(60, "x", ("own",), chance.random() < own) for _ in range(150)]
            beside = [(60, "x", (f"other {place % 3}",), chance.random() < others) for place in range(150)]
            knowledge, at = told([step for pair in zip(history, beside, strict=True) for step in pair])
            found.append(estimate(knowledge, "own", at, DEFAULT_SKILLS).probability)
        assert sum(found) / len(found) == pytest.approx(own, abs=0.13)


def test_the_level_on_a_skill_takes_fifty_bytes_at_most() -> None:
    knowledge, _ = told([(60, "x", ("loops",), number % 3 > 0) for number in range(50)])
    assert len(msgspec.msgpack.encode(knowledge.skills)) <= 50


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
    assert student.knowledge.since((day_of(NOW) + 1) * DAY) == NO_KNOWLEDGE
    assert NO_KNOWLEDGE.since(NOW) is NO_KNOWLEDGE


def test_what_is_older_than_the_retention_at_a_receipt_is_not_traced_on() -> None:
    old = event("answer", {"item_id": "i", "skills": ["old"], "correct": True}, "e-old", at=NOW - 89 * DAY)
    new = event("answer", {"item_id": "i", "skills": ["new"], "correct": True}, "e-new", at=NOW + 2 * DAY)
    student = apply(NOBODY, logged([old]), NOW, Rules()).student
    assert set(apply(student, logged([new]), NOW + 2 * DAY, Rules()).student.knowledge.skills) == {"new"}


def parts(knowledge: KnowledgeState, skill: str) -> list[float]:
    """What an answer moves: the general level, the skill's own, and its recent successes."""
    general, own = knowledge.general, knowledge.skills[skill]
    assert general is not None
    assert own.successes is not None
    return [general.mean, own.mean, own.successes]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12), st.floats(0.0, 1.0))
def test_an_answer_right_to_a_fraction_moves_every_part_of_a_level_by_the_fraction(
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
        assert low <= middle + 1e-12
        assert middle <= high + 1e-12
    for skill in ("a", "b"):
        low, middle, high = (parts(one, skill) for one in (wrong, between, right))
        assert middle == pytest.approx([a + score * (b - a) for a, b in zip(low, high, strict=True)], abs=1e-9)
    assert right == with_answer(known, Answer("i", ("a", "b"), True), NOW + DAY, DEFAULT_SKILLS)


def test_an_answer_without_skills_moves_the_general_level() -> None:
    right, wrong = (with_answer(NO_KNOWLEDGE, Answer("i", (), was), NOW, DEFAULT_SKILLS) for was in (True, False))
    assert right.skills == wrong.skills == {}
    levels = [level_of(one, "any", NOW, DEFAULT_SKILLS) for one in (wrong, NO_KNOWLEDGE, right)]
    assert levels == sorted(set(levels))
