"""``fit skills``: fits levels of skills and difficulties of items to a file of answers or to the engine's own log."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, counted, progress, say, settings
from mastery_engine.cli.fit_source import MODEL, SOON, Ahead, AnswersFile, Out, check_source, logged_answers, version_of
from mastery_engine.cli.model_out import ModelOut, model_out

if TYPE_CHECKING:
    from mastery_engine.settings import Settings


def skills(
    file: AnswersFile = None,
    from_log: Annotated[
        bool,
        typer.Option("--from-log", help="Learn the difficulties of items from the answers in the engine's own log."),
    ] = False,
    out: Out = None,
    ahead: Ahead = SOON,
    as_json: AsJson = False,
) -> None:
    """Fit skills and items to a file of answers, or learn the difficulties of items from the engine's own log.

    serve and worker load the result through MODEL_FILE, and load it again within a minute when it changes. What is
    learned from the log is added to the file, and counts for answers given some minutes from now or later: by then all
    processes have loaded it, so that a replay gives the same documents. Difficulties are shared by all schools and
    courses; what one course knows for itself is learned by fit answers, with --tenant and --course.

    \b
    Examples:
      mastery-engine fit skills answers.csv.gz --out model.msgpack
      mastery-engine fit skills --from-log --out model.msgpack
    """
    check_source(file, from_log=from_log)
    chosen = None if file else settings()
    with model_out(out or (chosen and chosen.model_file) or MODEL) as target:
        if file is not None:
            _fit(file, target, as_json)
        elif chosen is not None:
            _learn(chosen, target, ahead, as_json)


def _fit(file: Path, out: ModelOut, as_json: bool) -> None:
    import msgspec

    from mastery_engine.domain.model_file import skills_from, with_skills
    from mastery_engine.errors import InvalidInput
    from mastery_engine.lab.skills.answer_files import read_answers
    from mastery_engine.lab.skills.fit import fit_skills

    source, before = out.source(), None
    with suppress(InvalidInput):  # a file of an older engine is written anew
        before = source and skills_from(source)
    with progress("Fitting", None):
        version = version_of(file)
        model = msgspec.structs.replace(fit_skills(list(read_answers(file).values())), version=version)
    written = with_skills(source, model)
    out.write(written)
    words = (
        f"Wrote {out.path} ({len(written):,} bytes): {counted(len(model.skills), 'skill')}, "
        f"{counted(len(model.items), 'item')}, version {version}."
    )
    if before and before.revisions:
        words += f" It replaces the old parameters, with their {counted(len(before.revisions), 'revision')}."
    done = {"file": str(out.path), "bytes": len(written), "skills": len(model.skills), "items": len(model.items)}
    say(as_json, done | {"version": version}, words)


def _learn(settings: "Settings", out: ModelOut, ahead: int, as_json: bool) -> None:
    import asyncio

    from mastery_engine.domain.model_file import skills_from, with_skills
    from mastery_engine.domain.moments import DAY, MINUTE, rfc3339
    from mastery_engine.domain.skills.model import DEFAULT_SKILLS
    from mastery_engine.errors import StartRefused
    from mastery_engine.lab.skills.fit import learn_items

    source = out.source()
    model = (source and skills_from(source)) or DEFAULT_SKILLS
    with progress("Learning", None):
        answers, now = asyncio.run(logged_answers(settings))
        revision = learn_items(answers, model, now + ahead * MINUTE)
    since = rfc3339(revision.since)
    done = {"file": str(out.path), "answers": len(answers), "items": len(revision.items)}
    if not revision.items:
        words = f"None of the {counted(len(answers), 'answer')} in the log is new: {out.path} was not written."
        say(as_json, done | {"since": None, "revisions": len(model.revisions)}, words)
        return
    try:
        model = model.revised(revision, floor=now - settings.gdpr_retention_days * DAY)
    except ValueError as error:
        raise StartRefused(
            f"{out.path} accepts no revision from {since} on: {error}. Give a longer --ahead, or learn less often."
        ) from error
    out.write(with_skills(source, model))
    words = f"Learned the difficulty of {counted(len(revision.items), 'item')} from {counted(len(answers), 'answer')} "
    words += f"in the log; in {out.path} it counts for answers from {since} on."
    say(as_json, done | {"since": since, "revisions": len(model.revisions)}, words)
