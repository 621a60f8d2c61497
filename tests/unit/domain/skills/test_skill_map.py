"""The course as a student has it, and its map."""

import msgspec
import pytest

from mastery_engine.domain.courses.curriculum import Module, Skill, curriculum_of
from mastery_engine.domain.skills.estimates import SkillEstimate, outlook
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.skills.skill_map import State, skill_map
from mastery_engine.http.dashboard.skill_map import mapped
from mastery_engine.responses.skills import skill_state
from mastery_engine.services.skills import SkillPlace
from tests.support.samples import CURRICULUM
from tests.support.skill_estimates import estimate

SKILLS = tuple(
    Skill(name, name.upper(), needed, 10, "beginner", ())
    for name, needed in (("a", ()), ("b", ("a",)), ("c", ("a", "b")))
)


def states(estimates: dict[str, SkillEstimate]) -> dict[str, State]:
    return {one.skill.id: one.state for one in skill_map(outlook(estimates, CURRICULUM))}


def test_a_newcomer_may_begin_what_asks_for_nothing() -> None:
    found = states({})
    assert set(found) == set(CURRICULUM.skills)
    assert {name for name, state in found.items() if state == "ready"} == {
        name for name, skill in CURRICULUM.skills.items() if not skill.prerequisites
    }
    assert set(found.values()) == {"ready", "later"}


def test_each_state_is_told_from_the_others() -> None:
    first, *_, last = CURRICULUM.skills
    for probability, forgotten, state in ((0.9, 0.0, "mastered"), (0.7, 0.0, "known"), (0.4, 0.0, "begun")):
        assert states({first: estimate(probability, forgotten)})[first] == state
    assert states({first: estimate(0.9, 0.2)})[first] == "fading"
    assert states({first: msgspec.structs.replace(estimate(0.9), is_rested=True)})[first] == "fading"
    little = msgspec.structs.replace(estimate(0.7), answers=1, is_enough=False)
    assert states({last: little})[last] == "begun", "too little to tell, and it asks for more first"
    assert states({last: msgspec.structs.replace(little, probability=0.9)})[last] == "known", "but not mastered"
    resting = next(name for name, below in CURRICULUM.before.items() if first in below)
    assert states({resting: estimate(0.7)})[first] == "known", "what is known rests on it"


def test_a_skill_without_evidence_has_what_is_expected_of_the_student() -> None:
    first, second, *_ = CURRICULUM.skills
    shown, *_ = skill_map(outlook({}, CURRICULUM))
    assert (shown.estimate.probability, shown.estimate.basis) == (0.6225, "prior"), "0.5 in log-odds"
    assert shown.estimate.last_practised is None
    assert 0.0 < shown.estimate.uncertainty < 0.5
    weak = SkillModel(usual=-1.0)
    on_it = outlook({second: estimate(0.7)}, CURRICULUM, model=weak)
    assert on_it.knows(first), "since a known one rests on it"
    assert (skill_map(on_it)[0].estimate.probability, skill_map(on_it)[0].state) == (0.2689, "ready")
    named = outlook({}, CURRICULUM, model=SkillModel(skills={first: 2.0}))
    assert (named.chance(first), named.chance(second)) == (0.8808, 0.6225)


def test_the_map_has_each_skill_in_its_module_and_says_what_comes_first() -> None:
    course = curriculum_of((Module("m", "M", SKILLS[:2]), Module("n", "N", SKILLS[2:])))
    estimates = {"a": estimate(0.9)}
    shown = skill_map(outlook(estimates, course))
    found = mapped(
        course.modules, [SkillPlace(one.skill, one.state, skill_state(one.skill.id, one.estimate)) for one in shown]
    )
    assert [(module.title, module.known, [one.skill.id for one in module.places]) for module in found] == [
        ("M", 1, ["a", "b"]),
        ("N", 0, ["c"]),
    ]
    assert [one.needs for module in found for one in module.places] == [[], [], ["B"]]


@pytest.mark.parametrize("course", [(), (Module("m", "M", ()),)])
def test_no_course_is_no_map(course: tuple[Module, ...]) -> None:
    assert skill_map(outlook({}, curriculum_of(course))) == []
