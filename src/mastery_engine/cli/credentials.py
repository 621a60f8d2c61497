"""``credentials``: the keys and secrets by which platforms send to the doors for schools."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mastery_engine.cli.console import (
    AsJson,
    OnlyTenant,
    Tenant,
    course_if_named,
    opened,
    operator,
    say,
    settings,
)
from mastery_engine.doors.names import DOORS, Door

if TYPE_CHECKING:
    from mastery_engine.responses.credentials import CredentialEntry, MadeCredential

app = typer.Typer(help="The credentials by which platforms send to the doors for schools.", no_args_is_help=True)


def _doors_named(given: list[str] | None) -> list[str] | None:
    wrong = [name for name in given or () if name not in DOORS]
    if wrong:
        raise typer.BadParameter(f"there is no door {wrong[0]}; there are {', '.join(DOORS)}.")
    return given


@app.callback()
def credentials() -> None:
    """The credentials by which platforms send to the doors for schools."""


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the credential is for, as in a list.", metavar="NAME")],
    tenant: Tenant = "default",
    door: Annotated[
        list[str] | None,
        typer.Option(
            help=f"A door that it opens, of {', '.join(DOORS)}; may be repeated. Without one it opens all.",
            callback=_doors_named,
        ),
    ] = None,
    course: Annotated[
        str | None,
        typer.Option(
            help="The course of what is sent and names none. Default: the course named default.",
            callback=course_if_named,
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a credential, and print its key and its secret, which is shown only now.

    It works beside a running serve, and counts at once.

    \b
    Example:
      mastery-engine credentials create --name Moodle --door xapi
    """

    async def made() -> "MadeCredential":
        async with opened(settings()) as engine:
            return await engine.credentials.create(
                operator(tenant), name, doors=cast(Sequence[Door], door or ()), course_id=course
            )

    credential = asyncio.run(made())
    say(
        as_json,
        credential,
        f"key:    {credential.key}",
        f"secret: {credential.secret}",
        "The secret is not shown again: put it into the platform now.",
    )


@app.command("list")
def list_all(
    tenant: OnlyTenant = None,
    as_json: AsJson = False,
) -> None:
    """List the credentials, without their secrets.

    \b
    Example:
      mastery-engine credentials list
    """

    async def listed() -> list["CredentialEntry"]:
        async with opened(settings()) as engine:
            return [one for one in await engine.credentials.all(operator()) if tenant in (None, one.tenant)]

    entries = asyncio.run(listed())
    lines = [
        f"{one.key}: {one.name}, of {one.tenant}, for {', '.join(one.doors)}, "
        f"course {one.course_id or 'default'}, made {one.created}"
        for one in entries
    ]
    say(as_json, {"credentials": entries}, *(lines or ["There are no credentials."]))


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The credential's key.", metavar="KEY")],
    as_json: AsJson = False,
) -> None:
    """Revoke a credential, of whichever school: within 5 seconds nothing is taken under it, on all replicas.

    \b
    Example:
      mastery-engine credentials revoke 5f0c3d9a1b7e46c2d8f0
    """

    async def revoked() -> "CredentialEntry":
        async with opened(settings()) as engine:
            return await engine.credentials.revoke(operator(), key)

    entry = asyncio.run(revoked())
    say(as_json, {"revoked": entry}, f"Revoked {entry.key}: {entry.name}.")
