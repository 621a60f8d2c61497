"""``fit skills``: levels of skills and difficulties of items from a file of answers."""

from pathlib import Path
from typing import Annotated

import typer

from mastery_engine.cli.backtest_skills import Answers
from mastery_engine.cli.console import AsJson, counted, progress, say


def skills(
    file: Answers,
    out: Annotated[
        Path, typer.Option(help="The file of parameters; other parts that it has stay.", dir_okay=False)
    ] = Path("model.msgpack"),
    as_json: AsJson = False,
) -> None:
    """Fit the skills and items of a file of answers; serve and worker load what comes out by MODEL_FILE.

    \b
    Example:
      mastery-engine fit skills answers.csv.gz --out model.msgpack
    """
    import hashlib

    import msgspec

    from mastery_engine.domain.model_file import with_skills
    from mastery_engine.lab.answer_files import read_answers
    from mastery_engine.lab.fit_skills import fit_skills

    with progress("Fitting", None):
        version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        model = msgspec.structs.replace(fit_skills(list(read_answers(file).values())), version=version)
    written = with_skills(out.read_bytes() if out.exists() else None, model)
    out.write_bytes(written)
    words = (
        f"Wrote {out} ({len(written):,} bytes): {counted(len(model.skills), 'skill')}, "
        f"{counted(len(model.items), 'item')}, version {version}."
    )
    done = {"file": str(out), "bytes": len(written), "skills": len(model.skills), "items": len(model.items)}
    say(as_json, done | {"version": version}, words)
