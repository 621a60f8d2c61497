"""The routes of the dashboard's pages."""

import re
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mastery_engine.auth.access import Caller
from mastery_engine.auth.demo_doors import DemoDoor
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.given_ids import check_student_id, is_student_id, normal_id
from mastery_engine.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from mastery_engine.http.dashboard.class_routes import class_page
from mastery_engine.http.dashboard.operator_page import operator_page
from mastery_engine.http.dashboard.routing import (
    asked_course,
    check_course,
    course_links,
    sign_in_page,
    with_error_pages,
)
from mastery_engine.http.dashboard.session import (
    admitted_by,
    caller_of,
    check_same_origin,
    form_of,
    session_of,
    sign_in,
    sign_out,
    token_in,
)
from mastery_engine.http.dashboard.student import course_query, student_page
from mastery_engine.http.dashboard.templates import HERE, page
from mastery_engine.http.dashboard.told import NoSuch
from mastery_engine.http.dashboard.words import N_, remember, served, spoken
from mastery_engine.http.incoming import address_of, engine_of
from mastery_engine.http.page_headers import show_in_frames_of
from mastery_engine.http.routers.stream import EventStream
from mastery_engine.http.shared_document import SharedDocument
from mastery_engine.responses.advice import NextStep
from mastery_engine.responses.cohorts import CohortFigures, Comparison
from mastery_engine.services.lti.sessions import is_launched, visit_of
from mastery_engine.services.reports import MOST_STUDENTS
from mastery_engine.services.standings import Standings

STYLES = ("tokens", "base", "parts", "pages", "print")
SCRIPTS = frozenset(("pages.js", "live.js", "modules.js", "chart.js", "launch.js"))
SIGNED_OUT = N_("You have signed out: open the link in your course to come again.")
NOT_IN_COURSE = N_("Nothing is known of this student in this course.")
MOST_CLASSES = 20
CACHED = {"Cache-Control": "max-age=300"}
BACK = re.compile(r"/(?:dashboard(?=[/?]|$)|badges/)[\w/?=&%.~+#:-]*", re.ASCII)

router = APIRouter(include_in_schema=False, prefix="/dashboard")


@router.get("")
@with_error_pages
async def home(request: Request) -> Response:
    if not session_of(request):
        return sign_in_page(request)
    caller = await caller_of(request)
    if caller.role == "student":
        _check_own_id(caller)
        course_id = asked_course(request)
        query = "" if course_id is None else course_query(course_id)
        return RedirectResponse(f"/dashboard/students/{caller.subject}{query}", 303)
    if caller.role == "teacher":
        return await class_page(request, caller)
    return await operator_page(request, caller)


@router.post("")
@with_error_pages
async def enter(request: Request) -> Response:
    check_same_origin(request)
    token = await token_in(request)
    await caller_of(request, token)
    answer = RedirectResponse("/dashboard", 303)
    sign_in(request, answer, token)
    return answer


@router.post("/door")
@with_error_pages
async def come_in(request: Request) -> Response:
    """Look at a demo as a student, a teacher or an operator; elsewhere there is no such door."""
    check_same_origin(request)
    door: DemoDoor | None = request.state.doors.get((await form_of(request)).get("door", ""))
    if door is None:
        raise NotFound(N_("There is no such door here."))
    await caller_of(request, door.token)
    answer = RedirectResponse("/dashboard", 303)
    sign_in(request, answer, door.token)
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
        answer = page("lti_refused.html", None, message=spoken().gettext(SIGNED_OUT), detail="")
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
    course_id = asked_course(request)
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
    if bool(chosen) != bool(cohort_id):
        raise InvalidInput(N_("To compare takes a student and a class: choose both."), field="student")
    if chosen and cohort_id:
        of, with_cohort = check_student_id(chosen, "student"), normal_id(cohort_id, "cohort")
        found = await standings.compare(caller, of, with_cohort, "by_component")
    students = sorted(caller.students) if len(caller.students) <= MOST_STUDENTS else []
    return page(
        "compare.html",
        caller,
        student=chosen,
        cohort=cohort_id,
        students=students,
        names=await engine_of(request).people.names_for(caller, [*students, *([chosen] if found else [])]),
        size=_size(found) if found else "",
        cohorts=cohorts,
        titles=await engine_of(request).cohorts.titles_of(
            caller, sorted({*cohorts, *([cohort_id] if found else [])}), request.state.at
        ),
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
    course_id = asked_course(request)
    try:
        return await student_page(request, caller, student_id, course_id)
    except NotFound:
        courses = await engine_of(request).people.courses_of(caller, student_id)
        if course_id is not None:
            await check_course(request, caller, course_id, courses)
        if caller.role != "student":
            if not courses:
                raise
            links = await course_links(request, caller.tenant, courses)
            raise NoSuch(NOT_IN_COURSE, N_("Courses of the student"), links) from None
        erasure = await engine_of(request).privacy.erasure(caller, student_id)
        return page("welcome.html", caller, erasure=erasure, steps=await _first_steps(request, caller))


@router.get("/students/{student_id}/live")
@with_error_pages
async def live(request: Request, student_id: str) -> Response:
    engine = engine_of(request)
    check_student_id(student_id)
    caller = await caller_of(request)
    watched = engine.watching.watch(caller, student_id, admitted_by(request), course_id=asked_course(request))
    return EventStream(await watched)


@router.post("/language")
@with_error_pages
async def language(request: Request) -> Response:
    """Choose a language, which stays until another is chosen, and go back to the page where it was chosen."""
    check_same_origin(request)
    form = await form_of(request)
    chosen, back = served(form.get("language")), form.get("back", "")
    if chosen is None:
        raise InvalidInput(N_("These pages are not in that language: choose one of those below."), field="language")
    answer = RedirectResponse(back if BACK.fullmatch(back) else "/dashboard", 303)
    remember(request, answer, chosen)
    return answer


@router.get("/assets/{name}")
async def asset(request: Request, name: str) -> Response:
    document = ASSETS.get(name)
    if document is None:
        raise NotFound(N_("There is no page at this address."))
    return await document.answer(request)


def _style() -> bytes:
    """The style of all pages, in the order of the design system's files."""
    return b"".join([(HERE / "design" / f"{name}.css").read_bytes() for name in STYLES])


ASSETS = {"style.css": SharedDocument(_style, "text/css", CACHED)} | {
    name: SharedDocument((HERE / "scripts" / name).read_bytes, "text/javascript", CACHED) for name in SCRIPTS
}


def _check_own_id(caller: Caller) -> None:
    """Raises Forbidden for a student whose token names them by what is no student's id, such as an e-mail address."""
    if not is_student_id(caller.subject):
        raise Forbidden(
            N_(
                "Your token does not name you by a student's id of this service: sign out, and ask your school for a "
                "token that does."
            )
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


def _size(found: Comparison) -> str:
    """The size of a class, which students are given as a range."""
    if not isinstance(found.size, str):
        return str(found.size)
    low, _, high = found.size.partition(" to ")
    return spoken().gettext("%(low)s to %(high)s") % {"low": low, "high": high}


async def _first_steps(request: Request, caller: Caller) -> list[NextStep]:
    with suppress(Conflict):  # they do not allow profiling
        return await engine_of(request).pages.first_steps(caller, caller.subject, asked_course(request))
    return []
