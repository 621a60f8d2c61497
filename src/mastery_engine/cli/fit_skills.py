"""``fit skills``: levels of skills and difficulties of items, from a file of answers or from the engine's own log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, counted, opened, progress, say, settings

if TYPE_CHECKING:
    from mastery_engine.domain.kinds import Answer
    from mastery_engine.domain.moments import Micros
    from mastery_engine.settings import Settings

WEEK_MINUTES = 10_080


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
        int, typer.Option(help="With --from-log: from how many minutes on it counts.", min=1, max=WEEK_MINUTES)
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
    if file is not None:
        _fit(file, out or Path("model.msgpack"), as_json)
    else:
        known = settings()
        _learn(known, out or known.model_file or Path("model.msgpack"), ahead, as_json)


def _fit(file: Path, out: Path, as_json: bool) -> None:
    import hashlib

    import msgspec

    from mastery_engine.domain.model_file import with_skills
    from mastery_engine.lab.answer_files import read_answers
    from mastery_engine.lab.fit_skills import fit_skills

    with progress("Fitting", None):
        version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        model = msgspec.structs.replace(fit_skills(list(read_answers(file).values())), version=version)
    written = with_skills(out.read_bytes() if out.exists() else None, model)
    _write(out, written)
    words = (
        f"Wrote {out} ({len(written):,} bytes): {counted(len(model.skills), 'skill')}, "
        f"{counted(len(model.items), 'item')}, version {version}."
    )
    done = {"file": str(out), "bytes": len(written), "skills": len(model.skills), "items": len(model.items)}
    say(as_json, done | {"version": version}, words)


def _learn(settings: "Settings", out: Path, ahead: int, as_json: bool) -> None:
    import asyncio

    from mastery_engine.domain.model_file import skills_from, with_skills
    from mastery_engine.domain.moments import MINUTE, rfc3339
    from mastery_engine.domain.skill_model import DEFAULT_SKILLS
    from mastery_engine.errors import StartRefused
    from mastery_engine.lab.fit_skills import learn_items

    source = out.read_bytes() if out.exists() else None
    model = (source and skills_from(source)) or DEFAULT_SKILLS
    with progress("Learning", None):
        students, now = asyncio.run(_answers(settings))
        since = now + ahead * MINUTE
        items = learn_items(students, model, since)
    try:
        revised = model.revised(since, items) if items else model
    except ValueError as error:
        raise StartRefused(
            f"{out} has a revision that begins later than {rfc3339(since)}: say a longer --ahead."
        ) from error
    if items:
        _write(out, with_skills(source, revised))
    answers = sum(len(one) for one in students)
    read = f"{counted(answers, 'answer')} of {counted(len(students), 'student')}"
    words = f"Learned how hard {counted(len(items), 'item')} are from {read}; {out} says so from {rfc3339(since)} on."
    if not items:
        words = f"{read.capitalize()} say nothing new of any item; {out} stays as it is."
    done = {"file": str(out), "answers": answers, "students": len(students), "items": len(items)}
    say(as_json, done | {"since": rfc3339(since), "revisions": len(revised.revisions)}, words)


async def _answers(settings: "Settings") -> tuple[list[list[tuple["Micros", "Answer"]]], "Micros"]:
    """What the log holds, and the moment."""
    from mastery_engine.stream.answers import answers_of

    async with opened(settings, apart=True) as mastery:
        return await answers_of(mastery), mastery.clock()


def _write(out: Path, source: bytes) -> None:
    """The whole file or nothing of it: processes look for it to change."""
    import tempfile

    with tempfile.NamedTemporaryFile(dir=out.absolute().parent, prefix=f".{out.name}.", delete=False) as made:
        made.write(source)
    path = Path(made.name)
    path.chmod(0o644)
    path.replace(out)
