"""``curriculum``: checks a school's own course, and shows the course in use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, counted, say, settings

if TYPE_CHECKING:
    from mastery_engine.domain.courses.curriculum import Curriculum

app = typer.Typer(help="The course: its skills and their prerequisites.", no_args_is_help=True)


@app.callback()
def curriculum() -> None:
    """The course: its skills and their prerequisites."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The course, as YAML.", exists=True, dir_okay=False, readable=True)],
    as_json: AsJson = False,
) -> None:
    """Check a course file: no cycles, no unknown ids, and no id used twice. Exits with 1 if it is wrong.

    \b
    Example:
      mastery-engine curriculum check our-course.yaml
    """
    from mastery_engine.domain.courses.curriculum import curriculum_from

    course = curriculum_from(file.read_bytes())
    skills, minutes = len(course.skills), sum(skill.minutes for skill in course.skills.values())
    done = {"file": str(file), "modules": len(course.modules), "skills": skills, "minutes": minutes}
    parts = f"{counted(len(course.modules), 'module')}, {counted(skills, 'skill')}, {counted(minutes, 'minute')}"
    say(as_json, done, f"{file} is correct: {parts}.")


@app.command()
def show(as_json: AsJson = False) -> None:
    """Print the course in use (CURRICULUM_FILE, or the engine's own) as a Mermaid graph.

    \b
    Example:
      mastery-engine curriculum show > course.mmd
    """
    from mastery_engine.domain.courses.curriculum import mermaid
    from mastery_engine.wiring import curriculum

    course: Curriculum = curriculum(settings())
    say(as_json, {"modules": course.modules}, mermaid(course))
