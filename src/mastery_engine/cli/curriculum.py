"""``curriculum``: check a school's own course, show the one in use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, counted, say, settings

if TYPE_CHECKING:
    from mastery_engine.domain.courses.curriculum import Curriculum

app = typer.Typer(help="The course: its skills and what each asks for first.", no_args_is_help=True)


@app.callback()
def curriculum() -> None:
    """The course: its skills and what each asks for first."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The course, as YAML.", exists=True, dir_okay=False, readable=True)],
    as_json: AsJson = False,
) -> None:
    """Say whether a file is a sound course: no cycles, no unknown and no doubled ids. Exits with 1 where it is not.

    \b
    Example:
      mastery-engine curriculum check our-course.yaml
    """
    from mastery_engine.domain.courses.curriculum import curriculum_from

    found = curriculum_from(file.read_bytes())
    skills, minutes = len(found.skills), sum(skill.minutes for skill in found.skills.values())
    done = {"file": str(file), "modules": len(found.modules), "skills": skills, "minutes": minutes}
    parts = f"{counted(len(found.modules), 'module')}, {counted(skills, 'skill')}, {counted(minutes, 'minute')}"
    say(as_json, done, f"{file} is sound: {parts}.")


@app.command()
def show(as_json: AsJson = False) -> None:
    """Print the course in use (CURRICULUM_FILE, or the engine's own) as a picture for Mermaid.

    \b
    Example:
      mastery-engine curriculum show > course.mmd
    """
    from mastery_engine.domain.courses.curriculum import mermaid
    from mastery_engine.wiring import curriculum

    found: Curriculum = curriculum(settings())
    say(as_json, {"modules": found.modules}, mermaid(found))
