"""Learning paths: prerequisites first, no longer than needed, and days in the student's own rhythm."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.advice.learning_path import (
    SCHOOL_DAYS,
    UNLEARNED,
    Goal,
    Rhythm,
    Step,
    Timetable,
    learning_path,
    rhythm,
    timetable,
    weekday,
)
from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import MASTERED, SkillEstimate, outlook
from tests.support.samples import CURRICULUM, TODAY
from tests.support.skill_estimates import estimate, estimated, knows_all

RULES = Rules()
MONDAY = TODAY - weekday(TODAY)
goals = st.sampled_from(["improve_mastery", "master_topic", "prepare_assessment"])
topics = st.sampled_from([*CURRICULUM.skills, *CURRICULUM.members])


def path(
    goal: Goal = "improve_mastery", topic: str | None = None, estimates: dict[str, SkillEstimate] | None = None
) -> list[str]:
    return [step.skill for step in learning_path(outlook(estimates or {}, CURRICULUM), RULES, goal, topic)]


@given(estimated, goals, topics)
def test_no_skill_stands_before_what_it_asks_for(estimates: dict[str, SkillEstimate], goal: Goal, topic: str) -> None:
    view = outlook(estimates, CURRICULUM)
    seen: set[str] = set()
    steps = learning_path(view, RULES, goal, topic)
    for step in steps:
        assert all(needed in seen or view.knows(needed) for needed in CURRICULUM.skills[step.skill].prerequisites)
        assert step.minutes >= 5
        assert step.reason.endswith(".")
        seen.add(step.skill)
    assert len(seen) == len(steps)
    assert learning_path(view, RULES, goal, topic, most=3) == steps[:3]


def test_mastering_a_topic_takes_it_and_what_it_rests_on_and_nothing_else() -> None:
    assert set(path("master_topic", "loops")) == {"loops", *CURRICULUM.before["loops"]}
    known = {name: estimate(0.9) for name in CURRICULUM.before["loops"]}
    assert path("master_topic", "loops", known) == ["loops"]
    assert path("master_topic", "loops", knows_all()) == []
    assert set(CURRICULUM.members["files"]) <= set(path("master_topic", "files"))
    fading = knows_all() | {"loops": estimate(0.85, 0.12)}
    assert path("master_topic", "control-flow", fading) == ["loops"]
    assert path("master_topic", "types", {"loops": estimate(0.9)}) == []


def test_improving_goes_as_far_as_the_next_level_for_the_least_minutes() -> None:
    steps = path()
    total = UNLEARNED * (len(CURRICULUM.skills) - len(steps)) + MASTERED * len(steps)
    assert total / len(CURRICULUM.skills) >= 0.40
    assert (total - (MASTERED - UNLEARNED)) / len(CURRICULUM.skills) < 0.40
    assert steps[0] == "variables"
    assert path(estimates=knows_all()) == []


def test_a_first_right_answer_on_what_a_known_skill_rests_on_puts_no_step_before_others() -> None:
    known = {"loops": estimate(0.85)}
    first = {"variables": msgspec.structs.replace(estimate(0.65), answers=1, is_enough=False)}
    assert path(estimates=known | first) == path(estimates=known)


def test_an_assessment_is_about_what_was_begun() -> None:
    begun = {"variables": estimate(0.5), "types": estimate(0.9)}
    assert path("prepare_assessment", None, begun) == ["variables"]
    assert path("prepare_assessment", "files", begun)[-1] == "reading-files"
    assert path("prepare_assessment") == ["variables"]
    fading = knows_all() | {"json": estimate(0.82, 0.13)}
    assert path("prepare_assessment", None, fading) == ["json"]
    assert path("prepare_assessment", "loops", fading) == []
    rested = knows_all() | {"json": msgspec.structs.replace(estimate(0.95), is_rested=True)}
    assert path("prepare_assessment", None, rested) == ["json"]
    (step,) = learning_path(outlook(rested, CURRICULUM), RULES, "prepare_assessment")
    assert step.rested


def test_minutes_are_what_is_left_of_the_skills() -> None:
    (whole,) = learning_path(outlook({}, CURRICULUM), RULES, "master_topic", "variables")
    assert (whole.minutes, whole.now) == (CURRICULUM.skills["variables"].minutes, UNLEARNED)
    half = outlook({"variables": estimate((UNLEARNED + MASTERED) / 2)}, CURRICULUM)
    (left,) = learning_path(half, RULES, "master_topic", "variables")
    assert left.minutes == pytest.approx(whole.minutes / 2, abs=1)
    little = {"variables": msgspec.structs.replace(estimate(0.75), is_enough=False)}
    assert learning_path(outlook(little, CURRICULUM), RULES, "master_topic", "variables") == (whole,)
    assert (
        path("master_topic", "variables", {"variables": msgspec.structs.replace(estimate(0.92), is_enough=False)}) == []
    )
    assert "builds on it" in learning_path(outlook({}, CURRICULUM), RULES, "master_topic", "types")[0].reason
    assert "partly forgotten" in Step("loops", 5, 0.6, 0.3).reason
    assert "not practised for weeks" in Step("loops", 5, 0.9, 0.01, rested=True).reason


# ---- the rhythm and the days


def worked(*back: int) -> ActiveDays:
    return ActiveDays.of(*[TODAY - one for one in back])


def test_a_newcomer_works_on_school_days() -> None:
    assert rhythm(ActiveDays(), None, TODAY) == Rhythm(SCHOOL_DAYS, 30)


def test_the_rhythm_is_that_of_the_last_four_weeks() -> None:
    back = weekday(TODAY)
    mondays = worked(*[back + 7 * week for week in range(4)], back + 28 - 1, back + 70 - 2)
    assert rhythm(mondays, None, TODAY).weekdays == {0}
    assert rhythm(mondays, 1.0, TODAY).minutes == 15
    assert rhythm(mondays, 900.0, TODAY).minutes == 120
    assert rhythm(mondays, 44.6, TODAY).minutes == 45


def test_days_are_filled_in_the_usual_rhythm() -> None:
    steps = [Step("a", 40, 0.3, 0.0), Step("b", 30, 0.3, 0.0)]
    found = timetable(steps, Rhythm(frozenset({0, 2}), 30), MONDAY)
    assert found == Timetable(
        ((MONDAY, ("a",)), (MONDAY + 2, ("a", "b")), (MONDAY + 7, ("b",))),
        MONDAY + 1,
        MONDAY + 7,
        MONDAY + 9,
    )
    assert timetable([], Rhythm(SCHOOL_DAYS, 30), MONDAY) == Timetable((), MONDAY, MONDAY, MONDAY)


@given(
    st.lists(st.integers(5, 300), max_size=36),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(15, 120),
    st.integers(0, 6),
)
def test_the_range_is_in_order_and_every_minute_has_its_day(
    minutes: list[int], weekdays: set[int], a_day: int, later: int
) -> None:
    steps = [Step(f"s-{place}", one, 0.3, 0.0) for place, one in enumerate(minutes)]
    found = timetable(steps, Rhythm(frozenset(weekdays), a_day), MONDAY + later)
    assert MONDAY + later <= found.earliest <= found.expected <= found.latest
    days = [day for day, _ in found.days]
    assert days == sorted(set(days))
    assert all(weekday(day) in weekdays for day in days)
    assert len(days) * a_day >= sum(minutes) > (len(days) - 1) * a_day or not minutes
    assert list(dict.fromkeys(name for _, names in found.days for name in names)) == [step.skill for step in steps]
