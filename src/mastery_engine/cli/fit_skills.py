"""``fit skills``: levels of skills and difficulties of items, from a file of answers or from the engine's own log."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, counted, opened, progress, say, settings

if TYPE_CHECKING:
    from mastery_engine.domain.moments import Micros
    from mastery_engine.settings import Settings
    from mastery_engine.stream.answers import Heard

SOONEST, WEEK_MINUTES = 10, 10_080  # an event may be dated five minutes ahead, and a service looks twice a minute


def skills(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The answers, as `backtest skills` takes them.", exists=True, dir_okay=False, show_default=False
        ),
    ] = None,
    from_log: Annotated[
        bool, typer.Option("--from-log", help="Learn from the answers in the engine's own log how hard items are.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file of parameters; other parts that it has stay. MODEL_FILE, or model.msgpack.",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    ahead: Annotated[
        int, typer.Option(help="With --from-log: from how many minutes on it counts.", min=SOONEST, max=WEEK_MINUTES)
    ] = 15,
    as_json: AsJson = False,
) -> None:
    """Fit the skills and items of a file of answers, or learn how hard items are from the engine's own log.

    serve and worker load what comes out by MODEL_FILE, and take it up within a minute when it changes. What is learned
    from the log is added to the file, and counts for answers given some minutes from now or later: all processes have
    it by then, and a replay comes to the same.

    \b
    Examples:
      mastery-engine fit skills answers.csv.gz --out model.msgpack
      mastery-engine fit skills --from-log --out model.msgpack
    """
    if from_log == (file is not None):
        raise typer.BadParameter("name a file of answers, or say --from-log.")
    known = None if file else settings()
    path = _checked(out or (known and known.model_file) or Path("model.msgpack"))
    with _alone(path):
        if file is not None:
            _fit(file, path, as_json)
        elif known is not None:
            _learn(known, path, ahead, as_json)


def _fit(file: Path, out: Path, as_json: bool) -> None:
    import hashlib

    import msgspec

    from mastery_engine.domain.model_file import skills_from, with_skills
    from mastery_engine.lab.answer_files import read_answers
    from mastery_engine.lab.fit_skills import fit_skills

    source = _source(out)
    before = skills_from(source)
    with progress("Fitting", None):
        version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        model = msgspec.structs.replace(fit_skills(list(read_answers(file).values())), version=version)
    written = with_skills(source, model)
    _write(out, written)
    words = (
        f"Wrote {out} ({len(written):,} bytes): {counted(len(model.skills), 'skill')}, "
        f"{counted(len(model.items), 'item')}, version {version}."
    )
    if before and before.revisions:
        words += f" It replaces what was there with {counted(len(before.revisions), 'revision')}."
    done = {"file": str(out), "bytes": len(written), "skills": len(model.skills), "items": len(model.items)}
    say(as_json, done | {"version": version}, words)


def _learn(settings: "Settings", out: Path, ahead: int, as_json: bool) -> None:
    import asyncio

    from mastery_engine.domain.model_file import skills_from, with_skills
    from mastery_engine.domain.moments import DAY, MINUTE, rfc3339
    from mastery_engine.domain.skill_model import DEFAULT_SKILLS
    from mastery_engine.errors import StartRefused
    from mastery_engine.lab.fit_skills import learn_items

    source = _source(out)
    model = skills_from(source) or DEFAULT_SKILLS
    with progress("Learning", None):
        heard, now = asyncio.run(_heard(settings))
        revision = learn_items(heard, model, now + ahead * MINUTE)
    since = rfc3339(revision.since)
    done = {"file": str(out), "answers": len(heard), "items": len(revision.items)}
    if not revision.items:
        words = f"Of {counted(len(heard), 'answer')} in the log none is a new one: {out} was not written."
        say(as_json, done | {"since": None, "revisions": len(model.revisions)}, words)
        return
    try:
        model = model.revised(revision, floor=now - settings.gdpr_retention_days * DAY)
    except ValueError as error:
        raise StartRefused(
            f"{out} takes no revision from {since} on: {error}. Say a longer --ahead, or learn less often."
        ) from error
    _write(out, with_skills(source, model))
    words = f"Learned how hard {counted(len(revision.items), 'item')} {'is' if len(revision.items) == 1 else 'are'}"
    words += f" from {counted(len(heard), 'answer')} in the log; {out} says so for answers from {since} on."
    say(as_json, done | {"since": since, "revisions": len(model.revisions)}, words)


async def _heard(settings: "Settings") -> tuple[list["Heard"], "Micros"]:
    """What the log holds, and the moment. A MODEL_FILE may be yet to come."""
    from mastery_engine.stream.answers import answers_of

    async with opened(settings.model_copy(update={"model_file": None}), apart=True) as mastery:
        return await answers_of(mastery), mastery.clock()


def _checked(out: Path) -> Path:
    """Where the file is really, behind links. Raises StartRefused where it cannot be written."""
    import os

    from mastery_engine.errors import StartRefused

    path = out.resolve()
    if path.exists() and not path.is_file():
        raise StartRefused(f"{out} is no file that could be written: name another one.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise StartRefused(f"The folder {path.parent} is not there or cannot be written: {out} cannot be made in it.")
    return path


def _source(out: Path) -> bytes:
    """What the file holds; of a new one the beginning, in the format that its name says."""
    return out.read_bytes() if out.exists() else b'{"version": 1}' if out.suffix == ".json" else b"\x81\xa7version\x01"


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One at a time, or the second would not know of the first's revision."""
    import fcntl
    import os

    folder = os.open(out.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(out: Path, source: bytes) -> None:
    """The whole file or nothing of it, since processes look for it to change; who may read it stays."""
    import tempfile

    mode = out.stat().st_mode & 0o777 if out.exists() else 0o644
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        made = Path(folder, out.name)
        made.write_bytes(source)
        made.chmod(mode)
        made.replace(out)
