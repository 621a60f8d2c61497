"""The bench measures what it says it measures: on a small class, and with a run each, so that no figure counts."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench import attacks, bare, pages, query_steps, steps, watch, xapi
from mastery_engine.lab.bench.document import BEGIN, END
from mastery_engine.lab.bench.load import Load, tool
from mastery_engine.lab.bench.measures import UNMEASURED, Report, judged, ratios, shown
from mastery_engine.lab.bench.report import page
from mastery_engine.wiring_clocks import system_clock
from scripts.servers import redis
from scripts.servers.cache import command
from tests.support.live import Live, environment, make_token
from tests.support.processes import COMMAND
from tests.support.real_servers import RealServers

pytestmark = pytest.mark.xdist_group("bench")


@pytest.fixture
def wrk(real_servers: RealServers) -> Path:
    return real_servers.had("wrk", lambda: command("wrk", packages=["wrk"]))


@pytest.fixture
def redis_program(real_servers: RealServers) -> redis.Program:
    return real_servers.had("Redis", redis.program)


def measured(tmp_path: Path, *parts: str) -> dict[str, list[float]]:
    """Median, lowest and highest of each line; a ratio far under its goal fails."""
    argv = [*COMMAND, "bench", *parts, "--quick", "--json"]
    done = subprocess.run(argv, env=environment(tmp_path, {}), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or done.stdout
    return {line["what"]: [line["median"], line["low"], line["high"]] for line in json.loads(done.stdout)["lines"]}


def test_the_fold_and_a_file_are_timed(tmp_path: Path) -> None:
    figures = measured(tmp_path, "fold", "embedded")
    ours, floor = figures["a file of events, applied"][0], figures["floor: SQLite inserts the same bytes"][0]
    assert 0 < ours < floor
    assert figures["ratio to the floor"][0] == pytest.approx(ours / floor, abs=0.001)
    low, middle, high = (figures["transition.apply_all, 500 events over 400 students"][place] for place in (1, 0, 2))
    assert 0 < low <= middle <= high


def test_the_steps_of_an_event_and_of_a_query_sum_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "STUDENTS", 120)
    monkeypatch.setattr(query_steps, "CALLS", 10)
    lines = {line.what: line.median for line in steps.steps(1, system_clock(), 0)}
    for what in ("an event", "the first event of a day", "the first event of a day, in a busy hour"):
        *own, _, _, _ = [value for name, value in lines.items() if name.startswith(f"{what}: ")]
        assert lines[f"{what}: all of these"] == pytest.approx(sum(own), abs=0.1)
        assert len(own) > 15
    assert lines["the first event of a day: advice"] > lines["an event: advice"]
    assert 0 < lines["a query: floor, a bare FastAPI route"] < lines["a query: all of these"]


def test_a_query_of_the_bench_that_is_refused_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_steps, "CALLS", 1)
    monkeypatch.setattr(query_steps, "PATH", b"/mastery/none")
    with pytest.raises(StartRefused, match=r"answered with \[404\]"):
        asyncio.run(query_steps._asked(bare.app, {}, "", 0))


def test_a_batch_costs_less_than_its_calculations_one_by_one_and_events_are_soon_seen(tmp_path: Path) -> None:
    figures = measured(tmp_path, "batch", "lag")
    assert (
        0 < figures["1,000 calculations in one batch"][0] < figures["1,000 single calculations, one after another"][0]
    )
    assert 0 < figures["event to visible state at 1,000 events/s, 95% point"][0] < 10_000


def test_a_forecast_does_not_cost_the_size_of_the_cohorts(tmp_path: Path) -> None:
    """With whole rosters read it was twenty times; twice is noise."""
    figures = measured(tmp_path, "forecasts")
    assert 0 < figures["the same, to that of no cohort"][0] < 2


def test_next_answers_and_commands_are_timed_and_stand_in_the_document(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"Before.\n{BEGIN}\n{END}\nAfter.\n")
    argv = [*COMMAND, "bench", "next", "commands", "--quick", "--into", str(document)]
    done = subprocess.run(argv, env=environment(tmp_path, {}), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or done.stdout
    before, *rows, after = document.read_text().splitlines()
    printed = [line for line in done.stdout.splitlines() if line.startswith(("| next", "| commands"))]
    assert (before, after) == ("Before.", "After.")
    assert [row for row in rows if row.startswith(("| next", "| commands"))] == printed
    assert len(printed) == 4
    assert sum("UTC, a quick run, load " in row for row in rows) == 2
    figures = [float(row.split("|")[3].split()[0]) for row in printed]
    assert figures[3] < min(figures[1:3])  # Python alone is started sooner


def test_a_document_without_a_place_for_figures_is_refused_before_the_work(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("Nothing of a bench.\n")
    for argv, said in (
        (["commands", "--into", str(document)], "needs a line <!-- measured by"),
        (["--workers", "--into", str(document)], "is for the part scale alone"),
    ):
        done = subprocess.run(
            [*COMMAND, "bench", *argv], env=environment(tmp_path, {}), capture_output=True, text=True, check=False
        )
        assert said in " ".join(done.stderr.split())
        assert done.stdout == ""
        assert done.returncode != 0


def test_open_pages_are_watched_and_what_they_cost_is_the_serving_process_s(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WATCHERS", 20), ("SECONDS", 1.0), ("IDLE_S", 0.2)):
        monkeypatch.setattr(watch, name, value)
    idle, busy, seen = watch.watch(1, system_clock(), 0)
    assert (idle.what, busy.what) == ("20 open pages, nothing happens", "20 open pages, 10 events/s")
    assert 0 <= idle.median <= busy.median < 2
    assert 0 < seen.median < 10


def test_a_teachers_page_is_measured_with_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("STUDENTS", 8), ("LOADS", 1), ("MODULES", 2)):
        monkeypatch.setattr(pages, name, value)
    first, whole, html, sent = pages.pages(1, system_clock(), 0)
    assert (first.what, whole.what) == ("teacher's page, 8 students", "the same with the whole map, 8 by 10")
    assert first.median < 1_000 > whole.median
    assert 5 < sent.median < html.median < 100


def test_attacks_come_from_elsewhere_and_good_calls_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them for a second each: of 100 calls none may fail, whatever the machine is busy with."""
    all_attacks = attacks._attacks
    chosen = ("5 heads without end", "150 slow bodies")
    monkeypatch.setattr(attacks, "_attacks", lambda token: {name: all_attacks(token)[name] for name in chosen})
    monkeypatch.setattr(attacks, "SECONDS", 1)
    lines = {line.what: line for line in attacks.attacks(1, system_clock(), 0)}
    for name in chosen:
        assert lines[f"{name}: good calls that failed"].median == 0
        assert lines[f"{name}: memory more"].median < 50
        assert 0 < lines[f"{name}: good calls, 99% point"].median < 10_000


async def test_pages_that_stay_as_they_were_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE_S", 0.0)
    with pytest.raises(StartRefused, match="Only 1 of 2 events were seen"):
        await watch._so_many([1], 2, "events were seen")


def test_statements_are_sent_until_all_are_folded_and_a_peer_that_cannot_be_had_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent() -> None:
        raise StartRefused("there is none here")

    monkeypatch.setattr(xapi, "_ralph", absent)
    ours, floor, ratio, peer = xapi.xapi(1, system_clock(), 250)
    assert ours.what == "250 statements in posts of 100, stored and folded"
    assert 0 < ours.median < floor.median
    assert ratio.median == pytest.approx(ours.median / floor.median, abs=0.001)
    assert (peer.what, peer.goal, peer.met) == ("ratio to openfun Ralph 5.1.0: there is none here", UNMEASURED, False)


def test_a_post_that_is_refused_is_no_answer() -> None:
    with xapi._floor() as bare, pytest.raises(StartRefused, match="answers 422"):
        asyncio.run(xapi._answered(bare, [b"{}"]))


@pytest.mark.usefixtures("wrk")
def test_load_counts_answers_and_takes_no_error_for_one(tmp_path: Path) -> None:
    with Live(tmp_path / "data", home=tmp_path) as live:
        token = make_token()
        body = '{"student_id": "student_%d", "components": {"quiz": 0.5}, "record": false}'
        assert Load(f"{live.url}/mastery/calculate", body, token=token, students=9).per_second(1) > 10
        with pytest.raises(StartRefused, match="answers with errors"):
            Load(f"{live.url}/mastery/calculate", body, token="none", students=9).per_second(1)


@pytest.mark.usefixtures("wrk", "redis_program")
def test_many_students_are_measured_beside_few(tmp_path: Path) -> None:
    figures = measured(tmp_path, "scale")
    (memory,) = [figure for what, figure in figures.items() if what.startswith("memory of one of 20,000 students")]
    assert 500 < memory[0] < 10_000
    few, many = figures["queries over 1,000 students"][0], figures["queries over 20,000 students"][0]
    assert figures["cost of a query, many to few"][0] == pytest.approx(few / many, abs=0.001)


def test_a_part_that_cannot_be_measured_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    argv = [*COMMAND, "bench", "http", "tokens", "--quick"]
    without_tools = environment(tmp_path, {"PATH": str(tmp_path)})
    done = subprocess.run(argv, env=without_tools, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    http, *others = [line for line in done.stdout.splitlines() if line.startswith(("| http", "| tokens"))]
    assert "needs wrk" in http
    assert http.endswith("| not measured | to be measured | missed |")
    assert len(others) > 6
    assert all(line.startswith("| tokens") for line in others)


def test_without_what_counts_tokens_it_says_how_to_install_it(tmp_path: Path) -> None:
    program = "import sys; sys.modules['bpe_openai'] = None; from mastery_engine.__main__ import main; main()"
    argv = [sys.executable, "-c", program, "bench", "tokens", "--quick"]
    done = subprocess.run(argv, env=environment(tmp_path, {}), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("| tokens")]
    assert "pip install 'mastery-engine[tokens]'" in line
    assert "| not measured |" in line


def test_a_missing_tool_is_named_with_the_way_to_it() -> None:
    with pytest.raises(StartRefused, match="needs no-such-tool: make one"):
        tool("no-such-tool", "make one")


def test_a_line_says_whether_its_goal_is_met() -> None:
    assert judged("lag", "w", "ms", [1, 50, 99], "p95").met is True
    assert judged("lag", "w", "ms", [1, 51, 99], "p95").met is False
    assert judged("stream", "w", "", [0.1, 0.7, 9], "to floor").met is True
    assert judged("stream", "w", "", [0.1, 0.6, 9], "to floor").met is False
    assert shown("p", "w", "", [1.0]).met is None
    assert ratios([1, 4], [2, 2]) == [0.5, 2.0]


def test_a_ratio_is_far_off_by_a_factor_of_twenty_and_other_figures_never() -> None:
    assert [judged("class", "w", "", [ratio], "to floor").far for ratio in (0.03, 0.02)] == [False, True]
    assert [judged("batch", "w", "", [ratio], "to singles").far for ratio in (0.9, 1.1)] == [False, True]
    assert not judged("lag", "w", "ms", [10_000], "p95").far


def test_what_was_measured_over_time_is_drawn(tmp_path: Path) -> None:
    over_time = [(1.0, 2.0), (2.0, 4.0)]
    drawn = msgspec.structs.replace(shown("p", "lag <at its worst>", "s", [4]), over_time=over_time)
    shown_page = page(Report("2 cores", "3.11", "3.40", [drawn, shown("p", "not drawn", "s", [1])]))
    assert shown_page.count("<polyline") == 1
    assert "lag &lt;at its worst&gt;" in shown_page
    assert "not drawn" not in shown_page
