"""The routes of the dashboard's pages."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import TypeAlias

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mastery_engine.auth.access import Act, Caller
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.given_ids import check_student_id, is_student_id, normal_id
from mastery_engine.domain.moments import day_of, iso_date
from mastery_engine.errors import Conflict, CourseRequired, Forbidden, MasteryError, NotFound, Unauthenticated
from mastery_engine.http.addresses import check_query
from mastery_engine.http.dashboard.session import (
    admitted_by,
    caller_of,
    check_same_origin,
    session_of,
    sign_in,
    sign_out,
    token_in,
)
from mastery_engine.http.dashboard.student import course_query, student_page
from mastery_engine.http.dashboard.templates import HERE, page
from mastery_engine.http.incoming import address_of, engine_of
from mastery_engine.http.page_headers import show_in_frames_of
from mastery_engine.http.problems import headers_of, status_of
from mastery_engine.http.routers.stream import EventStream
from mastery_engine.responses.advice import Recommended
from mastery_engine.responses.cohorts import CohortFigures, Comparison
from mastery_engine.responses.reports import Glance
from mastery_engine.services.lti.sessions import is_launched, visit_of
from mastery_engine.services.reports import MOST_STUDENTS
from mastery_engine.services.standings import Standings

ASSETS = {"style.css": "text/css", "live.js": "text/javascript", "launch.js": "text/javascript"}
SIGNED_OUT = "You have signed out: open the link in your course to come again."
MOST_CLASSES = 20
FIGURES = {
    "mastery_queue_depth": "events not yet folded",
    "mastery_events_total": "events",
    "mastery_dead_letters_total": "dead letters",
    "mastery_results_published_total": "results published",
    "mastery_deliveries_total": "attempts to deliver",
    "mastery_http_requests_total": "calls",
    "mastery_streams_open": "open streams",
    "mastery_worker_up": "worker running",
    "mastery_consumer_lag": "lag",
}

router = APIRouter(include_in_schema=False, prefix="/dashboard")
Route: TypeAlias = Callable[..., Awaitable[Response]]


def with_error_pages(route: Route) -> Route:
    """The route with errors answered as pages; callers who have not signed in get the form."""

    @wraps(route)
    async def answered(request: Request, **values: str) -> Response:
        try:
            check_query(request.scope["query_string"])
            return await route(request, **values)
        except Unauthenticated as error:
            if is_launched(session_of(request)):
                return page("lti_refused.html", None, 401, message=error.message)
            return page("sign_in.html", None, 401, message=error.message)
        except CourseRequired as error:
            links = [(one, f"{request.url.path}{course_query(one)}") for one in error.courses]
            return page("choose_course.html", None, status_of(error), courses=links)
        except MasteryError as error:
            signed_in = bool(session_of(request))
            sorry = page("sorry.html", None, status_of(error), message=error.message, signed_in=signed_in)
            sorry.headers.update(headers_of(error))
            return sorry

    return answered


@router.get("")
@with_error_pages
async def home(request: Request) -> Response:
    if not request.cookies:
        return page("sign_in.html", None, message="")
    caller = await caller_of(request)
    if caller.role == "student":
        _check_own_id(caller)
        course_id = _asked_course(request)
        query = "" if course_id is None else course_query(course_id)
        return RedirectResponse(f"/dashboard/students/{caller.subject}{query}", 303)
    if caller.role == "teacher":
        return await _class(request, caller)
    return await _operator(request, caller)


@router.post("")
@with_error_pages
async def enter(request: Request) -> Response:
    check_same_origin(request)
    token = await token_in(request)
    await caller_of(request, token)
    answer = RedirectResponse("/dashboard", 303)
    sign_in(request, answer, token)
    return answer


@router.post("/sign-out")
@with_error_pages
async def leave(request: Request) -> Response:
    check_same_origin(request)
    answer: Response = RedirectResponse("/dashboard", 303)
    token = session_of(request)
    if is_launched(token):
        lti = engine_of(request).lti
        with suppress(Unauthenticated):
            show_in_frames_of(request, (await lti.sessions.find(token, request.state.at)).framers)
        await lti.sessions.end(token, request.state.at)
        answer = page("lti_refused.html", None, message=SIGNED_OUT)
    sign_out(request, answer)
    return answer


@router.get("/launched")
@with_error_pages
async def launched(request: Request) -> Response:
    """Where a launch leads: on to its page if the browser keeps the session, else to a window in which it does."""
    engine = engine_of(request)
    await engine.admission.take_launch(address_of(request), request.state.at)
    session = await engine.lti.sessions.visited(request.query_params.get("visit", ""), request.state.at)
    show_in_frames_of(request, session.framers)
    token = session_of(request)
    if is_launched(token) and visit_of(token) == request.query_params["visit"]:
        return RedirectResponse(session.page, 303)
    return page("lti_window.html", None, 403, again=session.again)


@router.get("/find")
@with_error_pages
async def find(request: Request) -> Response:
    await caller_of(request)
    chosen = check_student_id(request.query_params.get("student", "").strip(), "A student's id")
    course_id = _asked_course(request)
    return RedirectResponse(f"/dashboard/students/{chosen}{'' if course_id is None else course_query(course_id)}", 303)


@router.get("/compare")
@with_error_pages
async def compare(request: Request) -> Response:
    """A student compared with a class, if both are given; and a teacher's classes compared with each other."""
    caller = await caller_of(request)
    standings = engine_of(request).standings
    chosen, cohort_id = (request.query_params.get(name, "").strip() for name in ("student", "cohort"))
    cohorts = sorted(caller.cohorts)[:MOST_CLASSES]
    found = None
    if chosen and cohort_id:
        of, with_cohort = check_student_id(chosen, "student"), normal_id(cohort_id, "cohort")
        found = await standings.compare(caller, of, with_cohort, "by_component")
    return page(
        "compare.html",
        caller,
        student=chosen,
        cohort=cohort_id,
        students=sorted(caller.students) if len(caller.students) <= MOST_STUDENTS else [],
        cohorts=cohorts,
        found=found,
        query=course_query(found.course_id) if found and found.course_id != DEFAULT_COURSE else "",
        rows=_places(found) if found else [],
        classes=await _side_by_side(standings, caller, cohorts),
    )


@router.get("/students/{student_id}")
@with_error_pages
async def student(request: Request, student_id: str) -> Response:
    caller = await caller_of(request)
    if caller.role == "student" and student_id == caller.subject:
        _check_own_id(caller)
    check_student_id(student_id)
    try:
        return await student_page(request, caller, student_id, _asked_course(request))
    except NotFound:
        if caller.role != "student":
            raise
        return page("welcome.html", caller, first=await _first_steps(request, caller))


@router.get("/students/{student_id}/live")
@with_error_pages
async def live(request: Request, student_id: str) -> Response:
    engine = engine_of(request)
    check_student_id(student_id)
    caller = await caller_of(request)
    watched = engine.watching.watch(caller, student_id, admitted_by(request), course_id=_asked_course(request))
    return EventStream(await watched)


@router.get("/assets/{name}")
async def asset(name: str) -> Response:
    if name not in ASSETS:
        raise NotFound("There is no page at this address.")
    return Response((HERE / name).read_bytes(), media_type=ASSETS[name], headers={"Cache-Control": "max-age=300"})


def _asked_course(request: Request) -> str | None:
    """The course that the address names, if any. Raises InvalidInput."""
    named = request.query_params.get("course_id", "").strip()
    return normal_id(named, "course_id") if named else None


def _check_own_id(caller: Caller) -> None:
    """Raises Forbidden for a student whose token names them by what is no student's id, such as an e-mail address."""
    if not is_student_id(caller.subject):
        raise Forbidden(
            "Your token does not name you by a student's id of this service: sign out, and ask your school for a "
            "token that does."
        )


async def _side_by_side(standings: Standings, caller: Caller, cohort_ids: Sequence[str]) -> list[CohortFigures]:
    """The figures of a teacher's classes, without classes that are not known yet."""
    found = []
    for cohort_id in cohort_ids:
        with suppress(NotFound):
            found.append(await standings.cohort(caller, cohort_id, limit=1))
    return found


def _places(found: Comparison) -> list[tuple[str, float, float, int]]:
    """For the score and each component: the name, the student's value, the class average, and the place."""
    parts = msgspec.structs.asdict(found.components) if found.components else {}
    overall = ("score", found.student, found.cohort_average, found.rank)
    return [overall, *[(name, one.student, one.cohort_average, one.rank) for name, one in parts.items()]]


async def _first_steps(request: Request, caller: Caller) -> list[Recommended]:
    with suppress(Conflict):  # they do not allow profiling
        return await engine_of(request).advice.recommendations(
            caller, caller.subject, course_id=_asked_course(request), limit=3
        )
    return []


async def _class(request: Request, caller: Caller) -> Response:
    if not caller.students and not caller.cohorts:
        raise Forbidden("This token names no students and no class: sign out, and ask your school for one that does.")
    engine = engine_of(request)
    asked = _asked_course(request)
    found = await engine.reports.own(caller, course_id=asked)
    named = sorted({one.course_id for one in found.students})
    courses = named if asked is None else [asked]
    calibrations = [(one, await engine.calibrations.of_course(caller, one)) for one in courses or [DEFAULT_COURSE]]
    return page(
        "class.html",
        caller,
        found=found,
        shown=[(one, _page_of(one, asked)) for one in found.students[:MOST_STUDENTS]],
        students=len({one.student_id for one in found.students}),
        all=len(caller.students),
        calibrations=calibrations,
        asked=asked,
        courses=[(one, f"/dashboard{course_query(one)}") for one in courses] if courses != [DEFAULT_COURSE] else [],
    )


def _page_of(one: Glance, asked: str | None) -> str:
    """The address of a student's page in the course in which a class shows them."""
    query = "" if asked is None and one.course_id == DEFAULT_COURSE else course_query(one.course_id)
    return f"/dashboard/students/{one.student_id}{query}"


async def _operator(request: Request, caller: Caller) -> Response:
    engine = engine_of(request)
    engine.access.check_act(caller, Act.RECORD, "operator-page")
    rows = [
        (FIGURES[sample.name], ", ".join(f"{name} {value}" for name, value in sample.labels.items()), sample.value)
        for metric in engine.metrics.registry.collect()
        for sample in metric.samples
        if sample.name in FIGURES
    ]
    calibrations = await engine.calibrations.of_tenant(caller)
    return page(
        "operator.html",
        caller,
        rows=rows,
        day=iso_date(day_of(request.state.at)),
        calibrations=calibrations,
        webhooks=(await engine.webhooks.all(caller)).webhooks if caller.role == "admin" else None,
    )
