"""``profile``: what other platforms' messages would become, and why; which profiles there are, and a check of one."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from mastery_engine.cli.console import AsJson, counted, readable_file, say, settings
from mastery_engine.cli.refusals import NAMED
from mastery_engine.domain.people.identity import Identity
from mastery_engine.doors.drafts import DoorName, Status

if TYPE_CHECKING:
    from mastery_engine.doors.translating import ProfileSet

app = typer.Typer(help="What other platforms' messages become.", no_args_is_help=True)


class WouldBe(msgspec.Struct, frozen=True):
    """A learning event that a message would become."""

    event_type: str
    event_id: str
    identity: Identity
    course_id: str | None
    timestamp: datetime | None
    data: dict[str, Any]


class Tested(msgspec.Struct, frozen=True):
    """What one message would become, and by which rule of which profile."""

    where: str
    id: str | None
    status: Status
    reason: str | None
    profile: str | None
    rule: str | None
    notes: tuple[str, ...]
    events: list[WouldBe]


@app.callback()
def profile() -> None:
    """What other platforms' messages become."""


@app.command("test")
def try_file(
    file: Annotated[
        Path,
        typer.Argument(
            help="Messages: a JSON list, a line for each, or an envelope; - for standard input.",
            callback=readable_file,
        ),
    ],
    door: Annotated[
        Literal["xapi", "caliper", "canvas", "openedx"] | None,
        typer.Option(help="What the messages are.", show_default="what the first one is"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say for each message of a file what it would become, and why. Nothing is stored. Exits with 1 if one is refused.

    \b
    Example:
      mastery-engine profile test statements.json
    """
    from mastery_engine.cli.message_file import content_of, documents_in, messages_of
    from mastery_engine.doors.translating import door_of
    from mastery_engine.wiring import translation_profiles

    profiles = translation_profiles(settings())
    content = content_of(file)
    first = next((one for one in map(_first, documents_in(content)) if one is not None), None)
    kind: DoorName | None = door or door_of(first)
    if kind is None:
        raise typer.BadParameter("nothing tells what the messages are: give --door.", param_hint="--door")
    tested = [_tested(profiles, kind, where, message) for where, message in messages_of(documents_in(content), kind)]
    counts = Counter(one.status for one in tested)
    summary = {status: counts[status] for status in ("evidence", "ignored", "refused")}
    done = {"door": kind, "messages": tested, **summary}
    total = ", ".join(f"{count:,} {status}" for status, count in summary.items())
    shown = tested if summary["refused"] < len(tested) else tested[:NAMED]
    lines = [line for one in shown for line in _in_words(one)]
    if len(shown) < len(tested):
        lines.append(f"and {counted(len(tested) - NAMED, 'more message')}: nothing in the file is good")
    say(as_json, done, *lines, f"{counted(len(tested), 'message')} of {kind}: {total}.")
    if summary["refused"]:
        raise typer.Exit(1)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A profile, as YAML.", exists=True, dir_okay=False, readable=True)],
    as_json: AsJson = False,
) -> None:
    """Check a profile: an error names the line. Exits with 1 if it is wrong.

    \b
    Example:
      mastery-engine profile check our-school.yaml
    """
    from mastery_engine.doors.profiles.reading import profile_from

    found = profile_from(file.read_bytes(), str(file))
    done = {"file": str(file), "profile": found.name, "door": found.door.name, "rules": found.size}
    say(as_json, done, f"{file} is correct: {found.name}, for {found.door.name}, {counted(found.size, 'rule')}.")


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the profiles in use, in the order in which they are asked.

    \b
    Example:
      mastery-engine profile list
    """
    from mastery_engine.wiring import translation_profiles

    found = [
        {"profile": one.name, "door": one.door.name, "title": one.title, "file": one.origin, "rules": one.size}
        for one in translation_profiles(settings()).all_profiles
    ]
    words = [f"{one['door']}: {one['profile']} ({one['title']}), {one['file']}" for one in found]
    say(as_json, {"profiles": found}, *words)


def _first(document: tuple[str, object]) -> object:
    """The first message of a document that could be read."""
    _, content = document
    first = content[0] if isinstance(content, list) and content else content
    return first if isinstance(first, dict) else None


def _tested(profiles: "ProfileSet", door: DoorName, where: str, message: object) -> Tested:
    from mastery_engine.doors.drafts import Translation
    from mastery_engine.errors import InvalidInput

    became: Translation = (
        Translation("refused", reason=message.message)
        if isinstance(message, InvalidInput)
        else profiles.translated(door, message)
    )
    events = [
        WouldBe(one.event_type, one.event_id, one.identity, one.course_id, one.timestamp, one.data)
        for one in became.drafts
    ]
    return Tested(
        where, became.message_id, became.status, became.reason, became.profile, became.rule, became.notes, events
    )


def _in_words(one: Tested) -> list[str]:
    by = f" (rule {one.rule} of {one.profile})" if one.rule else ""
    named = f" {one.id}" if one.id else ""
    lines = [f"{one.where}{named}: {one.status}{by}{f': {one.reason}' if one.reason else ''}"]
    for event in one.events:
        course = f", course {event.course_id}" if event.course_id else ""
        data = msgspec.json.encode(event.data).decode()
        lines.append(f"  {event.event_type} {data} of {event.identity.id} in {event.identity.system}{course}")
    return [*lines, *(f"  note: {note}" for note in one.notes)]
