"""``fit answers``: fits the model of the next answer to a file of answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, counted, progress, say, settings
from mastery_engine.cli.model_out import ModelOut, model_out

if TYPE_CHECKING:
    from mastery_engine.domain.skills.next_answer.parameters import AnswerParameters

COURSE = "default"


def answers(
    file: Annotated[
        Path,
        typer.Argument(help="The answers, as for `backtest skills`.", exists=True, dir_okay=False, show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file of parameters to write; its other parts stay. Default: MODEL_FILE, or model.msgpack.",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="The tenant that they are for. Default: all that have none of their own.")
    ] = None,
    course: Annotated[str, typer.Option(help="With --tenant: the course that they are for.")] = COURSE,
    as_json: AsJson = False,
) -> None:
    """Fit the model of the next answer to a file of answers.

    serve and worker load the result through MODEL_FILE, and load it again within a minute when it changes.

    \b
    Examples:
      mastery-engine fit answers answers.csv.gz --out model.msgpack
    """
    from mastery_engine.domain.skills.next_answer.parameters import EVERYWHERE, part_name

    chosen = out or settings().model_file or Path("model.msgpack")
    with model_out(chosen) as target:
        _fit(file, target, part_name(tenant, course) if tenant else EVERYWHERE, as_json)


def _fit(file: Path, out: ModelOut, part: str, as_json: bool) -> None:
    import hashlib

    from mastery_engine.domain.model_file import with_answers
    from mastery_engine.lab.skills.answer_files import given, read_answers
    from mastery_engine.lab.skills.next_answer.fit import fit

    with progress("Fitting", None):
        version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        fitted = fit([given(rows) for rows in read_answers(file).values()], version=version)
    written = with_answers(out.source(), part, fitted)
    out.write(written)
    done = {"file": str(out.path), "part": part, "bytes": len(written), "version": version, **_sizes(fitted)}
    words = f"Wrote {out.path} ({len(written):,} bytes): {_said(fitted)}, version {version}."
    say(as_json, done, words)


def _sizes(fitted: "AnswerParameters") -> dict[str, int]:
    levels = fitted.revisions[-1]
    return {"answers": levels.answers, "items": len(levels.items), "skills": len(levels.skills)}


def _said(fitted: "AnswerParameters") -> str:
    sizes = _sizes(fitted)
    return ", ".join(counted(sizes[name], name.removesuffix("s")) for name in ("answers", "items", "skills"))
