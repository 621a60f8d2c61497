"""What admins set of a course, by JSON and by YAML, and what holds in it then."""

from typing import Any

import msgspec
import pytest

from mastery_engine.domain.courses.course import (
    NO_COURSE,
    Course,
    CourseChange,
    CourseItem,
    CourseRules,
    Outline,
    check_badges,
    setup_of,
)
from mastery_engine.domain.courses.course_file import at_line_of, course_change_from
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.courses.curriculum import NO_CURRICULUM, Module, Skill
from mastery_engine.domain.rules import Level, Rules, Weights
from mastery_engine.errors import InvalidInput
from tests.support.samples import CURRICULUM

HALVES = Weights(0.5, 0.5, 0.0, 0.0)
BANDS = (Level("learning", 0.0), Level("mastered", 0.9))
FILES = Rules(weights=HALVES, levels=BANDS, retention_days=30)
DEFAULT, PHYSICS = CourseKey("default"), CourseKey("default", "physics")


def change(**fields: Any) -> CourseChange:
    return msgspec.convert(fields, CourseChange)


def test_what_is_left_out_stays() -> None:
    items = [{"item_id": " q1 ", "skills": ["loops", "loops"], "url": "https://school.example/q1"}]
    first = NO_COURSE.changed(
        change(
            title=" Physics ", time_zone="Asia/Kathmandu", language="pt-BR", rules={"half_life_days": 7}, items=items
        )
    )
    assert first == Course(
        "Physics",
        "Asia/Kathmandu",
        "pt-BR",
        CourseRules(half_life_days=7.0),
        items=(CourseItem("q1", ("loops",), url="https://school.example/q1"),),
    )
    weights = {"completion": 0.5, "quiz": 0.5, "quality": 0.0, "consistency": 0.0}
    second = first.changed(change(rules={"weights": weights}, badges="expert"))
    assert second.rules == CourseRules(HALVES, None, 7.0)
    assert second == msgspec.structs.replace(first, rules=second.rules, badges="expert")
    assert second.changed(change(badges=None, items=[])) == msgspec.structs.replace(second, badges=None, items=())
    assert second.changed(change()) == second


def test_a_curriculum_is_checked_as_a_file_is() -> None:
    outline = Outline(CURRICULUM.modules)
    assert NO_COURSE.changed(CourseChange(curriculum=outline)).modules == CURRICULUM.modules
    twice = Skill("a", "A", (), 5, "beginner", ())
    with pytest.raises(InvalidInput, match=r"^The id 'a' is already used\.$"):
        NO_COURSE.changed(CourseChange(curriculum=Outline((Module("m", "M", (twice, twice)),))))
    with pytest.raises(InvalidInput, match=r"^The course has no skills"):
        NO_COURSE.changed(CourseChange(curriculum=Outline(())))


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"title": "   "}, "title", "besides blanks"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "no time zone"),
        ({"language": "English please"}, "language", "BCP 47"),
        ({"language": "en-" + "x" * 40}, "language", "BCP 47"),
        ({"items": [{"item_id": " "}]}, "items[0].item_id", "besides blanks"),
        ({"items": [{"item_id": "a"}, {"item_id": "a "}]}, "items[1].item_id", "twice"),
        ({"items": [{"item_id": "a", "skills": ["\x00"]}]}, "items[0].skills", "control character"),
        ({"items": [{"item_id": "a", "url": "javascript:alert(1)"}]}, "items[0].url", "begins with https"),
        ({"items": [{"item_id": "a", "url": "https://x/\u202egnp.exe"}]}, "items[0].url", "begins with https"),
        ({"items": [{"item_id": "a", "url": "https://x/\x07"}]}, "items[0].url", "begins with https"),
        ({"items": [{"item_id": "a", "title": "a\u202eb"}]}, "items[0].title", "control character"),
        ({"title": "a\nb"}, "title", "control character"),
        ({"rules": {"levels": [{"name": "a\tb", "from_score": 0}]}}, "rules.levels[0].name", "control character"),
        ({"rules": {"levels": [{"name": " ", "from_score": 0}]}}, "rules.levels[0].name", "besides blanks"),
        ({"rules": {"levels": [{"name": "a", "from_score": 0.1}]}}, "rules.levels", "must start at 0"),
        ({"rules": {"weights": {"completion": 0.9}}}, "rules.weights", "their sum must be 1"),
        ({"curriculum": {"modules": []}}, "curriculum", "no skills"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        NO_COURSE.changed(change(**fields))
    assert refused.value.field == field
    assert words in refused.value.message


def test_the_default_course_takes_what_the_files_say() -> None:
    setup = setup_of(DEFAULT, 0, NO_COURSE, FILES, CURRICULUM)
    assert (setup.rules, setup.curriculum) == (FILES, CURRICULUM)
    assert (setup.title, setup.language, dict(setup.items), dict(setup.skills_of_items)) == ("default", "en", {}, {})


def test_another_course_has_the_default_rules_and_no_curriculum() -> None:
    setup = setup_of(PHYSICS, 0, NO_COURSE, FILES, CURRICULUM)
    assert (setup.rules, setup.curriculum) == (Rules(retention_days=30), NO_CURRICULUM)


def test_what_was_set_of_a_course_wins() -> None:
    items = (CourseItem("q1", ("loops",)), CourseItem("q2"))
    own = Course(
        "Physics", "America/Los_Angeles", "es", CourseRules(None, BANDS, 7.0), CURRICULUM.modules, items, "mastered"
    )
    setup = setup_of(PHYSICS, 3, own, FILES, NO_CURRICULUM)
    assert (setup.title, setup.language, setup.version) == ("Physics", "es", 3)
    assert (setup.rules.levels, setup.rules.weights, setup.rules.half_life_days) == (BANDS, Weights(), 7.0)
    assert setup.rules.zone.name == "America/Los_Angeles"
    assert setup.curriculum.skills == CURRICULUM.skills
    assert dict(setup.items) == {"q1": items[0], "q2": items[1]}
    assert dict(setup.skills_of_items) == {"q1": ("loops",)}
    check_badges(setup)
    default = setup_of(DEFAULT, 1, own, FILES, NO_CURRICULUM)
    assert (default.rules.weights, default.rules.levels) == (HALVES, BANDS)


def test_a_badge_is_of_a_level_of_the_course() -> None:
    with pytest.raises(InvalidInput, match="beginner, developing"):
        check_badges(setup_of(PHYSICS, 1, Course(badges="mastered"), FILES, NO_CURRICULUM))


def test_a_half_life_that_is_too_short_for_the_retention_is_refused() -> None:
    own = NO_COURSE.changed(change(rules={"half_life_days": 1}))
    with pytest.raises(InvalidInput) as refused:
        setup_of(PHYSICS, 1, own, Rules(retention_days=900), NO_CURRICULUM)
    assert refused.value.field == "rules.half_life_days"


def test_levels_are_named_in_one_spelling() -> None:
    levels = [{"name": " apprenti\u0301 ", "from_score": 0}]
    assert NO_COURSE.changed(change(rules={"levels": levels})).rules == CourseRules(levels=(Level("apprentí", 0.0),))


YAML = """\
title: Physics
time_zone: Europe/Berlin
rules:
  half_life_days: 10
items:
  - item_id: q1
    skills: [motion]
    minutes: 5
  - item_id: q2
curriculum:
  modules:
    - id: mechanics
      title: Mechanics
      skills:
        - {id: motion, title: Motion, prerequisites: [], minutes: 30, difficulty: beginner, resources: []}
badges: expert
"""


def test_a_file_says_the_same_as_json() -> None:
    done = course_change_from(YAML.encode())
    motion = Skill("motion", "Motion", (), 30, "beginner", ())
    assert done == change(
        title="Physics",
        time_zone="Europe/Berlin",
        rules={"half_life_days": 10},
        items=[{"item_id": "q1", "skills": ["motion"], "minutes": 5}, {"item_id": "q2"}],
        curriculum={"modules": [{"id": "mechanics", "title": "Mechanics", "skills": [msgspec.to_builtins(motion)]}]},
        badges="expert",
    )
    assert course_change_from(msgspec.json.encode(done)) == done
    assert course_change_from(b"{}") == CourseChange()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("title: Physics", "titel: Physics", "line 1: titel is not a known field"),
        ("title: Physics", "title: 7", "line 1: title must be a text"),
        ("minutes: 5", "minutes: -5", "line 8: items[0].minutes must be at least 1"),
        ("item_id: q2", "item_id: q1", "line 9: items[1].item_id 'q1' is given twice"),
        ("Europe/Berlin", "Berlin", "line 2: 'Berlin' is no time zone"),
        ("half_life_days: 10", "half_life_days: 0", "line 4: rules.half_life_days must be"),
        ("  half_life_days: 10", "  weights: {quiz: much}", "line 4: rules.weights.quiz must be a number"),
        ("minutes: 30", "minutes: soon", "line 15: minutes must be a whole number"),
        ("prerequisites: []", "prerequisites: [lost]", "line 15: The skill 'motion' has the prerequisite 'lost'"),
        ("badges: expert", "title: Again", "line 16: The field 'title' is given twice"),
        ("minutes: 5", "minutes: 5\n    minutes: 6", "line 9: The field 'minutes' is given twice"),
        ("  half_life_days: 10", "  half_life_days: 10\n  half_life_days: 9", "line 5: The field 'half_life_days' is"),
        ("minutes: 5", "difficulty: hard", "line 8: items[0].difficulty must be one of beginner, intermediate, adv"),
        ("  half_life_days: 10", "  weights: {quiz: 0.9}", "line 4: The four weights must"),
        ("title: Physics", "title: [", "The file is not YAML"),
        ("title: Physics", "title: !!python/none", "The file is not YAML"),
    ],
)
def test_a_fault_in_a_file_names_its_line(before: str, after: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        course_change_from(YAML.replace(before, after).encode())
    assert said in refused.value.message


def test_what_is_given_by_an_anchor_is_given_once() -> None:
    source = b"items:\n  - {item_id: a, skills: &skills [x, y]}\n  - {item_id: b, skills: *skills}\n"
    items = [{"item_id": "a", "skills": ["x", "y"]}, {"item_id": "b", "skills": ["x", "y"]}]
    assert course_change_from(source) == change(items=items)


def test_a_fault_that_is_found_later_gets_its_line_too() -> None:
    fault = InvalidInput("badges must be a level of the course.", field="badges")
    assert at_line_of(YAML.encode(), fault).message == "line 16: badges must be a level of the course."


@pytest.mark.parametrize("source", [b"", b"- a list", b"text"])
def test_a_file_that_is_no_course(source: bytes) -> None:
    with pytest.raises(InvalidInput, match="A course is expected here"):
        course_change_from(source)
