"""``bench``: measures the engine on this machine, beside a floor."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mastery_engine.lab.bench.measures import Line


QUICK_EVENTS = 1_000


def bench(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            help="fold, steps, embedded, http, batch, lag, xapi, forecasts, next, watch, pages, attacks, scale, "
            "tokens, commands, stream, workers, peers, class, soak; all of them.",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=100, help="The number of runs; medians are shown.")] = 5,
    events: Annotated[
        int,
        typer.Option(
            min=100,
            max=1_000_000,
            help="How many events (stream: twice as many; stream, workers: 100,000 at most), statements (xapi: 10,000 "
            "at most), students (http; scale: a twentieth; class), or 150ths of a second (soak: 300 s at most).",
        ),
    ] = 50_000,
    rate: Annotated[
        int | None, typer.Option(min=100, max=100_000, help="Events a second of soak; by default 10,000.")
    ] = None,
    on_paper: Annotated[
        bool,
        typer.Option(
            "--workers",
            help="Scale: what 100,000 events/s and 5,000,000 students need, by what an event costs here "
            "(with --into: docs/scale.md).",
        ),
    ] = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="One small run; exits with 1 only if a ratio misses its goal twentyfold."),
    ] = False,
    plots: Annotated[
        Path | None,
        typer.Option(help="Write plots of what was measured over time to this HTML file.", show_default=False),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            help="Write each part that was measured into this Markdown file as it ends, between the marks that "
            "docs/benchmarks.md has; other parts stay as they are.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the engine beside a floor in the same run. Exits with 1 if a goal is missed.

    \b
    Example:
      mastery-engine bench embedded --runs 5
      mastery-engine bench soak --rate 4000 --plots soak.html
      mastery-engine bench http batch --into docs/benchmarks.md
    """
    from mastery_engine.domain.moments import rfc3339
    from mastery_engine.lab.bench.document import HEAD, parted, row, with_part
    from mastery_engine.lab.bench.measures import UNMEASURED
    from mastery_engine.lab.bench.report import PARTS, machine, page, report
    from mastery_engine.lab.bench.sizing import with_plan
    from mastery_engine.wiring_clocks import system_clock

    if on_paper and into is not None and parts != ["scale"]:
        raise typer.BadParameter("--workers --into is for the part scale alone, and for docs/scale.md.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what it started ends with it
    chosen = parts or list(PARTS)
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        raise typer.BadParameter(f"there is no part {unknown[0]!r}: the parts are {', '.join(PARTS)}.")
    if quick:
        runs, events = 1, QUICK_EVENTS
    here, load = "{}; Python {}, SQLite {}".format(*machine()), os.getloadavg()[0]
    if into is not None:
        parted(into.read_text())  # refused before the work
    if not as_json:
        print(here, "", *HEAD, sep="\n", flush=True)

    def ended(lines: "Sequence[Line]") -> None:
        if not as_json:
            print(*map(row, lines), sep="\n", flush=True)
        if into is not None and any(line.goal != UNMEASURED for line in lines):
            size = "a quick run, " if quick else f"{runs} runs, " if any(one.low != one.high for one in lines) else ""
            at = rfc3339(system_clock())[:16].replace("T", " ")
            when = f"{at} UTC, {size}load {load:.1f} before; {here}"
            text = into.read_text()
            name = lines[0].part
            into.write_text(
                with_plan(text, when, lines) if on_paper else with_part(text, name, when, lines, list(PARTS))
            )

    measured = report(
        chosen,
        runs=runs,
        until=system_clock(),
        events=events,
        rate=rate,
        workers_on_paper=on_paper,
        on_part=ended,
    )
    if plots is not None:
        plots.write_text(page(measured))
    if as_json:
        say(as_json, measured)
    if any(line.far if quick else line.met is False for line in measured.lines):
        raise typer.Exit(1)
