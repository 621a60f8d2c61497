"""The course: the packaged one is as the contract says, a school's own is checked line by line."""

import json
import re
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import mastery_engine
from mastery_engine import cli
from mastery_engine.domain.courses.curriculum import (
    Curriculum,
    Module,
    Skill,
    curriculum_from,
    curriculum_in,
    curriculum_of,
    mermaid,
)
from mastery_engine.domain.events.kinds import Difficulty
from mastery_engine.errors import InvalidInput, StartRefused
from mastery_engine.settings import Settings
from mastery_engine.wiring import curriculum
from tests.support.samples import CURRICULUM

EASY: Difficulty = "beginner"
SMALL = """
modules:
  - id: first
    title: First steps
    skills:
      - {id: a, title: The a, prerequisites: [b], minutes: 10, difficulty: beginner, resources: []}
      - id: b
        title: The "b"
        prerequisites: []
        minutes: 20
        difficulty: advanced
        resources: ["https://docs.python.org/3/"]
"""


def test_the_course_is_the_contracts() -> None:
    titles = [module.title for module in CURRICULUM.modules]
    assert titles == [
        "Basics",
        "Control Flow",
        "Data Structures",
        "Functions",
        "OOP",
        "Files",
        "Errors",
        "Libraries",
    ]
    assert all(4 <= len(module.skills) <= 5 for module in CURRICULUM.modules)
    for skill in CURRICULUM.skills.values():
        assert skill.resources
        for address in skill.resources:
            assert re.match(r"https://docs\.python\.org/3/(tutorial|library)/[\w.]+\.html(#[\w.-]+)?$", address)


def closure(skills: dict[str, Skill], name: str) -> set[str]:
    """All that a skill rests on, found by walking down."""
    found: set[str] = set()
    todo = [name]
    while todo:
        new = set(skills[todo.pop()].prerequisites) - found
        found |= new
        todo += new
    return found


@given(st.randoms(use_true_random=False), st.integers(1, 20))
def test_any_course_is_ordered_as_it_was_given_where_prerequisites_allow_it(chance: Random, size: int) -> None:
    rank = [chance.random() for _ in range(size)]
    skills = [
        Skill(
            str(one),
            "T",
            tuple(str(n) for n in range(size) if rank[n] < rank[one] and chance.random() < 0.3),
            5,
            EASY,
            (),
        )
        for one in range(size)
    ]
    course = curriculum_of([Module("m", "M", tuple(skills))])
    left = {skill.id: skill for skill in skills}
    for name in course.skills:  # always the first given of those that can come
        assert name == next(one for one in left if not set(left[one].prerequisites) & left.keys())
        del left[name]
        below = closure(course.skills, name)
        assert course.before[name] == below
        assert course.below[name] == sum(course.bits[one] for one in below)
        assert course.after[name] == tuple(one for one in course.skills if name in course.skills[one].prerequisites)
    assert not left


def test_a_course_where_all_rests_on_all_is_read_at_once() -> None:
    skills = [Skill(str(one), "T", tuple(map(str, range(one))), 5, EASY, ()) for one in range(500)]
    backwards = curriculum_of([Module("m", "M", tuple(reversed(skills)))])  # took a minute, and everybody waited
    assert list(backwards.skills) == list(map(str, range(500)))
    assert len(backwards.before["499"]) == 499


def test_a_course_of_more_than_a_thousand_parts_is_refused_at_the_first_that_is_too_many() -> None:
    skills = [msgspec.to_builtins(Skill(str(one), "T", (), 5, EASY, ())) for one in range(1_000)]
    with pytest.raises(InvalidInput, match="at most 1,000 modules and skills"):
        curriculum_in({"modules": [{"id": "m", "title": "M", "skills": [*skills, "not even a skill"]}]})


@pytest.mark.parametrize("title", ["a\u202eb", "a\x07b", "a\nb", "  "])
def test_a_title_shows_what_it_says(title: str) -> None:
    skill = msgspec.to_builtins(Skill("a", title, (), 5, EASY, ()))
    with pytest.raises(InvalidInput, match="title "):
        curriculum_in({"modules": [{"id": "m", "title": "M", "skills": [skill]}]})


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://a b", "https://a/\u202e", "https://", "https://a/\x07"]
)
def test_a_resource_is_an_address_and_nothing_else(address: str) -> None:
    skill = msgspec.to_builtins(Skill("a", "A", (), 5, EASY, (address,)))
    with pytest.raises(InvalidInput, match="begins with https"):
        curriculum_in({"modules": [{"id": "m", "title": "M", "skills": [skill]}]})


def test_each_skill_stands_after_what_it_asks_for() -> None:
    for course in (CURRICULUM, curriculum_from(SMALL)):
        place = {name: number for number, name in enumerate(course.skills)}
        for name, skill in course.skills.items():
            assert all(place[needed] < place[name] for needed in skill.prerequisites)
            assert course.before[name] >= set(skill.prerequisites)
            assert all(name in course.skills[later].prerequisites for later in course.after[name])
    assert CURRICULUM.before["http-clients"] >= {"json", "dictionaries", "variables"}
    assert "http-clients" not in CURRICULUM.before["http-clients"]


def test_a_topic_is_a_skill_or_a_module() -> None:
    assert CURRICULUM.skills_of("loops") == ("loops",)
    assert "loops" in CURRICULUM.skills_of("control-flow")
    assert CURRICULUM.skills_of("knitting") == ()
    assert CURRICULUM.resources("control-flow") == CURRICULUM.skills["conditionals"].resources
    assert CURRICULUM.resources("knitting") == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("prerequisites: []", "prerequisites: [a]", 6, "a → b → a"),
        ("prerequisites: [b]", "prerequisites: [c]", 6, "'c'"),
        ("prerequisites: [b]", "prerequisites: [a]", 6, "a → a"),
        ("id: b", "id: a", 7, "line 6"),
        ("id: b", "id: first", 7, "line 3"),
        ("minutes: 20", "minutes: soon", 10, "whole number"),
        ("minutes: 20", "minutes: 0", 10, "whole number"),
        ("minutes: 20", "minutes: 99999999999", 10, "whole number"),
        ("difficulty: advanced", "difficulty: hard", 11, "intermediate"),
        ('["https://docs.python.org/3/"]', '["docs"]', 12, "https://"),
        ('["https://docs.python.org/3/"]', "none", 12, "list"),
        ("title: First steps", "name: First steps", 4, "'name'"),
        ("title: First steps", "id: again", 4, "twice"),
        ("        minutes: 20\n", "", 7, "minutes"),
        ("title: First steps", "title: []", 4, "text"),
        ("title: First steps", "[a]: b", 4, "not known"),
        ("modules:\n", "modules:\n  - nothing\n", 3, "expected"),
        ('["https', "[\"https://a\"\n  'b'", 13, "YAML"),
    ],
)
def test_an_error_names_the_line(old: str, new: str, line: int, words: str) -> None:
    assert SMALL.count(old) == 1
    with pytest.raises(InvalidInput) as error:
        curriculum_from(SMALL.replace(old, new))
    assert error.value.message.startswith(f"line {line}: "), error.value.message
    assert words in error.value.message


@pytest.mark.parametrize("source", ["", "modules: []", "[]", "a: *b", b"\xff\xfe\x00", "modules: [{" + "a" * 5])
def test_what_is_no_course_is_refused(source: str | bytes) -> None:
    with pytest.raises(InvalidInput):
        curriculum_from(source)


def test_a_course_may_not_be_endless() -> None:
    skill = "      - {{id: s{}, title: s, prerequisites: [], minutes: 1, difficulty: beginner, resources: []}}\n"
    head = "modules:\n  - id: m\n    title: m\n    skills:\n"
    with pytest.raises(InvalidInput, match="at most"):
        curriculum_from(head + "".join(skill.format(number) for number in range(1_001)))


def test_modules_made_by_hand_are_checked_too() -> None:
    from mastery_engine.domain.courses.curriculum import Module, curriculum_of

    twice = Module("m", "m", ())
    with pytest.raises(InvalidInput, match="same id"):
        curriculum_of([twice, twice])
    with pytest.raises(InvalidInput, match="used twice"):
        curriculum_of([*CURRICULUM.modules, msgspec.structs.replace(CURRICULUM.modules[0], id="other")])


def test_the_picture_has_every_skill_and_every_arrow() -> None:
    drawn = mermaid(CURRICULUM)
    assert drawn.startswith("graph LR")
    assert drawn.count("subgraph") == 8
    assert drawn.count(" --> ") == sum(len(skill.prerequisites) for skill in CURRICULUM.skills.values())
    assert "#quot;b#quot;" in mermaid(curriculum_from(SMALL))


def run(*words: str, exits: int = 0) -> str:
    done = CliRunner().invoke(cli.app, ["curriculum", *words])
    assert done.exit_code == exits, done.output
    return done.stdout


def test_the_command_checks_a_file(tmp_path: Path) -> None:
    file = tmp_path / "course.yaml"
    file.write_text(SMALL)
    assert "1 module, 2 skills, 30 minutes" in run("check", str(file))
    assert json.loads(run("check", str(file), "--json"))["skills"] == 2
    file.write_text(SMALL.replace("prerequisites: []", "prerequisites: [a]"))
    done = CliRunner().invoke(cli.app, ["curriculum", "check", str(file)])
    assert done.exit_code == 1
    assert isinstance(done.exception, InvalidInput)
    assert "line 6" in done.exception.message


def test_the_command_shows_the_course_in_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run("show").strip() == mermaid(CURRICULUM)
    shown = json.loads(run("show", "--json"))
    assert shown.keys() == {"modules"}
    assert shown["modules"][0].keys() == {"id", "title", "skills"}
    fields = {"id", "title", "prerequisites", "minutes", "difficulty", "resources"}
    assert shown["modules"][0]["skills"][0].keys() == fields
    file = tmp_path / "course.yaml"
    file.write_text(SMALL)
    monkeypatch.setenv("CURRICULUM_FILE", str(file))
    assert "First steps" in run("show")


def test_a_course_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "course.yaml"
    with pytest.raises(StartRefused, match="CURRICULUM_FILE"):
        curriculum(Settings(curriculum_file=file))
    file.write_text("modules: 1")
    with pytest.raises(StartRefused, match="line 1"):
        curriculum(Settings(curriculum_file=file))
    assert isinstance(curriculum(Settings()), Curriculum)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_before_a_course_is_passed_over(encoding: str) -> None:
    source = (Path(mastery_engine.__file__).parent / "curriculum.yaml").read_text()
    assert curriculum_from(source.encode(encoding)) == CURRICULUM


def test_ids_of_a_course_are_spelled_as_events_spell_them() -> None:
    source = (Path(mastery_engine.__file__).parent / "curriculum.yaml").read_text()
    assert "id: loops" in source
    found = curriculum_from(
        source.replace("id: loops", 'id: " gro\u0308\u00dfe"')
        .replace("[loops", "[größe")
        .replace("input-output, loops", "input-output, größe")
    )
    assert "größe" in found.skills
    with pytest.raises(InvalidInput, match="line [0-9]+: id may not hold a control character"):
        curriculum_from(source.replace("id: loops", 'id: "a\\u0007b"'))
