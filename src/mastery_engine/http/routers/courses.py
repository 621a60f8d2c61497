"""Calls about courses: what belongs to each."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from mastery_engine.domain.courses.course import CourseChange
from mastery_engine.http.body import NamePath, read_struct
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key, json_body
from mastery_engine.http.openapi import KEYED, responds, takes
from mastery_engine.responses.courses import CourseList, CourseRecord
from mastery_engine.services.courses import PAGE

router = APIRouter(route_class=EnvelopeRoute, tags=["courses"])


@router.put("/courses/{course_id}", openapi_extra=responds(CourseRecord, limit=None) | KEYED | takes(CourseChange))
async def set_course(engine: TheEngine, caller: Authenticated, request: Request, course_id: NamePath) -> CourseRecord:
    """Set parts of a course: its title, time zone, language, rules, curriculum, items and badges.

    What is left out stays. It counts for what is folded and asked from then on, everywhere within 5 seconds.
    """
    body = await json_body(request)
    change = read_struct(CourseChange, body)
    return await engine.courses.put(caller, course_id, change, key=idempotency_key(request, body))


@router.get("/courses/{course_id}", openapi_extra=responds(CourseRecord, limit="query"))
async def course(engine: TheEngine, caller: Authenticated, course_id: NamePath) -> CourseRecord:
    """A course as it holds now, with what nobody set by default."""
    return await engine.courses.show(caller, course_id)


@router.get("/courses", openapi_extra=responds(CourseList, limit="query"))
async def courses(
    engine: TheEngine,
    caller: Authenticated,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> CourseList:
    """The tenant's courses: those that were set, and those that events have named."""
    return await engine.courses.list(caller, limit=limit, cursor=cursor)
