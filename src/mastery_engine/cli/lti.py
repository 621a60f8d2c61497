"""``lti``: the learning platforms that may launch this service."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, OnlyTenant, Tenant, course_if_named, opened, operator, say, settings

if TYPE_CHECKING:
    from mastery_engine.responses.lti import LtiInvitation, LtiPlatformEntry

app = typer.Typer(help="The learning platforms that may launch this service (LTI 1.3).", no_args_is_help=True)

Issuer = Annotated[str, typer.Option(help="The platform's issuer, as it signs it.", metavar="URL")]
ClientId = Annotated[str, typer.Option(help="The client id that the platform gave this service.", metavar="ID")]
Course = Annotated[
    str | None,
    typer.Option(
        help="The course in which the platform's classes begin. Default: the course named default.",
        callback=course_if_named,
        metavar="ID",
        show_default=False,
    ),
]


@app.callback()
def lti() -> None:
    """The learning platforms that may launch this service (LTI 1.3)."""


@app.command()
def add(
    issuer: Issuer,
    client_id: ClientId,
    deployment_id: Annotated[str, typer.Option(help="A deployment that may launch; repeat the command for more.")],
    auth_url: Annotated[str, typer.Option(help="Where the platform signs people in.", metavar="URL")],
    token_url: Annotated[str, typer.Option(help="Where the platform gives access tokens.", metavar="URL")],
    jwks_url: Annotated[str, typer.Option(help="Where the platform publishes its keys.", metavar="URL")],
    tenant: Tenant = "default",
    course: Course = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Pages of the platform that show ours in a frame, where they are on another host than its issuer "
            "and --auth-url; may be repeated.",
            metavar="URL",
        ),
    ] = None,
    token_audience: Annotated[
        str | None,
        typer.Option(help="What the platform asks as aud of token requests. Default: --token-url.", metavar="TEXT"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let a learning platform launch this service; for one that is known, set its addresses and add a deployment.

    It works beside a running serve, and counts within seconds.

    \b
    Example:
      mastery-engine lti add --issuer https://moodle.example.edu \\
        --client-id sXIBPzYcvBAsXlf --deployment-id 1 \\
        --auth-url https://moodle.example.edu/mod/lti/auth.php \\
        --token-url https://moodle.example.edu/mod/lti/token.php \\
        --jwks-url https://moodle.example.edu/mod/lti/certs.php
    """
    from mastery_engine.lti.platforms import LtiPlatform

    async def added() -> "LtiPlatformEntry":
        platform = LtiPlatform(
            issuer,
            client_id,
            tenant,
            auth_url,
            token_url,
            jwks_url,
            (deployment_id,),
            course,
            token_audience,
            tuple(origin or ()),
        )
        async with opened(settings()) as engine:
            return await engine.lti.platforms.add(operator(tenant), platform)

    entry = asyncio.run(added())
    say(as_json, entry, f"{entry.issuer} may launch as {entry.client_id}.", *_in_words(entry))


@app.command()
def invite(tenant: Tenant = "default", course: Course = None, as_json: AsJson = False) -> None:
    """Print an address by which one learning platform registers itself, once, within a week.

    \b
    Example:
      mastery-engine lti invite
    """

    async def invited() -> "LtiInvitation":
        async with opened(settings()) as engine:
            return await engine.lti.registrations.invite(operator(tenant), course_id=course)

    invitation = asyncio.run(invited())
    say(as_json, invitation, invitation.url)


@app.command("list")
def list_all(
    tenant: OnlyTenant = None,
    as_json: AsJson = False,
) -> None:
    """List the learning platforms that may launch.

    \b
    Example:
      mastery-engine lti list
    """

    async def listed() -> list["LtiPlatformEntry"]:
        async with opened(settings()) as engine:
            return [one for one in await engine.lti.platforms.all(operator()) if tenant in (None, one.tenant)]

    entries = asyncio.run(listed())
    lines = [line for one in entries for line in (f"{one.issuer} as {one.client_id}", *_in_words(one))]
    say(as_json, {"platforms": entries}, *(lines or ["There are no learning platforms."]))


@app.command()
def remove(issuer: Issuer, client_id: ClientId, as_json: AsJson = False) -> None:
    """Let a learning platform launch no more: within 5 seconds its open pages end, too. Profiles and classes stay.

    \b
    Example:
      mastery-engine lti remove --issuer https://moodle.example.edu \\
        --client-id sXIBPzYcvBAsXlf
    """

    async def removed() -> "LtiPlatformEntry":
        async with opened(settings()) as engine:
            return await engine.lti.platforms.remove(operator(), issuer, client_id)

    entry = asyncio.run(removed())
    say(as_json, {"removed": entry}, f"Removed {entry.issuer} as {entry.client_id}.")


def _in_words(entry: "LtiPlatformEntry") -> list[str]:
    deployments = ", ".join(entry.deployment_ids) or "the first that launches"
    return [
        f"  of {entry.tenant}, course {entry.course_id}, deployments: {deployments}",
        f"  frames on: {', '.join(entry.origins)}",
    ]
