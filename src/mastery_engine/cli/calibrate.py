"""``calibrate``: holds past weeks' forecasts against what came, course by course, and keeps what was learned."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from mastery_engine.cli.console import (
    AsJson,
    counted,
    course_if_named,
    opened,
    progress,
    say,
    settings,
    tenant_if_named,
)

if TYPE_CHECKING:
    from mastery_engine.responses.forecasts import CourseCalibration
    from mastery_engine.settings import Settings


class Calibrated(msgspec.Struct, frozen=True):
    """What was learned of each course, and in how many seconds."""

    courses: "list[CourseCalibration]"
    seconds: float


def calibrate(
    tenant: Annotated[
        str | None,
        typer.Option(
            help="The school or customer. Default: all.",
            callback=tenant_if_named,
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    course: Annotated[
        str | None,
        typer.Option(help="The course. Default: all.", callback=course_if_named, metavar="ID", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Calibrate the forecasts of each course by its own past weeks. The worker does this once a day by itself.

    What the log holds is forecast as it would have been, for a sample of students, and compared with what came. It may
    run beside serve and worker, which take up the result within a minute.

    \b
    Examples:
      mastery-engine calibrate
      mastery-engine calibrate --tenant school-1 --json
    """
    done = asyncio.run(_calibrate(settings(), tenant, course))
    say(as_json, done, *([_in_words(one) for one in done.courses] or ["The log has no events yet."]))


def _in_words(one: "CourseCalibration") -> str:
    place = f"Tenant {one.tenant}, course {one.course_id}"
    weeks = counted(one.student_weeks, "student-week")
    held = f" The 80% interval held in {one.held} of them." if one.held else ""
    if one.calibrated:
        return f"{place}: calibrated by {weeks}.{held}"
    return f"{place}: not calibrated yet. It has {weeks}, and {one.missing} more are needed.{held}"


async def _calibrate(settings: "Settings", tenant: str | None, course: str | None) -> Calibrated:
    from time import perf_counter

    from mastery_engine.errors import NotFound

    started = perf_counter()
    async with opened(settings, apart=True) as engine:
        with progress("Reading the log", sum((await engine.progress.ends()).values())) as on_progress:
            sampled = await engine.calibrator.sample(tenant, on_progress=on_progress)
        with progress("Forecasting past weeks", sampled.size) as on_progress:
            learned = await engine.calibrator.learn(sampled, course, on_progress=on_progress)
    if not learned and (tenant or course):
        named = " ".join(f"{what} {name}" for what, name in (("tenant", tenant), ("course", course)) if name)
        raise NotFound(f"The log has no events of {named}: look at the name.")
    return Calibrated(learned, round(perf_counter() - started, 3))
