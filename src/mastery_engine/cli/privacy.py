"""``export`` and ``erase``: a student's data, printed or removed."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, Tenant, counted, opened, operator, say, settings, student_named

if TYPE_CHECKING:
    from mastery_engine.responses.privacy import Erasure, Export


StudentArgument = Annotated[str, typer.Argument(help="The student's id.", callback=student_named, metavar="STUDENT")]
ScanLog = Annotated[bool, typer.Option("--scan-log", help="Also read the whole Kafka topic for the student's events.")]


def export(
    student: StudentArgument,
    tenant: Tenant = "default",
    scan_log: ScanLog = False,
    as_json: AsJson = True,  # noqa: ARG001  it is JSON in any case
) -> None:
    """Print everything that is held about a student, as one JSON document.

    \b
    Example:
      mastery-engine export student_12345 > student_12345.json
    """
    say(True, asyncio.run(_export(student, tenant, scan=scan_log)))


async def _export(student: str, tenant: str, *, scan: bool) -> "Export":
    async with opened(settings()) as engine:
        return await engine.privacy.export(operator(tenant), student, scan=scan)


def erase(
    student: StudentArgument,
    tenant: Tenant = "default",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a student for good. Later events are refused until consent is given again.

    \b
    Example:
      mastery-engine erase student_12345 --yes
    """
    if not yes:
        typer.confirm(f"Erase {student} of the tenant {tenant} for good?", abort=True)
    done = asyncio.run(_erase(student, tenant))
    say(
        as_json,
        done,
        f"Erased at {done.erased_at}: {counted(done.removed_from_store, 'record')} from the store, "
        f"{counted(done.removed_from_log, 'record')} from the log. Proof: {done.proof}",
        *(
            f"Stays elsewhere: {place.where}, "
            f"{f'until {place.until}' if place.until else 'until an operator removes it'}."
            for place in done.ages_out
        ),
    )


async def _erase(student: str, tenant: str) -> "Erasure":
    async with opened(settings()) as engine:
        return await engine.privacy.erase(operator(tenant), student)
