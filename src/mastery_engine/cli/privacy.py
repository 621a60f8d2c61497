"""``export`` and ``erase``: what the law asks, on the command line."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, Tenant, counted, opened, operator, say, settings

if TYPE_CHECKING:
    from mastery_engine.responses.privacy import Erasure, Export


def _student(name: str) -> str:
    import re

    from mastery_engine.domain.events.envelope import STUDENT_ID

    if not re.search(STUDENT_ID, name):
        raise typer.BadParameter("this is no student's id.")
    return name


StudentArgument = Annotated[str, typer.Argument(help="The student's id.", callback=_student, metavar="STUDENT")]
ScanLog = Annotated[bool, typer.Option("--scan-log", help="Read Kafka's topic for the student's events too.")]


def export(
    student: StudentArgument,
    tenant: Tenant = "default",
    scan_log: ScanLog = False,
    as_json: AsJson = True,  # noqa: ARG001  it is JSON in any case
) -> None:
    """Print all that is held about a student, as one JSON document.

    \b
    Example:
      mastery-engine export student_12345 > student_12345.json
    """
    found = asyncio.run(_export(student, tenant, scan=scan_log))
    say(True, found)


async def _export(student: str, tenant: str, *, scan: bool) -> "Export":
    from mastery_engine.services.privacy import Privacy

    async with opened(settings()) as mastery:
        return await Privacy(mastery).export(operator(tenant), student, scan=scan)


def erase(
    student: StudentArgument,
    tenant: Tenant = "default",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a student, for good: later events are refused until consent is given anew.

    \b
    Example:
      mastery-engine erase student_12345 --yes
    """
    if not yes:
        typer.confirm(f"Erase {student} of {tenant}, for good?", abort=True)
    done = asyncio.run(_erase(student, tenant))
    say(
        as_json,
        done,
        f"Erased at {done.erased_at}: {counted(done.removed_from_store, 'record')} of the store, "
        f"{counted(done.removed_from_log, 'record')} of the log. Proof: {done.proof}",
        *(
            f"Stays elsewhere: {one.where}, {f'until {one.until}' if one.until else 'the operator is to see to it'}."
            for one in done.ages_out
        ),
    )


async def _erase(student: str, tenant: str) -> "Erasure":
    from mastery_engine.services.privacy import Privacy

    async with opened(settings()) as mastery:
        return await Privacy(mastery).erase(operator(tenant), student)
