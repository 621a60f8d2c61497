"""``simulate``: a simulated class as a file of events."""

import sys
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mastery_engine.cli.console import AsJson, counted, progress, say


def simulate(
    students: Annotated[int, typer.Option(help="How many; student_12345 is always one of them.", min=1)] = 30,
    days: Annotated[int, typer.Option(help="How many days, up to the last one.", min=1)] = 30,
    seed: Annotated[int, typer.Option(help="The same seed is the same class.")] = 1,
    cohort: Annotated[str, typer.Option(help="The class's cohort_id.")] = "py-101",
    until: Annotated[
        datetime | None, typer.Option(help="When it ends (UTC); now.", show_default=False, metavar="TIME")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file; standard output.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Write what a simulated class does, as JSON lines that `ingest` takes.

    \b
    Example:
      mastery-engine simulate --students 100 --days 60 --seed 7 --out class.jsonl
    """
    from datetime import UTC

    from mastery_engine.domain.events import encode
    from mastery_engine.domain.moments import moment_of
    from mastery_engine.lab.simulate import past, pupils
    from mastery_engine.wiring import system_clock

    end = system_clock() if until is None else moment_of(until.replace(tzinfo=until.tzinfo or UTC))
    with progress("Simulating", students) as told:
        events = past(pupils(students, seed), days=days, seed=seed, until=end, cohort=cohort, told=told)
    lines = b"".join(encode(event) + b"\n" for event in events)
    if out is None:
        sys.stdout.buffer.write(lines)
    else:
        out.write_bytes(lines)
    words = f"Wrote {counted(len(events), 'event')} of {counted(students, 'student')} in {counted(days, 'day')}."
    done = {"events": len(events), "students": students, "days": days, "seed": seed, "cohort": cohort}
    with redirect_stdout(sys.stderr if out is None else sys.stdout):
        say(as_json, done, words)
