"""The course as a student has it, and its picture."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.courses.curriculum import Module, Skill, curriculum_of
from mastery_engine.domain.skills.estimates import SkillEstimate, outlook
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.skills.skill_map import State, skill_map
from mastery_engine.http.dashboard.skill_map import BOX, MOST_SHOWN, TALL, picture
from mastery_engine.responses.skills import skill_state
from mastery_engine.services.skills import SkillPlace
from tests.support.samples import CURRICULUM
from tests.support.skill_estimates import estimate, estimated


def states(estimates: dict[str, SkillEstimate]) -> dict[str, State]:
    return {one.skill.id: one.state for one in skill_map(outlook(estimates, CURRICULUM))}


def place(name: str, *needed: str, state: State = "later", title: str = "") -> SkillPlace:
    skill = Skill(name, title or name.title(), needed, 10, "beginner", ())
    return SkillPlace(skill, state, skill_state(name, estimate(0.5)))


def places(estimates: dict[str, SkillEstimate]) -> list[SkillPlace]:
    shown = skill_map(outlook(estimates, CURRICULUM))
    return [SkillPlace(one.skill, one.state, skill_state(one.skill.id, one.estimate)) for one in shown]


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


@given(estimated, st.integers(1, 8))
def test_each_skill_is_drawn_below_what_it_asks_for_and_beside_no_other(
    estimates: dict[str, SkillEstimate], per_row: int
) -> None:
    found = picture(places(estimates), per_row)
    at = {box.place.skill.id: box for box in found.boxes}
    assert set(at) == set(CURRICULUM.skills)
    assert len({(box.x, box.y) for box in found.boxes}) == len(at)
    for box in found.boxes:
        assert 0 <= box.x <= found.width - BOX
        assert 0 <= box.y <= found.height - TALL
        assert all(at[needed].y < box.y for needed in box.place.skill.prerequisites)
    edges = sum(len(skill.prerequisites) for skill in CURRICULUM.skills.values())
    assert len(found.done) + len(found.open) == edges


def test_a_line_from_a_known_skill_is_not_one_that_is_still_open() -> None:
    found = picture([place("a", state="known"), place("b"), place("c", "a", "b")], 2)
    assert (len(found.done), len(found.open)) == (1, 1)
    assert found.done[0].startswith(f"M{BOX // 2} {TALL}C")


def test_of_a_large_course_the_part_next_to_the_student_is_drawn() -> None:
    course = [place(f"s{number}") for number in range(MOST_SHOWN + 40)]
    course[90] = place("s90", "s89", state="ready")
    course[95] = place("s95", state="begun")
    found = picture(course, 6)
    assert len(found.boxes) == MOST_SHOWN
    assert found.left_out == 40
    assert {"s90", "s95"} <= {box.place.skill.id for box in found.boxes}
    assert not [*found.done, *found.open], "what it asks for is not drawn"


@pytest.mark.parametrize("course", [(), (Module("m", "M", ()),)])
def test_no_course_is_no_map(course: tuple[Module, ...]) -> None:
    assert skill_map(outlook({}, curriculum_of(course))) == []


def test_long_titles_are_cut_to_two_lines() -> None:
    long = place("x", state="ready", title="A very long title that goes on and on without an end")
    (box,) = picture([long], 2).boxes
    assert len(box.lines) == 2
    assert box.lines[1].endswith("…")
    assert (box.sign, box.fill) == ("→ ready to begin, 50%", BOX // 2)
