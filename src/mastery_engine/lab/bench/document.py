"""What was measured as tables of Markdown, and a document whose marked place holds the newest of each part.

The parts of a document may have been measured at different hours: each says when, and on what machine. Cases that were
measured in the same ways (attacks, steps, an agent's jobs) have a table of their own.
"""

from collections.abc import Iterable, Sequence

from mastery_engine.errors import InvalidInput
from mastery_engine.lab.bench.measures import UNMEASURED, Line

BEGIN, END = "<!-- measured by mastery-engine bench -->", "<!-- end of what was measured -->"
HEAD = ("| part | what | median (low to high) | goal | |", "|---|---|---|---|---|")
BY_CASE = frozenset({"steps", "attacks", "tokens"})  # a line is "case: measure"
GROUP, SECTION = "| **", "### "


def row(line: Line) -> str:
    """A line as a row of the table."""
    verdict = "" if line.met is None else "met" if line.met else "missed"
    what = " ".join(line.what.replace("|", "\\|").split())
    return f"| {line.part} | {what} | {_figures(line)} | {line.goal} | {verdict} |"


def with_part(document: str, part: str, when: str, lines: Sequence[Line], order: Sequence[str]) -> str:
    """The document with these lines in place of the part's old ones. Raises InvalidInput where it has no marked place.

    ``order`` is that of the parts; one that is not in it any more is left out.
    """
    before, old, after = parted(document)
    table, *sections = f"\n{old}".split(f"\n{SECTION}")
    rows = _groups(table.splitlines())
    tables = {name: text.strip() for name, _, text in (section.partition("\n") for section in sections)}
    by_case = [line for line in lines if part in BY_CASE and ": " in line.what]
    others = [row(line) for line in lines if line not in by_case]
    rows[part] = [f"{GROUP}{part}** | *{when}* | | | |", *others] if others else []
    tables[part] = f"Medians. {when}.\n\n{_by_case(by_case)}" if by_case else ""
    written = ["\n".join([*HEAD, *[text for name in order for text in rows.get(name, ())]])]
    written += [f"{SECTION}{name}\n\n{tables[name]}" for name in order if tables.get(name)]
    return "".join((before, "\n", "\n\n".join(written), "\n\n", after))


def parted(document: str) -> tuple[str, str, str]:
    """What stands up to the first mark, between, and from the second on. Raises InvalidInput where there are none."""
    before, begin, rest = document.partition(f"{BEGIN}\n")
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise InvalidInput(f"The document needs a line {BEGIN}, and after it {END}: what stands between is replaced.")
    return before + begin, old, end + after


def _groups(table: Iterable[str]) -> dict[str, list[str]]:
    """The rows of each part, the one that says when first."""
    groups: dict[str, list[str]] = {}
    of_part: list[str] = []
    for text in table:
        if text.startswith(GROUP):
            of_part = groups[text.removeprefix(GROUP).partition("**")[0]] = []
        of_part.append(text)
    return {name: [text for text in texts if text] for name, texts in groups.items()}


def _by_case(lines: Sequence[Line]) -> str:
    """Cases down and measures across, or the other way round where there are more measures."""
    found = {(case, measure): line for line in lines for case, _, measure in [line.what.partition(": ")]}
    cases = list(dict.fromkeys(case for case, _ in found))
    measures: dict[str, str] = {}  # each with the goal that all cases share, if they do
    for _, measure in found:
        goals = {line.goal for (_, other), line in found.items() if other == measure}
        measures[measure] = goals.pop() if len(goals) == 1 else ""
    units = {measure: line.unit for (_, measure), line in found.items()}

    def cell(case: str, measure: str) -> str:
        line = found.get((case, measure))
        if line is None:
            return ""
        goal = f" ({line.goal})" if line.goal != measures[measure] else ""
        return f"{_number(line.median)}{goal}{' **missed**' if line.met is False else ''}"

    head = [", ".join(filter(None, (measure, units[measure], goal))) for measure, goal in measures.items()]
    cells: list[Sequence[str]] = [["", *head], *[[case, *[cell(case, one) for one in measures]] for case in cases]]
    first, *rest = zip(*cells, strict=True) if len(measures) > len(cases) else cells
    return "\n".join(f"| {' | '.join(texts)} |" for texts in (first, ["---"] * len(first), *rest))


def _figures(line: Line) -> str:
    if line.goal == UNMEASURED:
        return "not measured"
    spread = "" if line.low == line.high else f" ({_number(line.low)} to {_number(line.high)})"
    return f"{_number(line.median)}{spread} {line.unit}".rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:,.4g}"
