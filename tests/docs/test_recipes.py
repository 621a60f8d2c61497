"""The recipes of CONTRIBUTING, walked along their examples: they name every file that the example stands in."""

import re
from pathlib import Path

import pytest

from tests.support.processes import ROOT

GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
SECTION = GUIDE.partition("## Recipes\n")[2].partition("\n## ")[0]
RECIPES: dict[str, str] = dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", SECTION, re.MULTILINE | re.DOTALL))
# By what a file shows that the example of a recipe had to be written there.
EXAMPLES = {
    "An event kind": r"\b[Ee]xecution\b",
    "A backend": r"backends[./]dapr|\bdapr_state_store\b",
    "An endpoint": r"analytics/patterns|\bStudentPatterns\b",
    "An MCP tool": r"explain_score|\bExplain\w*Result\b|def explain\b",
    "A door for events": r"dapr/events|/dapr\b.*subscribe|\bdapr_pubsub\b",
    "A door for a platform": r"\bCANVAS_EVENTS\b",
    "A setting of the course": r"DifficultyWeights|rules\.difficulty|difficulty weights|difficulty_weights",
    "A page": r"dashboard/compare|compare\.html",
}
CODE = [
    *ROOT.glob("src/mastery_engine/**/*.*"),
    *ROOT.glob("specs/003-mastery-engine/contracts/**/*.json"),
    *ROOT.glob("scripts/*.py"),
    *ROOT.glob("tests/support/**/*.py"),
]


def named(recipe: str) -> list[str]:
    return [path for path in re.findall(r"`([\w./-]+)`", RECIPES[recipe]) if "/" in path[1:] and path[0] != "/"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_names_files_that_are_there(recipe: str) -> None:
    assert [path for path in named(recipe) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("recipe", EXAMPLES)
def test_a_recipe_names_every_file_of_its_example(recipe: str) -> None:
    files = [str(path.relative_to(ROOT)) for path in CODE if path.suffix in {".py", ".json", ".html", ".js"}]
    holding = [path for path in files if re.search(EXAMPLES[recipe], (ROOT / path).read_text())]
    assert holding
    assert [path for path in holding if not any(path.startswith(one) for one in named(recipe))] == []


def test_every_recipe_has_an_example() -> None:
    assert RECIPES.keys() == EXAMPLES.keys()


def test_no_class_name_stands_twice() -> None:
    """One name, one thing: a reader who has met a class knows what it is wherever it comes again."""
    found: dict[str, list[Path]] = {}
    for path in ROOT.glob("src/mastery_engine/**/*.py"):
        for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE):
            found.setdefault(name, []).append(path.relative_to(ROOT))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_no_test_imports_a_test() -> None:
    importing = re.compile(r"^(?:from|import) tests\.(?:\w+\.)*(?:test_\w+|conftest)\b|^from \.", re.MULTILINE)
    assert [path for path in ROOT.glob("tests/**/*.py") if importing.search(path.read_text())] == []
