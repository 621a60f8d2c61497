"""A student's page. Readers at the same moment, and there are many after each change, share one rendered body."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast
from urllib.parse import quote

import msgspec
from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.domain.moments import Day, Micros, rfc3339
from mastery_engine.domain.student import DocumentKey
from mastery_engine.engine import Engine
from mastery_engine.http.dashboard import charts, skill_map
from mastery_engine.http.dashboard.templates import page, part
from mastery_engine.http.incoming import engine_of
from mastery_engine.services.pages import PageOutline

SHARED_S = 1.0
BROAD, NARROW = 6, 2  # skills in a row of the map


class View(msgspec.Struct, frozen=True):
    """The key of a rendered body: the student, the last change, the day, and whether the student allows profiling."""

    student: DocumentKey
    updated: Micros
    day: Day
    profiled: bool


Render: TypeAlias = Callable[[], Awaitable[Markup]]


class SharedBodies:
    """Rendered bodies; each is made once and valid for a second, since scores fall over time."""

    def __init__(self) -> None:
        self._made: dict[View, asyncio.Future[Markup]] = {}

    async def body(self, view: View, render: Render) -> Markup:
        """The body: from the cache, or from a rendering under way, or rendered now."""
        made = self._made.get(view)
        if made is None:
            made = self._made[view] = asyncio.ensure_future(render())
            asyncio.get_running_loop().call_later(SHARED_S, self._made.pop, view, None)
        return await asyncio.shield(made)


def course_query(course_id: str) -> str:
    """What names a course in the address of a page."""
    return f"?course_id={quote(course_id, safe='')}"


async def student_page(request: Request, caller: Caller, student_id: str, course_id: str | None) -> Response:
    """A student's page in a course. Every reader is recorded in the audit trail. Raises NotFound, Forbidden
    and CourseRequired.
    """
    engine, bodies = engine_of(request), cast("SharedBodies", request.state.bodies)
    outline = await engine.pages.outline(caller, student_id, course_id=course_id)
    view = View(outline.student, outline.updated, outline.day, outline.profiled)
    body = await bodies.body(view, lambda: _body(engine, caller, outline))
    return page(
        "student.html",
        caller,
        student_id=student_id,
        display_name=outline.name,
        updated=rfc3339(outline.updated),
        cohorts=outline.cohorts,
        course=outline.student.course_id,
        query=course_query(outline.student.course_id) if outline.courses else "",
        courses=[(one, f"/dashboard/students/{student_id}{course_query(one)}") for one in outline.courses],
        body=body,
    )


async def _body(engine: Engine, caller: Caller, outline: PageOutline) -> Markup:
    body = await engine.pages.body(caller, outline)
    history, forecast, course = body.history.history, body.forecast, body.skills
    return part(
        "student_body.html",
        now=body.now,
        why=body.why,
        history=history,
        changes=body.changes,
        chart=charts.chart(history, forecast) if history else None,
        levels=[(level.name, charts.y_of(level.from_score)) for level in body.levels if level.from_score],
        days=body.active_days,
        ahead=forecast,
        advice=body.advice,
        course=course,
        broad=skill_map.picture(course.places, BROAD) if course else None,
        narrow=skill_map.picture(course.places, NARROW) if course else None,
    )
