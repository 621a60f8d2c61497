"""CASE frameworks become courses: other people's files, and ones that attack each rule."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mastery_engine import cli
from mastery_engine.domain.courses.curriculum import Curriculum, curriculum_from, yaml_of
from mastery_engine.doors.case.curricula import CaseImport, curriculum_from_case
from mastery_engine.doors.case.framework import MOST_NODES
from mastery_engine.errors import InvalidInput

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "foreign" / "case"
DOCUMENT = {"identifier": "doc", "title": "Year 7"}


def item(name: str, statement: str = "", **fields: Any) -> dict[str, Any]:
    return {"identifier": name, "fullStatement": statement or f"Knows {name}", **fields}


def link(kind: str, origin: str, destination: str, **fields: Any) -> dict[str, Any]:
    ends = {"originNodeURI": {"identifier": origin}, "destinationNodeURI": {"identifier": destination}}
    return {"identifier": f"{origin}-{kind}-{destination}", "associationType": kind, **ends, **fields}


def framework(items: Sequence[Any], links: Sequence[Any] = (), **parts: Any) -> bytes:
    return json.dumps({"CFDocument": DOCUMENT, "CFItems": items, "CFAssociations": links, **parts}).encode()


def imported(items: Sequence[Any], links: Sequence[Any] = (), **parts: Any) -> CaseImport:
    return curriculum_from_case(framework(items, links, **parts))


def outline(course: Curriculum) -> dict[str, list[str]]:
    return {module.id: [skill.id for skill in module.skills] for module in course.modules}


TREE = [item("g1", "Group 1"), item("g2", "Group 2"), item("a"), item("b"), item("c")]
BELOW = [link("isChildOf", *ends) for ends in (("g1", "doc"), ("g2", "doc"), ("a", "g1"), ("b", "g1"), ("c", "g2"))]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared files are not beside this repository")
@pytest.mark.parametrize(
    ("name", "modules", "skills"),
    [
        ("SmartLevelFramework", 2, 12),
        ("Ordering", 1, 24),
        ("SequenceNumberFramework", 1, 2),
        ("MarkdownFramework", 1, 2),
    ],
)
def test_other_peoples_frameworks(name: str, modules: int, skills: int) -> None:
    course = curriculum_from_case((SHARED / f"{name}.json").read_bytes()).curriculum
    assert (len(course.modules), len(course.skills)) == (modules, skills)
    assert curriculum_from(yaml_of(course)).modules == course.modules


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared files are not beside this repository")
def test_siblings_stand_by_their_numbers_and_codes() -> None:
    course = curriculum_from_case((SHARED / "SequenceNumberFramework.json").read_bytes()).curriculum
    assert [skill.title for skill in course.modules[0].skills] == [
        "Second added item, but should be first",
        "First Added Item",
    ]
    course = curriculum_from_case((SHARED / "Ordering.json").read_bytes()).curriculum
    assert [int(skill.id.rsplit(".", 1)[1]) for skill in course.modules[0].skills] == list(range(1, 25))


def test_children_make_modules_and_predecessors_prerequisites() -> None:
    done = imported(TREE, [*BELOW, link("precedes", "a", "b"), link("precedes", "b", "c"), link("precedes", "a", "b")])
    assert outline(done.curriculum) == {"g1": ["a", "b"], "g2": ["c"]}
    assert {name: skill.prerequisites for name, skill in done.curriculum.skills.items()} == {
        "a": (),
        "b": ("a",),
        "c": ("b",),
    }
    assert (done.title, done.unused) == ("Year 7", ())


def test_both_spellings_of_a_package_are_read() -> None:
    spelled = {"document": {"sourcedId": "doc", "title": "Year 7"}, "items": [{"sourcedId": "a", "fullStatement": "A"}]}
    done = curriculum_from_case(b"\xef\xbb\xbf" + json.dumps(spelled).encode())
    assert outline(done.curriculum) == {"Year 7": ["a"]}


def test_codes_are_ids_where_they_are_unique_and_the_rest_are_aliases() -> None:
    items = [
        item("1-1", humanCodingScheme="N.1", uri="https://server/items/1-1"),
        item("1-2", humanCodingScheme="N.2"),
        item("1-3", humanCodingScheme="N.2"),
        item("1-4", humanCodingScheme="x" * 101),
    ]
    course = imported(items).curriculum
    assert set(course.skills) == {"N.1", "1-2", "1-3", "1-4"}
    assert course.named == {"1-1": "N.1", "https://server/items/1-1": "N.1"}


def test_exact_matches_are_one_skill_under_all_its_names() -> None:
    items = [item("a"), item("b", humanCodingScheme="B.1"), item("c")]
    elsewhere = link("exactMatchOf", "c", "other-framework-7")
    links = [link("exactMatchOf", "b", "a"), elsewhere, link("precedes", "b", "c"), link("precedes", "b", "a")]
    done = imported(items, links)
    assert list(done.curriculum.skills) == ["a", "c"]
    assert done.curriculum.named == {"b": "a", "B.1": "a", "other-framework-7": "c"}
    assert done.curriculum.skills["c"].prerequisites == ("a",)
    assert [(one.identifier, one.reason) for one in done.unused] == [("b-precedes-a", "Both ends are the same skill.")]


def test_a_chain_of_matches_is_one_skill() -> None:
    names = ["d", "c", "b", "a"]
    links = [link("exactMatchOf", *ends) for ends in (("a", "b"), ("c", "d"), ("b", "c"))]
    assert list(imported([item(name) for name in names], links).curriculum.skills) == ["d"]


def test_what_cannot_be_used_is_listed_by_name() -> None:
    links: list[Any] = [
        *BELOW,
        link("precedes", "g1", "g2"),
        link("precedes", "a", "nowhere"),
        link("exactMatchOf", "g1", "a"),
        link("exactMatchOf", "nowhere", "a"),
        link("isChildOf", "a", "g2"),
        link("isChildOf", "nowhere", "g2"),
        link("isChildOf", "a", "nowhere"),
        link("isRelatedTo", "a", "b"),
        {"identifier": "no-ends", "associationType": "precedes"},
        {"identifier": "no-kind", "originNodeURI": {"identifier": "a"}, "destinationNodeURI": {"identifier": "b"}},
        "not an object",
    ]
    items = [*TREE, item("a", "again"), {"identifier": "silent"}, {"fullStatement": "Nameless"}, 7]
    done = imported(items, links, CFRubrics=[{"identifier": "rubric"}])
    assert outline(done.curriculum) == {"g1": ["a", "b"], "g2": ["c"]}
    assert {one.identifier for one in done.unused} == {
        "a", "silent", "item 8 of the file", "entry 9", "no-ends", "no-kind", f"entry {len(links)}", "rubric",
        *[one["identifier"] for one in links[5:13]],
    }  # fmt: skip
    assert all(one.reason.endswith(".") for one in done.unused)


def test_groups_that_hold_groups_alone_are_listed() -> None:
    items = [item("top"), item("group"), item("skill")]
    done = imported(items, [link("isChildOf", "group", "top"), link("isChildOf", "skill", "group")])
    assert outline(done.curriculum) == {"group": ["skill"]}
    assert [one.identifier for one in done.unused] == ["top"]


def test_a_title_that_an_item_has_gives_way() -> None:
    done = imported([item("a", humanCodingScheme="Year 7")])
    assert outline(done.curriculum) == {"doc Year 7": ["Year 7"]}


def test_long_statements_are_cut_between_words() -> None:
    course = imported(
        [item("a", "word " * 40), item("b", "x" * 200), item("c", "long", abbreviatedStatement="Short\n\x07 one")]
    )
    titles = {name: skill.title for name, skill in course.curriculum.skills.items()}
    assert titles["a"].endswith("word…")
    assert len(titles["a"]) <= 100
    assert titles["b"] == "x" * 99 + "…"
    assert titles["c"] == "Short one"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"no json", "is not JSON"),
        (b"[]", "lacks its CFDocument"),
        (framework([]), "no items"),
        (framework([{"identifier": "a"}]), "no items"),
        (framework({"a": 1}), "must be a list"),  # type: ignore[arg-type]
        (framework([item("a")], CFAssociations="none"), "CFAssociations must be a list"),
        (framework([item("a"), item("b")], [link("precedes", "a", "b"), link("precedes", "b", "a")]), "a → b → a"),
        (framework([item("a"), item("b")], [link("isChildOf", "a", "b"), link("isChildOf", "b", "a")]), "a → Knows b"),
        (framework([item(str(number)) for number in range(1_001)]), "at most 1000 of both"),
    ],
    ids=[
        "text",
        "list",
        "empty",
        "nothing sound",
        "object",
        "text for a list",
        "circle",
        "circle of groups",
        "too many",
    ],
)
def test_a_framework_that_makes_no_course_is_refused(source: bytes, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        curriculum_from_case(source)
    assert words in refused.value.message


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at most"):
        curriculum_from_case(framework([0] * (MOST_NODES + 1)))


def test_the_command_prints_or_writes_the_course(tmp_path: Path) -> None:
    source, out = tmp_path / "framework.json", tmp_path / "course.yaml"
    source.write_bytes(framework(TREE, [*BELOW, link("precedes", "g1", "g2")]))
    printed = CliRunner().invoke(cli.app, ["curriculum", "import", str(source)])
    assert printed.exit_code == 0
    assert curriculum_from(printed.stdout).skills.keys() == {"a", "b", "c"}
    assert "g1-precedes-g2" in printed.stderr
    written = CliRunner().invoke(cli.app, ["curriculum", "import", str(source), "--out", str(out)])
    assert "2 modules, 3 skills, 1 not used" in written.stdout
    assert curriculum_from(out.read_bytes()) == curriculum_from(printed.stdout)
    told = json.loads(CliRunner().invoke(cli.app, ["curriculum", "import", str(source), "--json"]).stdout)
    assert [one["identifier"] for one in told["unused"]] == ["g1-precedes-g2"]
