"""A student's page. All who look at the same moment, as many do after each change, share one rendering of its body."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec
from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from mastery_engine.auth.access import TABLE, Act, Caller, Reach
from mastery_engine.domain.moments import Micros, day_of, rfc3339
from mastery_engine.domain.student import Student, StudentKey
from mastery_engine.http.dashboard import charts, skill_map
from mastery_engine.http.dashboard.templates import page, part
from mastery_engine.services import Mastery
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.reports import Reports

SHARED_S = 1.0
SHOWN_DAYS = 28
BROAD, NARROW = 6, 2  # skills beside each other on the map


class View(msgspec.Struct, frozen=True):
    """What a body is of: the student as of a change, with or without what profiling makes."""

    student: StudentKey
    updated: Micros
    profiled: bool


Render: TypeAlias = Callable[[], Awaitable[Markup]]


class SharedBodies:
    """Each is made once, and good for a second: scores fall with time."""

    def __init__(self) -> None:
        self._made: dict[View, asyncio.Future[Markup]] = {}

    async def body(self, view: View, render: Render) -> Markup:
        """As made lately, or being made, or made now."""
        made = self._made.get(view)
        if made is None:
            made = self._made[view] = asyncio.ensure_future(render())
            asyncio.get_running_loop().call_later(SHARED_S, self._made.pop, view, None)
        return await asyncio.shield(made)


async def student_page(request: Request, caller: Caller, student_id: str) -> Response:
    """Raises NotFound, Forbidden. Who looks goes on record, whoever's look made the body."""
    mastery: Mastery = request.app.state.mastery
    bodies: SharedBodies = request.app.state.student_bodies
    mastery.check_student(caller, Act.READ, student_id, "student-page")
    known = await mastery.known(caller, student_id)
    key = StudentKey(caller.tenant, student_id)
    profiled = mastery.consents.state(key).profiling
    body = await bodies.body(
        View(key, known.updated, profiled), lambda: _body(request, caller, student_id, known, profiled)
    )
    return page(
        "student.html",
        caller,
        student_id=student_id,
        updated=rfc3339(known.updated),
        cohorts=await _comparable(request, caller, key) if profiled else [],
        body=body,
    )


async def _body(request: Request, caller: Caller, student_id: str, known: Student, profiled: bool) -> Markup:
    mastery: Mastery = request.app.state.mastery
    history = (await mastery.history(caller, student_id)).history
    active = known.evidence.activity.up_to(day_of(mastery.clock()))
    days = [bool(active >> back & 1) for back in range(SHOWN_DAYS - 1, -1, -1)]
    ahead = await request.app.state.predictions.next_days(caller, student_id) if profiled else None
    advice = await request.app.state.advising.recommendations(caller, student_id, limit=3) if profiled else []
    course = await request.app.state.skills.map(caller, student_id) if profiled else None
    return part(
        "student_body.html",
        now=await mastery.query(caller, student_id),
        why=await Reports(mastery).explain(caller, student_id),
        history=history,
        chart=charts.chart(history, ahead) if history else None,
        levels=[(level.name, charts.y_of(level.from_score)) for level in mastery.rules.levels if level.from_score],
        days=days,
        ahead=ahead,
        advice=advice,
        course=course,
        broad=skill_map.picture(course.places, BROAD) if course else None,
        narrow=skill_map.picture(course.places, NARROW) if course else None,
    )


async def _comparable(request: Request, caller: Caller, student: StudentKey) -> list[str]:
    """The classes of a student whose figures the caller may see."""
    cohorts: Cohorts = request.app.state.cohorts
    reach = TABLE[Act.COHORT][caller.role]
    if reach is Reach.NOBODY:
        return []
    named = await cohorts.named(student)
    return sorted(named if reach is Reach.TENANT else named & caller.cohorts)
