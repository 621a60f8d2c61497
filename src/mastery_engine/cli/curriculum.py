"""``curriculum``: checks a school's own course, and shows the course in use."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, Tenant, counted, course_if_named, say, settings, warn
from mastery_engine.cli.course import put_course

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


@app.command("import")
def import_framework(
    framework: Annotated[
        Path, typer.Argument(help="The framework: a CFPackage, as JSON.", exists=True, dir_okay=False, readable=True)
    ],
    course_id: Annotated[
        str | None,
        typer.Option(
            "--course", help="The course that gets it.", callback=course_if_named, metavar="ID", show_default=False
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write.", dir_okay=False, show_default=False)] = None,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Make a course of a framework of standards in CASE 1.0 or 1.1.

    isChildOf makes modules, precedes prerequisites, exactMatchOf other names of the same skill. What a course cannot
    hold is listed. It is printed where neither --course nor --out is given. CASE says nothing of minutes and
    difficulty: each skill gets 30 minutes and "intermediate".

    \b
    Example:
      mastery-engine curriculum import standards.json --out our-course.yaml
      mastery-engine curriculum import standards.json --course physics-7b
    """
    from mastery_engine.domain.courses.course import CourseChange, Outline
    from mastery_engine.domain.courses.curriculum import yaml_of
    from mastery_engine.doors.case.curricula import curriculum_from_case

    imported = curriculum_from_case(framework.read_bytes())
    course = imported.curriculum
    text = yaml_of(course)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    if course_id is not None:
        change = CourseChange(curriculum=Outline(course.modules))
        asyncio.run(put_course(settings(), tenant, course_id, change))
    for one in imported.unused:
        warn(f"not used: {one.what} {one.identifier}: {one.reason}")
    parts = f"{counted(len(course.modules), 'module')}, {counted(len(course.skills), 'skill')}"
    done = {
        "title": imported.title,
        "modules": course.modules,
        "unused": imported.unused,
        **({} if out is None else {"file": str(out)}),
        **({} if course_id is None else {"course_id": course_id}),
    }
    places = [f"the file {out}" if out is not None else "", f"the course {course_id}" if course_id is not None else ""]
    where = " and ".join([place for place in places if place])
    say(as_json, done, f"Put into {where}: {parts}, {len(imported.unused)} not used." if where else text.rstrip())
