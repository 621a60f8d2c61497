"""How well a skill is known: prior, answers and exercises joined, and the promises that the join keeps."""

from collections.abc import Sequence
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.courses.curriculum import NO_CURRICULUM
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.evidence.evidence import INTERMEDIATE, NO_EVIDENCE, Evidence, TopicProgress
from mastery_engine.domain.moments import DAY, Day
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import (
    EXERCISE,
    KNOWN,
    MASTERED,
    RESTED_DAYS,
    Outlook,
    SkillEstimate,
    _after_exercises,
    outlook_of,
    skill_estimates,
)
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, KnowledgeState, estimate, with_answer
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from tests.support.samples import CURRICULUM, NOW, TODAY

RULES = Rules()
MODULE, SKILLS = next(iter(CURRICULUM.members.items()))
SKILL, OTHER = SKILLS[:2]
BESIDE = "juggling"

Answered = tuple[str, bool, int]  # skill, right, days ago
Worked = tuple[str, int, int, int]  # topic, done, of, days ago


def knowledge(answers: Sequence[Answered], model: SkillModel = DEFAULT_SKILLS) -> KnowledgeState:
    state = NO_KNOWLEDGE
    for number, (skill, right, ago) in enumerate(sorted(answers, key=lambda one: -one[2])):
        state = with_answer(state, Answer(f"i{number}", (skill,), right), NOW - ago * DAY, model)
    return state


def exercises(*work: Worked) -> Evidence:
    return Evidence(
        completion={
            topic: TopicProgress(NOW - ago * DAY, b"e", done, of, INTERMEDIATE) for topic, done, of, ago in work
        }
    )


def view(
    answers: Sequence[Answered] = (),
    *work: Worked,
    today: Day = TODAY,
    model: SkillModel = DEFAULT_SKILLS,
) -> Outlook:
    return outlook_of(exercises(*work), knowledge(answers, model), CURRICULUM, today, RULES, model)


def of(skill: str, found: Outlook) -> SkillEstimate:
    return found.estimates.get(skill) or found.estimate(skill)


# ---- particular students


def test_answers_alone_say_what_the_knowledge_state_says() -> None:
    answers = [(SKILL, True, 1)] * 8 + [(OTHER, False, 1)]
    found, state = view(answers), knowledge(answers)
    for skill, basis, count in ((SKILL, "answers", 8), (OTHER, "answers", 1)):
        one, traced = found.estimates[skill], estimate(state, skill, TODAY * DAY, DEFAULT_SKILLS)
        assert one.probability == pytest.approx(traced.probability, abs=5e-5)
        spread = one.probability * (1 - one.probability) * traced.uncertainty
        assert one.uncertainty == pytest.approx(spread)
        assert (one.basis, one.answers, one.last_practised) == (basis, count, NOW - DAY)
    assert found.knows(SKILL)
    assert not found.knows(OTHER), "one answer, a wrong one"


def test_exercises_count_as_part_of_a_right_answer_each_and_a_modules_by_equal_parts() -> None:
    usual = view().usual
    own, modules = view((), (SKILL, 6, 10, 0)), view((), (MODULE, 6 * len(SKILLS), 100, 0))
    assert own.estimates[SKILL].probability == modules.estimates[SKILL].probability > usual
    assert {name: one.basis for name, one in modules.estimates.items()} == dict.fromkeys(SKILLS, "exercises")
    assert set(own.estimates) == {SKILL}
    assert own.estimates[SKILL].uncertainty < own.estimate(OTHER).uncertainty
    both = view((), (SKILL, 6, 10, 3), (MODULE, 6, 100, 1)).estimates[SKILL]
    assert both.probability > view((), (SKILL, 6, 10, 3)).estimates[SKILL].probability
    assert both.last_practised == NOW - DAY
    assert view((), (BESIDE, 4, 4, 0), ("", 9, 9, 0)).estimates.keys() == {BESIDE}, "a topic is a skill"


def test_the_basis_is_what_weighs_most_of_the_students_own_evidence() -> None:
    done = (SKILL, 9, 10, 0)  # as much as 6.3 right answers
    assert view([(SKILL, False, 0)] * 6, done).estimates[SKILL].basis == "exercises"
    assert view([(SKILL, False, 0)] * 7, done).estimates[SKILL].basis == "answers"
    nothing = view((), (SKILL, 0, 10, 0)).estimates[SKILL]
    assert (nothing.basis, nothing.last_practised) == ("prior", NOW), "begun, and nothing done yet"
    assert nothing.probability == view().usual
    assert not nothing.is_known
    assert (view().estimate(SKILL).basis, view().estimate(SKILL).last_practised) == ("prior", None)


def test_many_wrong_answers_outweigh_the_exercises_done() -> None:
    done = (SKILL, 10, 10, 0)
    assert view((), done).knows(SKILL)
    assert not view([(SKILL, False, 0)] * 10, done).knows(SKILL)


def test_a_skill_is_known_once_there_is_enough_evidence_or_it_says_mastered() -> None:
    assert not view([(SKILL, True, 0)]).knows(SKILL)
    assert view([(SKILL, True, 0)] * 3).knows(SKILL)
    assert not view((), (SKILL, 4, 10, 0)).knows(SKILL)
    assert view((), (SKILL, 5, 10, 0)).knows(SKILL)
    strong = [(OTHER, True, 0)] * 60
    one = view([*strong, (SKILL, True, 0)]).estimates[SKILL]
    assert one.probability >= MASTERED
    assert (one.is_settled, one.is_known, one.is_mastered) == (True, True, False)


def test_a_skill_is_known_by_what_was_shown_lately_and_not_by_what_is_expected_of_anybody() -> None:
    """A newcomer is expected to answer 62 in a hundred right: so the prior alone must open no later skill."""
    expected = view().usual
    assert expected >= KNOWN
    shown = [view([(SKILL, right, 0) for right in answers]) for answers in ((True, True, False), (False, True, True))]
    assert min(found.estimates[SKILL].probability for found in shown) >= KNOWN
    assert [found.knows(SKILL) for found in shown] == [False, True]
    assert view([(SKILL, True, 0)] * 5 + [(SKILL, False, 0)]).knows(SKILL), "a slip"
    done = (SKILL, 9, 10, 0)
    assert view([(SKILL, True, 0), (SKILL, False, 0)], done).knows(SKILL), "the exercises show it"


def test_what_was_practised_is_answers_and_exercises_done() -> None:
    assert view().estimate(SKILL).practised == 0.0
    assert view([(SKILL, False, 0)] * 3, (SKILL, 4, 10, 0)).estimates[SKILL].practised == 3 + 4 * EXERCISE


def test_a_skill_once_known_is_to_be_reviewed_after_three_weeks_without_practice() -> None:
    """Whatever else was practised, and whether by answers or exercises; what was never known is to be practised."""
    for right, done, fades in ((True, 0, True), (False, 0, False), (False, 90, True)):
        answers = [(SKILL, right, 0)] * (8 if not done else 0)
        for days, rested in ((RESTED_DAYS - 1, False), (RESTED_DAYS, fades)):
            elsewhere = with_answer(knowledge(answers), Answer("i", (BESIDE,), True), NOW + days * DAY, DEFAULT_SKILLS)
            for state in (knowledge(answers), elsewhere):
                work = exercises((SKILL, done, 90, 0)) if done else NO_EVIDENCE
                one = outlook_of(work, state, CURRICULUM, TODAY + days, RULES).estimates[SKILL]
                assert one.is_rested == one.needs_review == rested
    assert not view([(SKILL, True, RESTED_DAYS)] * 8 + [(SKILL, True, 0)]).estimates[SKILL].needs_review


def test_exercises_fade_and_what_is_lost_is_told() -> None:
    fresh, old = (view((), (SKILL, 10, 10, 0), today=TODAY + days).estimates[SKILL] for days in (0, 60))
    assert fresh.forgotten == 0.0
    assert old.probability + old.forgotten == pytest.approx(fresh.probability, abs=1e-4)
    assert old.forgotten > 0.02


def test_evidence_older_than_the_retention_is_gone() -> None:
    work = (SKILL, 10, 10, 89)
    assert set(view([(OTHER, True, 89)], work).estimates) == {SKILL, OTHER}
    assert not view([(OTHER, True, 90)], (SKILL, 10, 10, 90)).estimates
    assert set(view([(OTHER, True, 90), (BESIDE, True, 2)]).estimates) == {BESIDE}
    assert view([(OTHER, False, 90)] * 9).usual == view().usual


def test_a_skill_that_the_model_names_has_its_own_prior() -> None:
    hard = SkillModel(skills={SKILL: -1.0, OTHER: 0.2})
    found = view((), (SKILL, 2, 10, 0), model=hard)
    assert found.estimates[SKILL].probability < 0.45 < found.chance(OTHER) < found.usual
    assert found.estimate(OTHER).probability == found.chance(OTHER)


def test_without_a_course_topics_and_skills_are_there_all_the_same() -> None:
    found = outlook_of(exercises((MODULE, 4, 4, 0)), knowledge([(BESIDE, True, 0)]), NO_CURRICULUM, TODAY, RULES)
    assert set(found.estimates) == {MODULE, BESIDE}
    assert (found.known, found.seen) == (0, 0)


def test_what_advice_reads_is_the_same_without_what_lies_beside_the_course() -> None:
    state, work = knowledge([(BESIDE, True, 0), (SKILL, True, 0)]), exercises(("knitting", 1, 2, 0), (MODULE, 3, 9, 0))
    whole = outlook_of(work, state, CURRICULUM, TODAY, RULES)
    within = outlook_of(work, state, CURRICULUM, TODAY, RULES, beside=False)
    assert {name: one for name, one in whole.estimates.items() if name in CURRICULUM.skills} == within.estimates
    assert set(whole.estimates) - set(within.estimates) == {BESIDE, "knitting"}
    assert (whole.known, whole.seen, whole.usual) == (within.known, within.seen, within.usual)


# ---- the step


@given(st.floats(0.01, 0.99), st.floats(0.01, 2.0), st.floats(0.0, 30.0))
def test_the_step_is_never_beyond_the_mode_of_the_posterior_and_near_it_for_little(
    chance: float, variance: float, right: float
) -> None:
    """The mode, by bisection: where the pull of the prior is that of the right answers."""
    level = log(chance / (1 - chance))
    low, high = level, level + variance * right + 1e-9
    for _ in range(60):
        middle = (low + high) / 2
        beyond = middle - level > variance * right * (1 - _chance_at(middle))
        low, high = (low, middle) if beyond else (middle, high)
    after = _after_exercises(chance, variance * right)
    assert chance - 1e-12 <= after <= _chance_at(high) + 1e-9
    if variance * right < 0.5:
        assert after == pytest.approx(_chance_at(high), abs=0.01)


def _chance_at(level: float) -> float:
    return 1.0 / (1.0 + 2.718281828459045**-level)


# ---- the promises, for any student and model

names = st.sampled_from([*SKILLS[:3], MODULE, BESIDE])
answered = st.lists(st.tuples(names, st.booleans(), st.integers(1, 80)), max_size=25)
worked = st.lists(
    st.tuples(names, st.integers(0, 30), st.integers(30, 40), st.integers(0, 80)), max_size=4, unique_by=lambda w: w[0]
)
models = st.builds(
    SkillModel,
    usual=st.floats(-1.5, 2.0),
    general_variance=st.floats(0.05, 1.0),
    skill_variance=st.floats(0.05, 1.0),
    information=st.floats(0.05, 0.25),
    carry_over=st.floats(0.0, 1.0),
)


@given(answered, worked, models, st.integers(0, 12))
def test_one_more_right_answer_lowers_nothing_and_a_right_one_is_no_worse_than_a_wrong_one(
    answers: list[Answered], work: list[Worked], model: SkillModel, many: int
) -> None:
    """At the same moment, which is that of the last answer on its own day, and on the next one for all."""
    answers = answers + [(SKILL, False, 1)] * many
    before, right, wrong = (
        view([*answers, *more], *work, today=TODAY + 1, model=model)
        for more in ((), [(SKILL, True, 0)], [(SKILL, False, 0)])
    )
    for skill in before.estimates.keys() | CURRICULUM.skills.keys():
        assert of(skill, right).probability >= of(skill, before).probability
        assert of(skill, right).probability >= of(skill, wrong).probability


@given(answered, worked, models, names, st.integers(0, 29))
def test_one_more_exercise_done_lowers_nothing(
    answers: list[Answered], work: list[Worked], model: SkillModel, topic: str, done: int
) -> None:
    others = [one for one in work if one[0] != topic]
    before = view(answers, *others, (topic, done, 30, 2), model=model)
    for after in (
        view(answers, *others, (topic, done + 1, 30, 0), model=model),
        view(answers, *others, (topic, done + 1, 31, 2), model=model),
    ):
        for skill, one in before.estimates.items():
            assert after.estimates[skill].probability >= one.probability
        assert before.known & after.known == before.known
    first = view(answers, *others, model=model)
    for skill in CURRICULUM.skills:
        assert of(skill, before).probability >= of(skill, first).probability, "against none at all"
        assert before.knows(skill) >= first.knows(skill)


@given(answered, worked, models)
def test_a_skill_with_some_work_and_no_wrong_answer_is_not_below_one_never_tried(
    answers: list[Answered], work: list[Worked], model: SkillModel
) -> None:
    wrong = {skill for skill, right, _ in answers if not right}
    found = view(answers, *work, model=model)
    for skill, one in found.estimates.items():
        if skill not in wrong:
            assert one.probability >= found.usual


@given(answered, worked, models, st.integers(0, 80), names)
def test_one_more_right_answer_makes_no_known_skill_unknown(
    answers: list[Answered], work: list[Worked], model: SkillModel, later: int, skill: str
) -> None:
    """However long the pause before it was, and be it known by evidence of its own or as a known one rests on it."""
    today = TODAY + later
    before = view(answers, *work, today=today, model=model)
    state = with_answer(knowledge(answers, model), Answer("i", (skill,), True), today * DAY, model)
    after = outlook_of(exercises(*work), state, CURRICULUM, today, RULES, model)
    assert before.known & after.known == before.known


def test_a_skill_that_a_known_one_rests_on_stays_known_until_an_answer_denies_it() -> None:
    assert SKILL in CURRICULUM.before[OTHER]
    shown = [(OTHER, True, 1)] * 20
    known = [view([*shown, *more]).knows(SKILL) for more in ([], [(SKILL, True, 0)], [(SKILL, False, 0)])]
    assert known == [True, True, False]
    assert view(shown, (SKILL, 1, 10, 0)).knows(SKILL)
    assert view(shown, (MODULE, 1, 100, 0)).knows(SKILL)


@given(answered, worked, models, st.integers(1, 60))
def test_time_away_alone_raises_nothing(
    answers: list[Answered], work: list[Worked], model: SkillModel, days: int
) -> None:
    """As long as nothing leaves the retention: who gave wrong answers then is known less of again."""
    days = min(days, RULES.retention_days - 1 - max([0, *(ago for *_, ago in (*answers, *work))]))
    now, later = (view(answers, *work, today=TODAY + more, model=model) for more in (0, days))
    for skill, one in later.estimates.items():
        before = now.estimates[skill]
        assert one.probability <= before.probability
        assert one.forgotten >= before.forgotten - 1e-4


@given(answered, worked, models)
def test_every_estimate_is_a_probability_with_its_error_and_the_same_for_whoever_asks(
    answers: list[Answered], work: list[Worked], model: SkillModel
) -> None:
    found = view(answers, *work, model=model)
    state, evidence = knowledge(answers, model), exercises(*work)
    names = [*{*found.estimates, *CURRICULUM.skills}]
    assert skill_estimates(names, evidence, state, CURRICULUM, TODAY, RULES, model) == found.estimates
    for skill in names:
        one = of(skill, found)
        assert 0.0 <= one.probability <= 1.0
        assert 0.0 <= one.uncertainty <= 0.5
        assert 0.0 <= one.forgotten <= 1.0
        assert one.probability == round(one.probability, 4)
        assert one.is_mastered <= one.is_settled <= one.is_known or one.basis == "prior"
        if skill in found.estimates:
            assert {skill: one} == skill_estimates([skill], evidence, state, CURRICULUM, TODAY, RULES, model)
        if one.is_known:
            assert one.probability >= KNOWN
    assert EXERCISE == EXERCISE
