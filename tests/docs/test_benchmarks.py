"""docs/benchmarks.md has every part, with the goals and the verdicts of the code."""

import re
from collections import defaultdict
from pathlib import Path

from mastery_engine.lab.bench.document import BY_CASE, SECTION, parted
from mastery_engine.lab.bench.goals import GOALS, Goal
from mastery_engine.lab.bench.measures import UNMEASURED
from mastery_engine.lab.bench.report import PARTS

_, MEASURED, _ = parted((Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text())
TABLE, *SECTIONS = MEASURED.split(f"\n{SECTION}")
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TABLE.splitlines() if line.startswith("| ")][1:]
BOUND = re.compile(r"at (?:most|least) \d(?:[\d.,]*\d)?")


def test_the_page_has_every_part_with_when_it_was_measured() -> None:
    groups = {cells[0].strip("*"): cells[1] for cells in ROWS if cells[0].startswith("**")}
    sections = {section.split("\n")[0]: section.split("\n")[2] for section in SECTIONS}
    assert groups.keys() | sections.keys() == set(PARTS), "mastery-engine bench PART --into docs/benchmarks.md"
    assert sections.keys() == BY_CASE
    when = re.compile(r"20\d\d-\d\d-\d\d.*; \d+ cores, .*; Python 3\.")
    assert [said for said in (groups | sections).values() if not when.search(said)] == []


def test_the_goals_of_the_page_are_those_of_the_code() -> None:
    told: dict[str, set[str]] = defaultdict(set)
    unmeasured = set()
    for part, *_, goal, _ in ROWS:
        if goal == UNMEASURED:
            unmeasured.add(part)
        elif goal:
            told[part].add(goal)
    for section in SECTIONS:
        told[section.split("\n")[0]].update(BOUND.findall(section))
    for part, goals in GOALS.items():
        words = {goal.words for goal in goals.values()}
        assert told[part] <= words if part in unmeasured else told[part] == words, f"measure {part} anew"
    assert told.keys() == GOALS.keys()


def test_a_verdict_of_the_page_is_that_of_its_figure() -> None:
    wrong = []
    for part, what, figures, goal, verdict in ROWS:
        if goal and goal != UNMEASURED:
            bound = Goal(float(goal.split()[-1].replace(",", "")), is_least="least" in goal)
            if verdict != ("met" if bound.is_met(float(figures.split()[0].replace(",", ""))) else "missed"):
                wrong.append((part, what))
    assert wrong == []
