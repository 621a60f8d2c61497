"""``fit answers``: fits the model of the next answer to a file of answers or to the engine's own log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, counted, course_named, progress, say, settings, tenant_if_named
from mastery_engine.cli.fit_source import MODEL, SOON, Ahead, AnswersFile, Out, check_source, logged_answers, version_of
from mastery_engine.cli.model_out import ModelOut, model_out

if TYPE_CHECKING:
    from mastery_engine.domain.skills.model import SkillModel
    from mastery_engine.domain.skills.next_answer.parameters import AnswerParameters
    from mastery_engine.settings import Settings

COURSE = "default"


def answers(
    file: AnswersFile = None,
    from_log: Annotated[
        bool, typer.Option("--from-log", help="Learn from the answers in the engine's own log, on from the file.")
    ] = False,
    out: Out = None,
    tenant: Annotated[
        str | None,
        typer.Option(
            help="The tenant that they are for. Default: all that have none of their own.",
            callback=tenant_if_named,
            show_default=False,
        ),
    ] = None,
    course: Annotated[
        str, typer.Option(help="With --tenant: the course that they are for.", callback=course_named)
    ] = COURSE,
    ahead: Ahead = SOON,
    as_json: AsJson = False,
) -> None:
    """Fit the model of the next answer to a file of answers, or learn it from the engine's own log.

    serve and worker load the result through MODEL_FILE, and load it again within a minute when it changes. Levels that
    are learned from the log count for answers given some minutes from now or later, so that a replay gives the same
    documents.

    \b
    Examples:
      mastery-engine fit answers answers.csv.gz --out model.msgpack
      mastery-engine fit answers --from-log --out model.msgpack --tenant school
    """
    from mastery_engine.domain.skills.next_answer.parameters import EVERYWHERE, part_name

    check_source(file, from_log=from_log)
    if course != COURSE and tenant is None:
        raise typer.BadParameter("--course needs --tenant: courses belong to tenants.")
    part = part_name(tenant, course) if tenant else EVERYWHERE
    chosen = settings() if from_log or out is None else None
    with model_out(out or (chosen and chosen.model_file) or MODEL) as target:
        if file is not None:
            _fit(file, target, part, as_json)
        elif chosen is not None:
            _learn(chosen, target, part, tenant, course, ahead, as_json)


def _fit(file: Path, out: ModelOut, part: str, as_json: bool) -> None:
    from mastery_engine.domain.model_file import with_answers
    from mastery_engine.lab.skills.answer_files import given, read_answers
    from mastery_engine.lab.skills.next_answer.fit import fit

    source = out.source()
    with progress("Fitting", None):
        version = version_of(file)
        fitted = fit([given(rows) for rows in read_answers(file).values()], skills=_tracing(source), version=version)
    written = with_answers(source, part, fitted)
    out.write(written)
    done = {"file": str(out.path), "part": part, "bytes": len(written), "version": version, **_sizes(fitted)}
    say(as_json, done, f"Wrote {out.path} ({len(written):,} bytes): {_said(fitted)}, version {version}.")


def _learn(
    settings: "Settings", out: ModelOut, part: str, tenant: str | None, course: str, ahead: int, as_json: bool
) -> None:
    import asyncio

    from mastery_engine.domain.model_file import answers_from, with_answers
    from mastery_engine.domain.moments import DAY, MINUTE, rfc3339
    from mastery_engine.domain.skills.next_answer.parameters import NO_ANSWER_MODELS, PRIOR
    from mastery_engine.errors import StartRefused
    from mastery_engine.lab.skills.next_answer.learning import learn_answers

    source = out.source()
    models = answers_from(source) if source else NO_ANSWER_MODELS
    known = models.parts.get(part, PRIOR.parameters)
    with progress("Learning", None):
        answers, now = asyncio.run(logged_answers(settings))
        answers = [one for one in answers if tenant is None or one.key.course == (tenant, course)]
        since = now + ahead * MINUTE
        floor = now - settings.gdpr_retention_days * DAY
        try:
            learned = learn_answers(answers, known, since, floor=floor, version=rfc3339(now), skills=_tracing(source))
        except ValueError as error:
            raise StartRefused(
                f"{out.path} accepts no revision from {rfc3339(since)} on: {error}. "
                "Give a longer --ahead, or learn less often."
            ) from error
    done = {"file": str(out.path), "part": part, "new_answers": learned.answers}
    if not learned.answers:
        words = f"None of the {counted(len(answers), 'answer')} in the log is new: {out.path} was not written."
        say(as_json, done | {"since": None}, words)
        return
    out.write(with_answers(source, part, learned.parameters))
    words = f"Learned from {counted(learned.answers, 'new answer')}; {out.path} now rests on "
    words += f"{_said(learned.parameters)}, and counts from {rfc3339(since)} on."
    say(as_json, done | {"since": rfc3339(since), **_sizes(learned.parameters)}, words)


def _tracing(source: bytes | None) -> "SkillModel":
    """The model that traces knowledge where this file of parameters is in use."""
    from mastery_engine.domain.model_file import skills_from
    from mastery_engine.domain.skills.model import DEFAULT_SKILLS

    return (source and skills_from(source)) or DEFAULT_SKILLS


def _sizes(fitted: "AnswerParameters") -> dict[str, int]:
    items = {name for revision in fitted.revisions for name in revision.items}
    skills = {name for revision in fitted.revisions for name in revision.skills}
    return {"answers": fitted.revisions[-1].answers, "items": len(items), "skills": len(skills)}


def _said(fitted: "AnswerParameters") -> str:
    sizes = _sizes(fitted)
    return ", ".join(counted(sizes[name], name.removesuffix("s")) for name in ("answers", "items", "skills"))
