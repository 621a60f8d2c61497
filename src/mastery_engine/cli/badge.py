"""``badge``: listing, showing, verifying and revoking badges, and the keys that sign them."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mastery_engine.cli.console import AsJson, Tenant, opened, operator, readable_file, say, settings
from mastery_engine.cli.plain import PlainGroup

if TYPE_CHECKING:
    from mastery_engine.out.badges.badge import Badge
    from mastery_engine.out.badges.verify import Verdict
    from mastery_engine.responses.badges import BadgeEntry, BadgeKey

app = typer.Typer(help="Badges: Open Badges 3.0 of courses.", no_args_is_help=True)
keys = typer.Typer(help="The keys that sign badges.", no_args_is_help=True)
app.add_typer(keys, name="keys", cls=PlainGroup)

BadgeId = Annotated[str, typer.Argument(help="The badge's id: the end of its link.", metavar="ID")]


@app.callback()
def badge() -> None:
    """Badges: Open Badges 3.0 of courses."""


@app.command("list")
def list_all(tenant: Tenant = "default", as_json: AsJson = False) -> None:
    """List the badges of a school.

    \b
    Example:
      mastery-engine badge list
    """

    async def listed() -> list["BadgeEntry"]:
        found: list[BadgeEntry] = []
        async with opened(settings()) as engine:
            cursor: str | None = None
            while True:
                page = await engine.badges.list(operator(tenant), cursor=cursor)
                found += page.badges
                if (cursor := page.next_cursor) is None:
                    return found

    entries = asyncio.run(listed())
    lines = [
        f"{one.badge_id}: {one.title}, {one.level}, of {one.student_id}, awarded {one.awarded}"
        + ("" if one.revoked is None else f", revoked {one.revoked}")
        for one in entries
    ]
    say(as_json, {"badges": entries}, *(lines or ["There are no badges."]))


@app.command()
def show(
    badge_id: BadgeId,
    form: Annotated[str, typer.Option("--as", help="json, or jwt for a token.", metavar="FORM")] = "json",
) -> None:
    """Print a badge's signed credential.

    \b
    Example:
      mastery-engine badge show default.k3v9Qm > badge.json
    """
    if form not in ("json", "jwt"):
        raise typer.BadParameter("--as must be json or jwt.")

    async def shown() -> bytes:
        async with opened(settings()) as engine:
            now = engine.clock()
            found: Badge = await engine.badge_credentials.badge(badge_id, now)
            return await engine.badge_credentials.credential(found, "token" if form == "jwt" else "document", now)

    print(asyncio.run(shown()).decode())


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The badge: JSON, a token, PNG or SVG.", callback=readable_file)],
    did: Annotated[
        list[Path] | None,
        typer.Option(help="The DID document of another issuer; may be repeated.", metavar="FILE"),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            help="A status list of another issuer, with its address; may be repeated.", metavar="ADDRESS=FILE"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a badge of anybody: its shape, its signature, its dates and its status. Nothing is fetched.

    The keys and status lists of this service are known; those of others come from files. It exits 0 where the badge is
    good, else 1.

    \b
    Example:
      mastery-engine badge verify badge.png
    """
    document = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    issuers = [_did_in(path) for path in did or ()]
    lists = dict(_list_in(one) for one in status or ())

    async def verified() -> "Verdict":
        async with opened(settings()) as engine:
            return await engine.badge_credentials.verify(document, issuers=issuers, lists=lists)

    verdict = asyncio.run(verified())
    say(
        as_json,
        verdict,
        *[f"{'ok    ' if one.passed else 'FAILED'} {one.name}: {one.message}" for one in verdict.checks],
        "The badge is good." if verdict.verified else "The badge is not good.",
        f"Its issuer is {verdict.issuer or 'not named'}"
        + (", by the keys known here." if verdict.is_issuer_known else "; whether the key is theirs was not checked."),
    )
    if not verdict.verified:
        raise typer.Exit(1)


def _did_in(path: Path) -> dict[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"{path} is no DID document.") from error


def _list_in(given: str) -> tuple[str, bytes]:
    address, _, name = given.rpartition("=")
    if not address or not Path(name).is_file():
        raise typer.BadParameter("--status must be an address, = and a file that is there.")
    return address, Path(name).read_bytes()


@app.command()
def revoke(badge_id: BadgeId, as_json: AsJson = False) -> None:
    """Revoke a badge, of whichever school: its status list says so at once.

    \b
    Example:
      mastery-engine badge revoke default.k3v9Qm
    """

    async def revoked() -> "BadgeEntry":
        async with opened(settings()) as engine:
            return await engine.badges.revoke(operator(badge_id.partition(".")[0]), badge_id)

    entry = asyncio.run(revoked())
    say(as_json, {"revoked": entry}, f"Revoked {entry.badge_id}: {entry.title}, {entry.level}, of {entry.student_id}.")


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys that sign badges, or have signed some; the last one signs now.

    \b
    Example:
      mastery-engine badge keys list
    """

    async def listed() -> list["BadgeKey"]:
        async with opened(settings()) as engine:
            return await engine.badge_credentials.keys(operator())

    found = asyncio.run(listed())
    lines = [f"{one.public}: made {one.made}{', signs now' if one.signs_now else ''}" for one in found]
    say(as_json, {"keys": found}, *lines)


@keys.command()
def rotate(as_json: AsJson = False) -> None:
    """Sign by a new key from now on. What older keys have signed stays good; they cannot sign any more.

    \b
    Example:
      mastery-engine badge keys rotate
    """

    async def rotated() -> "BadgeKey":
        async with opened(settings()) as engine:
            return await engine.badge_credentials.rotate(operator())

    key = asyncio.run(rotated())
    say(as_json, {"key": key}, f"Badges are signed by {key.public} from now on, on all replicas within 5 seconds.")
