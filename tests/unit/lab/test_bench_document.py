"""What was measured, as a document has it; and what the bench does where a part fails."""

import subprocess
from collections.abc import Sequence

import pytest

from mastery_engine.errors import InvalidInput
from mastery_engine.lab.bench import report as reports
from mastery_engine.lab.bench.document import BEGIN, END, row, with_part
from mastery_engine.lab.bench.goals import GOALS, at_least, at_most
from mastery_engine.lab.bench.measures import UNMEASURED, Line, judged, shown
from mastery_engine.lab.bench.soak import TRIED, Sample, highest_rate

ORDER = ["fold", "lag", "attacks"]
EMPTY = f"# Title\n\n{BEGIN}\n{END}\n\nProse by hand.\n"


def lag(*values: float) -> list[Line]:
    return [judged("lag", "from here | to there", "ms", values, "p95")]


def test_a_line_is_a_row_with_its_spread_goal_and_verdict() -> None:
    assert row(lag(4, 5, 60)[0]) == "| lag | from here \\| to there | 5 (4 to 60) ms | at most 50 | met |"
    assert row(shown("fold", "a\nb", "", [1_234.5])) == "| fold | a b | 1,234 |  |  |"


def test_a_part_replaces_its_own_rows_alone_and_stands_in_its_place() -> None:
    document = with_part(EMPTY, "lag", "Monday; 2 cores", lag(5), ORDER)
    document = with_part(document, "fold", "Tuesday; 4 cores", [shown("fold", "one", "µs", [1])], ORDER)
    assert document.startswith(f"# Title\n\n{BEGIN}\n")
    assert document.endswith(f"{END}\n\nProse by hand.\n")
    again = with_part(document, "lag", "Friday; 2 cores", lag(51), ORDER)
    assert again.splitlines()[6:10] == [
        "| **fold** | *Tuesday; 4 cores* | | | |",
        "| fold | one | 1 µs |  |  |",
        "| **lag** | *Friday; 2 cores* | | | |",
        "| lag | from here \\| to there | 51 ms | at most 50 | missed |",
    ]
    assert with_part(again, "lag", "Monday; 2 cores", lag(5), ORDER) == document
    assert "**lag**" not in with_part(again, "fold", "now", [], ["fold"])


def test_cases_have_a_table_of_their_own_that_other_parts_leave_alone() -> None:
    lines = [
        judged("attacks", f"{case}: {what}", unit, [value], goal)
        for case, value in (("slow heads", 7), ("streams", 200))
        for what, unit, goal in (("99% point", "ms", "p99"), ("memory", "MiB", "memory"))
    ]
    document = with_part(EMPTY, "attacks", "Monday", lines, ORDER)
    table = [
        "|  | 99% point, ms, at most 100 | memory, MiB, at most 50 |",
        "| --- | --- | --- |",
        "| slow heads | 7 | 7 |",
        "| streams | 200 **missed** | 200 **missed** |",
    ]
    assert "\n### attacks\n\nMedians. Monday.\n\n" + "\n".join(table) in document
    assert "\n".join(table) in with_part(document, "lag", "Friday", lag(5), ORDER)
    assert "slow heads" not in with_part(document, "attacks", "Friday", lines[2:], ORDER)


def test_more_measures_than_cases_stand_one_below_the_other_each_with_its_goal() -> None:
    lines = [
        shown("steps", "an event: decode", "µs", [3]),
        shown("steps", "an event: free", "µs", [4]),
        judged("steps", "an event: all", "µs", [99], "event"),
        judged("steps", "a first one: all", "µs", [99], "first of a day"),
    ]
    document = with_part(EMPTY, "steps", "Monday", lines, ["steps"])
    table = [
        "|  | an event | a first one |",
        "| --- | --- | --- |",
        "| decode, µs | 3 |  |",
        "| free, µs | 4 |  |",
        "| all, µs | 99 (at most 85) **missed** | 99 (at most 170) |",
    ]
    assert "\n".join(table) in document


@pytest.mark.parametrize("document", ["no marks\n", f"{END}\n{BEGIN}\n"])
def test_a_document_without_the_marks_is_refused_with_what_it_needs(document: str) -> None:
    with pytest.raises(InvalidInput, match="needs a line <!-- measured by"):
        with_part(document, "lag", "Monday", lag(5), ORDER)


def test_a_goal_says_by_which_factor_it_is_missed() -> None:
    assert (at_most(5).times_off(10), at_least(5).times_off(10), at_most(0).times_off(0)) == (2, 0.5, 1)
    assert at_most(0).times_off(1) == at_least(1).times_off(0) == float("inf")


def test_every_part_that_is_judged_is_a_part() -> None:
    assert GOALS.keys() <= reports.PARTS.keys()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no such column"), "RuntimeError: no such column"),
        (subprocess.CalledProcessError(1, ["java"], stderr="out of memory\n"), "CalledProcessError: out of memory"),
        (TimeoutError(), "TimeoutError: "),
    ],
)
def test_a_part_that_fails_is_named_with_its_error_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fails(*_: object) -> list[Line]:
        raise error

    monkeypatch.setattr(reports, "PARTS", {"fold": fails, "lag": lambda *_: lag(5)})
    told: list[Sequence[Line]] = []
    lines = reports.report(["fold", "lag"], runs=1, until=0, events=1, on_part=told.append).lines
    assert [(line.part, line.what, line.goal) for line in lines] == [
        ("fold", said, UNMEASURED),
        ("lag", "from here | to there", "at most 50"),
    ]
    assert [line for lines in told for line in lines] == lines


def test_a_soak_finds_the_highest_lower_rate_that_keeps_the_lag() -> None:
    def samples(lag_s: float) -> list[Sample]:
        return [Sample(1.0, lag_s, 1.0)] * 10

    tried: list[int] = []

    def sampled(rate: int) -> list[Sample]:
        tried.append(rate)
        return samples(0.1 if rate < 4_000 else 3.0)

    assert highest_rate(10_000, samples(0.4), 1.0, sampled) == 10_000
    assert tried == []
    assert highest_rate(10_000, samples(30.0), 0.44, sampled) == 3_700
    assert tried == [4_200, 3_700]
    assert highest_rate(10_000, samples(30.0), 5.0, sampled) == 0
    assert len(tried) == 2 + len(TRIED)
