"""Calls about people: profiles, and finding students by name."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from mastery_engine.domain.people.profile import LONGEST_DISPLAY_NAME, ProfileChange
from mastery_engine.http.body import Name, StudentId, read_struct
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key, json_body
from mastery_engine.http.openapi import KEYED, responds, takes
from mastery_engine.responses.people import ProfileRecord, StudentList
from mastery_engine.services.people import PAGE

router = APIRouter(route_class=EnvelopeRoute, tags=["people"])


@router.put(
    "/students/{student_id}/profile", openapi_extra=responds(ProfileRecord, limit=None) | KEYED | takes(ProfileChange)
)
async def set_profile(
    engine: TheEngine, caller: Authenticated, request: Request, student_id: StudentId
) -> ProfileRecord:
    """Set parts of a student's profile: the name, the language, and all ids on other platforms.

    What is left out stays. An identity that another student has, or that has evidence under an id of its own, is 409.
    """
    body = await json_body(request)
    change = read_struct(ProfileChange, body)
    return await engine.people.put(caller, student_id, change, key=idempotency_key(request, body))


@router.get("/students/{student_id}/profile", openapi_extra=responds(ProfileRecord, limit="query"))
async def profile(engine: TheEngine, caller: Authenticated, student_id: StudentId) -> ProfileRecord:
    """A student's name, language, and ids on other platforms; 404 where nobody has put a profile."""
    return await engine.people.show(caller, student_id)


@router.get("/students", openapi_extra=responds(StudentList, limit="analytics"))
async def students(
    engine: TheEngine,
    caller: Authenticated,
    query: Annotated[str, Query(max_length=LONGEST_DISPLAY_NAME)] = "",
    cohort_id: Annotated[Name | None, Query()] = None,
    course_id: Annotated[Name | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> StudentList:
    """The students whom the caller may see, in pages by id: those whose name or id has all words of ``query``.

    Services and admins may also ask for a person as another platform knows them: its system, a space, and the id there.

    ``cohort_id`` leaves the members of a cohort, ``course_id`` those with evidence in a course.
    """
    return await engine.people.find(
        caller, query=query, cohort_id=cohort_id, course_id=course_id, limit=limit, cursor=cursor
    )
