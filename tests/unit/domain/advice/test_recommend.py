"""Advice: its gains are what the formula says, no two are alike, and it suits who knows nothing and who knows all."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.advice.recommend import (
    LEARNED,
    PRACTICE_MINUTES,
    QUESTIONS,
    SLOWS,
    WEEK,
    WithinReach,
    after_practice,
    recommend,
    within_reach,
)
from mastery_engine.domain.advice.recommendation import (
    Recommendation,
    recently_dismissed,
    recommendation_id,
    with_dismissed,
)
from mastery_engine.domain.courses.curriculum import NO_CURRICULUM
from mastery_engine.domain.evidence.decayed_sums import DecayedSums
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, Evidence
from mastery_engine.domain.evidence.score import components, mastery_score
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import KNOWN, MASTERED, Outlook, SkillEstimate, outlook, outlook_of
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE
from mastery_engine.domain.skills.model import DEFAULT_SKILLS
from tests.support.samples import CURRICULUM, NOW, TODAY, by_id, done, envelopes, event, evidence_of, quiz
from tests.support.samples import given as set_to
from tests.support.skill_estimates import estimate, estimated, knows_all

RULES = Rules()
USUAL = 0.6225  # of a skill without evidence
START = TODAY * DAY


def sum_of(at: Micros, weight: float, score: float) -> DecayedSums:
    return DecayedSums.of(at, RULES.day_of(at), weight, score, RULES.half_life)


def evidence(*events: Any) -> Evidence:
    found = NO_EVIDENCE
    for one in events:
        found = found.merge(evidence_of(one, retention_days=90))
    return found


def advice(found: Evidence, estimates: dict[str, SkillEstimate] | None = None, **how: Any) -> list[Recommendation]:
    known = outlook_of(found, NO_KNOWLEDGE, CURRICULUM, TODAY, RULES)
    view = known if estimates is None else outlook(estimates, CURRICULUM)
    return recommend(found, components(found, START, RULES), view, TODAY, RULES, **how)


def areas(found: list[Recommendation], action: str = "practice") -> list[str]:
    return [one.area for one in found if one.action == action]


# ---- any student

kinds = ("completion", "quiz", "quality", "consistency", "answer", "help")
histories = by_id(envelopes(first=NOW - 40 * DAY, last=START, kinds=kinds), max_size=8).map(
    lambda sent: evidence(
        *[event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=NOW)
          for one in sent]
    )
)  # fmt: skip


@given(histories, estimated)
def test_gains_are_what_the_formula_says(found: Evidence, estimates: dict[str, SkillEstimate]) -> None:
    """The evidence that all of the advice brings is put in, and the score taken; then that of doing none of it."""
    reach = within_reach(outlook(estimates, CURRICULUM))
    advised = advice(found, estimates)
    now, later = START, START + (WEEK - 1) * DAY
    # Where a skill is to be reviewed, practice of the same area is of its exercises alone.
    skilled = {one.area: one.after for action in ("practice", "review") for one in advised if one.action == action}
    with_all, without = found, found
    for probability, put in ((lambda one: skilled.get(one[0], one[1]), "with"), (lambda one: one[1], "without")):
        right = sum(probability(one) for one in reach.skills) / len(reach.skills) if reach.skills else 0.5
        next_quiz = Evidence(quiz=sum_of(now, QUESTIONS, right))
        if put == "with":
            with_all = with_all.merge(next_quiz)
        elif "quiz" not in areas(advised):
            without = without.merge(next_quiz)
    dones = {one.area: one.steps for one in advised if one.action == "practice" and one.steps and one.area != "quiz"}
    progress = {
        topic: type(held)(now, b"~", held.completed + dones.get(topic or "exercises", 0), held.total, held.difficulty)
        for topic, held in found.completion.items()
    }
    with_all = with_all.merge(Evidence(completion=progress))
    for one in advised:
        if one.action == "refactor":
            with_all = with_all.merge(Evidence(quality=sum_of(now, 1.0, one.after)))
            if one.before:
                without = without.merge(Evidence(quality=sum_of(now, 1.0, one.before)))
        elif one.action == "schedule":
            days = event("consistency", {"current_streak": WEEK}, "c", at=later, received=later)
            with_all = with_all.merge(evidence_of(days, retention_days=90))
    when = later if areas(advised, "schedule") else now
    gained = mastery_score(with_all, when, RULES).score - mastery_score(without, now, RULES).score
    assert sum(one.gain for one in advised) == pytest.approx(gained, abs=1e-9)


@given(histories, estimated, st.integers(1, 10))
def test_advice_is_sound_for_anybody(found: Evidence, estimates: dict[str, SkillEstimate], limit: int) -> None:
    advised = advice(found, estimates)
    assert advised
    assert len({(one.action, one.area) for one in advised}) == len(advised)
    assert advice(found, estimates, limit=limit) == advised[:limit]
    per_minute = [one.gain / one.minutes for one in advised]
    assert per_minute == sorted(per_minute, reverse=True)
    view = outlook(estimates, CURRICULUM)
    for one in advised:
        assert one.gain >= 0.0
        assert one.minutes >= 1
        assert 0.0 <= one.before <= one.after <= 1.0
        assert one.reason.endswith(".")
        if one.action == "practice" and one.area in CURRICULUM.skills and not one.steps:
            assert all(map(view.knows, CURRICULUM.skills[one.area].prerequisites))
            assert one.before < MASTERED


# ---- particular students


def test_a_newcomer_starts_with_what_asks_for_nothing() -> None:
    advised = advice(NO_EVIDENCE)
    assert [(one.action, one.area) for one in advised] == [("practice", "variables"), ("schedule", "consistency")]
    assert advised[0].before == USUAL


def test_who_has_begun_is_told_what_has_no_evidence_yet() -> None:
    advised = advice(evidence(event("help", {"topic": "loops"}, at=START, received=START)))
    assert {"quiz", "quality"} <= {one.area for one in advised}
    assert "None of your code" in next(one.reason for one in advised if one.action == "refactor")
    quiz_first = next(one for one in advised if one.area == "quiz")
    assert quiz_first.gain == pytest.approx(0.3 * USUAL)
    assert "no quiz result" in quiz_first.reason


def perfect() -> Evidence:
    days = event("consistency", {"current_streak": 40}, "c", at=START, received=START)
    marks = dict.fromkeys(("code_quality_score", "correctness_score", "efficiency_score"), 1.0)
    return evidence(
        done("loops", 10, 10, at=START), quiz(10, 10, at=START), event("quality", marks, at=START, received=START), days
    )


def test_who_knows_everything_is_told_to_keep_it() -> None:
    (one,) = advice(perfect(), knows_all())
    assert (one.action, one.gain, one.priority) == ("review", 0.0, "low")
    assert CURRICULUM.skills[one.area]
    assert one.reason == f"You know {one.area}; look at it now and then to keep it. Your score stays as it is."
    unseen = {"x": estimate(0.9)}
    assert areas(advice(perfect(), unseen)) == ["variables"]
    view = Outlook({}, sum(CURRICULUM.bits.values()), 0, CURRICULUM, 0.9)
    (last,) = recommend(perfect(), components(perfect(), START, RULES), view, TODAY, RULES)
    assert last.action == "review"


def test_without_a_course_there_is_still_advice() -> None:
    view = outlook({}, NO_CURRICULUM)
    begun = (0.5, None, None, None)
    assert {one.area for one in recommend(NO_EVIDENCE, begun, view, TODAY, RULES)} == {
        "quiz",
        "quality",
        "consistency",
    }
    assert recommend(perfect(), (1.0,) * 4, view, TODAY, RULES) == []
    assert WithinReach(()).mean == 0.5


def test_open_exercises_are_counted_by_their_weight() -> None:
    found = evidence(done("loops", 8, 10, "1"), done("knitting", 3, 10, "2"), done(None, 9, 10, "3"))
    by_area = {one.area: one for one in advice(found)}
    assert by_area["knitting"].gain == pytest.approx(0.4 * 4 / 30)
    assert (by_area["knitting"].steps, by_area["knitting"].minutes) == (4, 32)
    assert by_area["exercises"].gain == pytest.approx(0.4 * 1 / 30)
    assert by_area["knitting"].reason.startswith("4 open exercises are within reach.")
    assert by_area["exercises"].reason.startswith("1 open exercise is within reach.")


def test_exercises_older_than_the_retention_are_not_open() -> None:
    old = {"at": NOW - 95 * DAY, "received": NOW - 95 * DAY}
    found = evidence(done("loops", 2, 10, "1", **old), done("knitting", 3, 10, "2"))
    assert [one.area for one in advice(found) if one.steps and one.area != "quiz"][:1] == ["knitting"]
    assert "loops" not in {one.area for one in advice(found)}


def test_exercises_and_answers_of_one_skill_are_one_advice() -> None:
    found = evidence(quiz(5, 10), done("variables", 4, 10, at=START))
    (one,) = [one for one in advice(found) if one.area == "variables"]
    assert one.steps == 4
    assert one.gain > 0.4 * 4 / 10
    assert one.after > one.before


def test_what_is_forgotten_is_sum_of() -> None:
    estimates = knows_all() | {"loops": estimate(0.55, 0.3)}
    one = next(one for one in advice(NO_EVIDENCE, estimates) if one.action == "review")
    assert (one.area, one.before, one.after) == ("loops", 0.55, pytest.approx(0.85))
    assert "time to review loops" in one.reason


def test_what_was_known_and_rested_for_weeks_is_sum_of() -> None:
    """It comes to what a session of practice would."""
    rested = msgspec.structs.replace(estimate(0.9, 0.01, days_ago=30), is_rested=True)
    one = next(one for one in advice(NO_EVIDENCE, knows_all() | {"loops": rested}) if one.action == "review")
    assert (one.area, one.before, one.after) == ("loops", 0.9, pytest.approx(0.925))
    assert one.gain > 0
    assert "time to review loops" in one.reason


def test_a_skill_waits_for_what_it_rests_on() -> None:
    weak = {"variables": estimate(KNOWN - 0.01)}
    assert "types" not in areas(advice(NO_EVIDENCE, weak))
    known = {"variables": estimate(KNOWN)}
    assert {"variables", "types"} <= set(areas(advice(NO_EVIDENCE, known)))


def test_what_a_known_skill_rests_on_counts_as_known() -> None:
    advised = areas(advice(NO_EVIDENCE, {"loops": estimate(0.75)}))
    assert "lists" in advised
    assert "variables" not in advised


def test_a_skill_without_evidence_stands_where_the_model_has_it() -> None:
    easy = msgspec.structs.replace(DEFAULT_SKILLS, skills={"lists": 2.0})
    view = outlook({"loops": estimate(0.75)}, CURRICULUM, model=easy)
    chances = {name: now for name, now, *_ in within_reach(view).skills if name != "loops"}
    assert chances.pop("lists") == view.chance("lists") > view.usual
    assert set(chances.values()) == {view.usual}


def test_poor_quality_is_refactored_and_good_quality_is_not() -> None:
    def of(value: float) -> Evidence:
        marks = dict.fromkeys(("code_quality_score", "correctness_score", "efficiency_score"), value)
        return evidence(event("quality", marks, at=START, received=START))

    (one,) = [one for one in advice(of(0.5)) if one.action == "refactor"]
    assert one.gain == pytest.approx(0.2 * 0.25 / 2)
    assert (one.before, one.after) == (0.5, 0.75)
    assert "a better review" in one.reason
    assert areas(advice(of(0.95)), "refactor") == []


def test_missing_days_are_scheduled_and_a_full_month_is_not() -> None:
    (one,) = [one for one in advice(NO_EVIDENCE) if one.action == "schedule"]
    assert (one.steps, one.gain) == (7, pytest.approx(0.1))
    assert areas(advice(perfect()), "schedule") == []


def test_components_that_were_set_are_not_taken_for_evidence() -> None:
    found = evidence(set_to(completion=0.9, quiz=0.9, quality=0.4, consistency=0.5, at=START, received=START))
    advised = advice(found)
    assert {"variables", "quality", "consistency"} == {one.area for one in advised}
    assert next(one for one in advised if one.action == "refactor").before == 0.4


def test_a_struggle_makes_advice_urgent() -> None:
    plain = advice(NO_EVIDENCE, knows_all() | {"loops": estimate(0.79)})
    urgent = advice(NO_EVIDENCE, knows_all() | {"loops": estimate(0.79)}, urgent=frozenset({"loops"}))
    assert [one.priority for one in plain if one.area == "loops"] != ["high"]
    assert [one.priority for one in urgent if one.area == "loops"] == ["high"]
    assert [one.area for one in plain] == [one.area for one in urgent]


@pytest.mark.parametrize(("gain", "priority"), [(0.02, "high"), (0.0199, "medium"), (0.005, "medium"), (0.0, "low")])
def test_priority_goes_by_the_gain(gain: float, priority: str) -> None:
    assert Recommendation("practice", "loops", 10, gain, 0, 0.3, 0.4).priority == priority


def test_an_id_is_the_students_the_courses_the_actions_and_the_areas() -> None:
    one = Recommendation("practice", "loops", 10, 0.1, 0, 0.3, 0.4)
    same = Recommendation("practice", "loops", 12, 0.2, 3, 0.3, 0.5)
    assert recommendation_id("t", "ada", "default", one) == recommendation_id("t", "ada", "default", same)
    others = [
        ("t", "bob", "default", one),
        ("u", "ada", "default", one),
        ("t", "ada", "rust", one),
        ("t", "ada", "default", Recommendation("review", "loops", 10, 0.1, 0, 0, 0)),
    ]
    assert recommendation_id("t", "ada", "default", one) not in {recommendation_id(*other) for other in others}


def test_what_is_dismissed_stays_away_for_a_week() -> None:
    dismissed = with_dismissed(with_dismissed({}, "r", NOW), "r", NOW - DAY)
    assert recently_dismissed(dismissed, NOW + 7 * DAY - 1) == {"r"}
    assert recently_dismissed(dismissed, NOW + 7 * DAY) == set()
    for number in range(100):
        dismissed = with_dismissed(dismissed, f"r-{number}", NOW + number)
    assert len(dismissed) == 32
    assert "r-99" in dismissed


def test_a_reason_names_no_figure_that_moves_on_while_the_advice_is_held() -> None:
    """The gain alone, as ``expected_gain`` has it; how well a skill is known stands where skills are shown."""
    found = evidence(quiz(5, 10), done("variables", 4, 10, at=START))
    fading = knows_all() | {"loops": estimate(0.55, 0.3), "json": estimate(0.5)}
    begun = advice(evidence(event("help", {"topic": "loops"}, at=START, received=START)))
    for one in (*advice(found), *advice(NO_EVIDENCE, fading), *begun, *advice(perfect(), knows_all())):
        assert re.findall(r"\d\.\d+", one.reason) == ([f"{one.gain:.4f}"] if one.gain else [])


def test_what_practice_moves_no_more_gives_way_to_what_it_may_move() -> None:
    """A skill that 60 answers left at .70 waits for one that was hardly begun, though that stands at .75."""
    long = msgspec.structs.replace(estimate(0.70), practised=60.0)
    short = msgspec.structs.replace(estimate(0.75), practised=5.0)
    advised = advice(NO_EVIDENCE, knows_all() | {"loops": long, "lists": short})
    assert [one.area for one in advised if one.action == "practice"] == ["lists", "loops"]
    assert after_practice(0.7) - 0.7 == pytest.approx(LEARNED * 0.3)
    assert after_practice(0.7, SLOWS) - 0.7 == pytest.approx(LEARNED * 0.15)


def test_skills_that_take_long_do_not_come_last() -> None:
    """Of skills known as little any may come first: a session is as long, whatever the skill takes in all."""
    advised = advice(NO_EVIDENCE, {"loops": estimate(0.75)})
    minutes = {one.area: one.minutes for one in advised if one.action == "practice"}
    assert len({CURRICULUM.skills[name].minutes for name in minutes if name in CURRICULUM.skills}) > 1
    assert set(minutes.values()) == {PRACTICE_MINUTES}


def test_a_skill_is_not_advised_as_a_weak_one_when_it_is_not() -> None:
    for enough in (False, True):
        strong = {"variables": msgspec.structs.replace(estimate(0.92), is_enough=enough)}
        assert "variables" not in areas(advice(NO_EVIDENCE, strong))
    bare = msgspec.structs.replace(estimate(0.92), basis="prior", answers=0, is_enough=False)
    assert "variables" in areas(advice(NO_EVIDENCE, {"variables": bare})), "nothing done yet: it is only expected"
