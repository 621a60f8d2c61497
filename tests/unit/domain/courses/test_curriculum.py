"""The course: the packaged one is as the contract says, a school's own is checked line by line."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

import mastery_engine
from mastery_engine import cli
from mastery_engine.domain.courses.curriculum import Curriculum, curriculum_from, mermaid
from mastery_engine.errors import InvalidInput, StartRefused
from mastery_engine.settings import Settings
from mastery_engine.wiring import curriculum
from tests.support.samples import CURRICULUM

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
