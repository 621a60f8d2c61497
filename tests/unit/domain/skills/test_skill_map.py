"""The course as a student has it, and its picture."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.courses.curriculum import Module, Skill, curriculum_of
from mastery_engine.domain.skills.estimates import SkillEstimate, outlook
from mastery_engine.domain.skills.skill_map import SkillStatus, State, skill_map
from mastery_engine.http.dashboard.skill_map import BOX, MOST_SHOWN, TALL, picture
from tests.support.samples import CURRICULUM
from tests.support.skill_estimates import estimate, estimated


def states(estimates: dict[str, SkillEstimate], answered: dict[str, float] | None = None) -> dict[str, State]:
    return {one.skill.id: one.state for one in skill_map(outlook(estimates, CURRICULUM), answered or {})}


def place(name: str, *needed: str, state: State = "later") -> SkillStatus:
    return SkillStatus(Skill(name, name.title(), needed, 10, "beginner", ()), state, None)


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
        assert states({first: estimate(first, probability, forgotten)})[first] == state
    assert states({first: estimate(first, 0.9, 0.2)})[first] == "fading"
    assert states({first: msgspec.structs.replace(estimate(first, 0.9), rested=True)})[first] == "fading"
    assert states({}, {last: 0.5})[last] == "begun", "answered, though it asks for more first"
    resting = next(name for name, below in CURRICULUM.before.items() if first in below)
    assert states({resting: estimate(resting, 0.7)})[first] == "known", "what is known rests on it"


def test_an_answer_shows_its_probability_before_it_is_an_estimate() -> None:
    first = next(iter(CURRICULUM.skills))
    view = outlook({}, CURRICULUM)
    assert skill_map(view, {first: 0.4})[0].probability == 0.4
    assert skill_map(view, {})[0].probability is None
    assert skill_map(outlook({first: estimate(first, 0.9)}, CURRICULUM), {first: 0.4})[0].probability == 0.9


@given(estimated, st.integers(1, 8))
def test_each_skill_is_drawn_below_what_it_asks_for_and_beside_no_other(
    estimates: dict[str, SkillEstimate], per_row: int
) -> None:
    found = picture(skill_map(outlook(estimates, CURRICULUM), {}), per_row)
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
    places = [place(f"s{number}") for number in range(MOST_SHOWN + 40)]
    places[90] = place("s90", "s89", state="ready")
    places[95] = place("s95", state="begun")
    found = picture(places, 6)
    assert len(found.boxes) == MOST_SHOWN
    assert found.left_out == 40
    assert {"s90", "s95"} <= {box.place.skill.id for box in found.boxes}
    assert not [*found.done, *found.open], "what it asks for is not drawn"


@pytest.mark.parametrize("course", [(), (Module("m", "M", ()),)])
def test_no_course_is_no_map(course: tuple[Module, ...]) -> None:
    assert skill_map(outlook({}, curriculum_of(course)), {}) == []


def test_long_titles_are_cut_to_two_lines() -> None:
    long = SkillStatus(
        Skill("x", "A very long title that goes on and on without an end", (), 10, "beginner", ()), "ready", None
    )
    (box,) = picture([long], 2).boxes
    assert len(box.lines) == 2
    assert box.lines[1].endswith("…")
    assert (box.sign, box.fill) == ("→ ready to begin", 0)
