"""``status`` and ``doctor``: how the service that runs is, and what of the installation is to be mended."""

import asyncio
import os
from typing import TYPE_CHECKING

import msgspec
import typer

from mastery_engine.cli.console import AsJson, counted, say

if TYPE_CHECKING:
    from mastery_engine.doctor import Finding
    from mastery_engine.responses.readiness import Dependency


def status(as_json: AsJson = False) -> None:
    """Say how the service at HOST and PORT is. Exits 0 if it is ready, else 1.

    \b
    Example:
      PORT=8005 mastery-engine status
    """
    from mastery_engine.doctor import address_of, readiness_at
    from mastery_engine.errors import StartRefused, Unavailable
    from mastery_engine.settings import settings_from

    named = {name: os.environ[name] for name in ("HOST", "PORT") if name in os.environ}
    settings = settings_from(named)  # nothing else matters here, and a shell need not have the secrets
    address = address_of(settings.host, settings.port)
    try:
        report = asyncio.run(readiness_at(address))
    except (StartRefused, Unavailable) as error:
        say(as_json, {"status": "unreachable", "message": error.message, "dependencies": []}, error.message)
        raise typer.Exit(1) from error
    is_ready = report.status == "ready"
    lines = [words for dependency in report.dependencies for words in _words(dependency)]
    say(as_json, report, f"The service at {address} is {'ready' if is_ready else 'not ready'}.", *lines)
    if not is_ready:
        raise typer.Exit(1)


def _words(dependency: "Dependency") -> list[str]:
    if dependency.status == "up":
        first = f"  {dependency.name}: up, {dependency.latency_ms or 0:.1f} ms"
    else:
        first = f"  {dependency.name}: down. {dependency.message}"
    return [first, *(f"  {dependency.name}: warning. {warning}" for warning in dependency.warnings)]


class Diagnosis(msgspec.Struct, frozen=True):
    """All findings, and whether each is ok."""

    is_well: bool
    findings: "list[Finding]"


def doctor(as_json: AsJson = False) -> None:
    """Look at settings, files, servers and the service, and say what to mend. Exits 0 if all is well, else 1.

    It changes nothing, and works with and without a running service.

    \b
    Example:
      mastery-engine doctor
    """
    findings = asyncio.run(_findings())
    number = {kind: sum(finding.status == kind for finding in findings) for kind in ("problem", "warning")}
    is_well = not any(number.values())
    say(
        as_json,
        Diagnosis(is_well, findings),
        *(f"{finding.status:<8} {finding.about}: {finding.message}" for finding in findings),
        (
            "All is well."
            if is_well
            else f"{counted(number['problem'], 'problem')}, {counted(number['warning'], 'warning')}."
        ),
    )
    if not is_well:
        raise typer.Exit(1)


async def _findings() -> "list[Finding]":
    from mastery_engine.doctor import examine

    return [finding async for finding in examine(os.environ)]
