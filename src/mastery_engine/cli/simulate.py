"""``simulate``: writes a simulated class as a file of events, or compares policies of advice."""

import sys
from collections.abc import Collection
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mastery_engine.cli.console import AsJson, cohort_named, counted, progress, say, settings


def simulate(
    students: Annotated[
        int, typer.Option(help="The number of students; student_12345 is one of them.", min=1, max=1_000_000)
    ] = 30,
    days: Annotated[int, typer.Option(help="The number of days, up to the last one.", min=1, max=3_650)] = 30,
    seed: Annotated[int, typer.Option(help="The same seed gives the same class.")] = 1,
    cohort: Annotated[str, typer.Option(help="The cohort_id of the class.", callback=cohort_named)] = "py-101",
    until: Annotated[
        datetime | None, typer.Option(help="When it ends (UTC). Default: now.", show_default=False, metavar="TIME")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write. Default: standard output.", show_default=False)
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="engine, random, weakest, curriculum or all: compare the practice needed for a mean mastery of 0.75. "
            "With --items: engine, skills, random, hardest, target or all.",
            show_default=False,
        ),
    ] = None,
    items: Annotated[
        bool, typer.Option("--items", help="With --policy: choose single items instead of skills.")
    ] = False,
    learners: Annotated[
        str, typer.Option(help="With --policy, without --items: how they learn: smooth, binary or logistic.")
    ] = "smooth",
    plot: Annotated[
        Path | None, typer.Option(help="With --policy: write the curves to this SVG file.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the events of a simulated class as JSON lines for `ingest`; or, with --policy, compare policies of advice.

    \b
    Example:
      mastery-engine simulate --students 100 --days 60 --seed 7 --out class.jsonl
      mastery-engine simulate --policy all --students 20 --plot policies.svg
      mastery-engine simulate --policy all --students 12 --learners logistic
      mastery-engine simulate --policy engine --policy random --items --students 5
    """
    if policy and items:
        if plot is not None:
            raise typer.BadParameter("--plot shows policies about skills: leave out --items.")
        _compare_items(policy, students, seed, as_json=as_json)
        return
    if policy:
        _compare(policy, students, seed, learners, plot, as_json=as_json)
        return
    for name, given in (("--plot", plot is not None), ("--items", items)):
        if given:
            raise typer.BadParameter(f"{name} needs --policy.")
    from datetime import UTC

    from mastery_engine.domain.events.event import encode
    from mastery_engine.domain.moments import moment_of
    from mastery_engine.lab.simulate.classes import past, pupils
    from mastery_engine.wiring_clocks import system_clock

    end = system_clock() if until is None else moment_of(until.replace(tzinfo=until.tzinfo or UTC))
    with progress("Simulating", students) as on_progress:
        events = past(pupils(students, seed), days=days, seed=seed, until=end, cohort=cohort, on_progress=on_progress)
    lines = b"".join(encode(event) + b"\n" for event in events)
    if out is None:
        sys.stdout.buffer.write(lines)
    else:
        out.write_bytes(lines)
    words = f"Wrote {counted(len(events), 'event')} of {counted(students, 'student')} in {counted(days, 'day')}."
    done = {"events": len(events), "students": students, "days": days, "seed": seed, "cohort": cohort}
    with redirect_stdout(sys.stderr if out is None else sys.stdout):
        say(as_json, done, words)


def _compare(policies: list[str], students: int, seed: int, learners: str, plot: Path | None, *, as_json: bool) -> None:
    """Compare the same class under each policy."""
    import msgspec

    from mastery_engine.lab.plots import curves
    from mastery_engine.lab.simulate.learners import LEARNERS
    from mastery_engine.lab.simulate.policies import GOAL, POLICIES, course
    from mastery_engine.wiring import curriculum

    names = _chosen(policies, POLICIES)
    if learners not in LEARNERS:
        raise typer.BadParameter(f"there are no learners {learners!r}: they are {', '.join(LEARNERS)}.")
    chosen = curriculum(settings())
    courses = []
    with progress("Practising", len(names)) as on_progress:
        for place, name in enumerate(names, 1):
            courses.append(course(name, chosen, students=students, seed=seed, learners=learners))
            on_progress(place)
    across = "sessions of practice (5 answers each)"
    if plot is not None:
        lines = {practised.policy: practised.curve for practised in courses}
        plot.write_text(curves("Mean mastery of the course", across, "mean mastery", lines, GOAL))
    most = max(practised.sessions for practised in courses)
    words = [f"Sessions of practice until a mean mastery of {GOAL}, {counted(students, 'student')}, seed {seed}:"]
    words += [
        f"  {practised.policy:10} {practised.sessions:8,.1f}  {practised.sessions / most:5.2f} of the most"
        for practised in courses
    ]
    say(as_json, {"goal": GOAL, "seed": seed, "learners": learners, "courses": msgspec.to_builtins(courses)}, *words)


def _compare_items(policies: list[str], students: int, seed: int, *, as_json: bool) -> None:
    """Compare how the same class fares whose items are chosen by each policy."""
    from random import Random

    import msgspec

    from mastery_engine.lab.simulate.item_policies import ITEM_POLICIES, fitted_on_others, item_course, items_of
    from mastery_engine.lab.simulate.policies import GOAL
    from mastery_engine.wiring import curriculum

    names = _chosen(policies, ITEM_POLICIES)
    course = curriculum(settings())
    items = items_of(course, Random(f"{seed}/items"))  # nosec B311
    outcomes = []
    with progress("Practising", len(names)) as on_progress:
        models = fitted_on_others(course, items, seed)
        for place, name in enumerate(names, 1):
            outcomes.append(item_course(name, course, items, models, students=students, seed=seed))
            on_progress(place)
    words = [f"Answers until a mean mastery of {GOAL}, {counted(students, 'student')}, seed {seed}:"]
    words += [
        f"  {outcome.policy:10} {outcome.answers:8,.0f}  reached by {outcome.reached} of {outcome.students}"
        for outcome in outcomes
    ]
    say(as_json, {"goal": GOAL, "seed": seed, "items": msgspec.to_builtins(outcomes)}, *words)


def _chosen(policies: list[str], known: Collection[str]) -> list[str]:
    names = list(known) if "all" in policies else list(dict.fromkeys(policies))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"there is no policy {unknown[0]!r}: the policies are {', '.join(known)} and all.")
    return names
