"""What all routes of pages share: errors are answered as pages, in the reader's language."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import TypeAlias

from fastapi import Request
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.auth.demo_doors import DemoDoor
from mastery_engine.domain.given_ids import normal_id
from mastery_engine.errors import CourseRequired, MasteryError, NotFound, Unauthenticated
from mastery_engine.http.accept import preferred
from mastery_engine.http.addresses import check_query
from mastery_engine.http.dashboard.session import session_of
from mastery_engine.http.dashboard.student import course_query
from mastery_engine.http.dashboard.templates import page
from mastery_engine.http.dashboard.told import NoSuch, Told, is_for_operators, told_of
from mastery_engine.http.dashboard.words import ENGLISH, N_, call_reader, speak, spoken
from mastery_engine.http.envelope import JSON
from mastery_engine.http.incoming import engine_of
from mastery_engine.http.packing import packed
from mastery_engine.http.problems import headers_of, status_of
from mastery_engine.services.lti.sessions import is_launched

HTML = "text/html"

Route: TypeAlias = Callable[..., Awaitable[Response]]


def with_error_pages(route: Route) -> Route:
    """The route with errors answered as pages; callers who have not signed in get the form."""

    @wraps(route)
    async def answered(request: Request, **values: str) -> Response:
        return packed(request, await unpacked(request, values))

    async def unpacked(request: Request, values: dict[str, str]) -> Response:
        speak(request)
        call_reader("")
        try:
            check_query(request.scope["query_string"])
            return await route(request, **values)
        except Unauthenticated as error:
            if is_launched(session_of(request)):
                return refused_page(error, typed_in(request))
            return sign_in_page(request, error)
        except CourseRequired as error:
            courses = await course_links(request, request.state.tenant, error.courses)
            return page("choose_course.html", None, status_of(error), courses=courses)
        except MasteryError as error:
            return sorry_page(request, error)

    return answered


def no_page(request: Request, status: int) -> Response:
    """What a browser is told where there is no page, or where it asks in another way than it may."""
    speak(request)
    return _sorry(request, status, told_of(NotFound(N_("There is no page at this address."))))


def sorry_page(request: Request, error: MasteryError) -> Response:
    """The page that says what went wrong, in the reader's language."""
    choices = (error.there_are, error.choices) if isinstance(error, NoSuch) else ("", [])
    sorry = _sorry(request, status_of(error), told_of(error), *choices)
    sorry.headers.update(headers_of(error))
    return sorry


def _sorry(
    request: Request, status: int, told: Told, there_are: str = "", choices: Sequence[tuple[str, str]] = ()
) -> Response:
    return page(
        "sorry.html",
        None,
        status,
        told=told,
        detail=told.detail if is_for_operators(request) else "",
        there_are=spoken().gettext(there_are) if there_are else "",
        choices=choices,
        signed_in=bool(session_of(request)),
        typed=typed_in(request),
    )


def refused_page(error: MasteryError, typed: str = "") -> Response:
    """The page for whoever a learning platform has sent, who has no other page: it says what was wrong, and what to do.

    Where no sentence of the reader's language says all of it, the service's own, in English, is there to open.
    """
    told = told_of(error)
    in_english = spoken().language == ENGLISH
    message = told.detail if in_english and told.detail else told.own or told.general
    detail = "" if in_english else told.detail
    refused = page("lti_refused.html", None, status_of(error), message=message, detail=detail, typed=typed)
    refused.headers.update(headers_of(error))
    return refused


def failure_page(request: Request, error: Exception) -> Response | None:
    """The page for a failure outside of the pages' own routes, or unforeseen within; None if nobody is to see a page.

    A call that failed is answered in JSON, to a browser too.
    """
    path = request.scope["path"]
    is_of_pages = path == "/dashboard" or path.startswith("/dashboard/")
    if not is_of_pages or preferred(request.headers.get("accept", ""), (JSON, HTML)) != HTML:
        return None
    speak(request)
    if not isinstance(error, MasteryError):
        error = MasteryError("")  # what failed is for the log alone
    return sorry_page(request, error)


def typed_in(request: Request) -> str:
    """What somebody wrote in the form that was sent, for pages that cannot keep it."""
    return str(getattr(request.state, "typed", ""))


def sign_in_page(request: Request, error: Unauthenticated | None = None) -> Response:
    """The form by which one signs in, with what was wrong, if anything was."""
    text, language = ("", ENGLISH) if error is None else _with_detail(told_of(error))
    status = 200 if error is None else 401
    doors: dict[str, list[tuple[str, DemoDoor]]] = {}
    for key, door in request.state.doors.items():
        doors.setdefault(door.role, []).append((key, door))
    return page("sign_in.html", None, status, message=text, language=language, doors=doors, typed=typed_in(request))


def _with_detail(told: Told) -> tuple[str, str]:
    """What is said to whoever has no page yet, and in which language: in English where there is no sentence for it."""
    return (told.own, spoken().language) if told.own else (told.detail or told.general, ENGLISH)


def asked_course(request: Request) -> str | None:
    """The course that the address names, if any. Raises InvalidInput."""
    named = request.query_params.get("course_id", "").strip()
    return normal_id(named, "course_id") if named else None


async def check_course(request: Request, caller: Caller, course_id: str, others: Sequence[str]) -> None:
    """Raises NoSuch where there is no such course, with ``others``: the ids of those that the reader may open."""
    try:
        await engine_of(request).courses.known(caller, course_id)
    except NotFound:
        links = await course_links(request, caller.tenant, others)
        raise NoSuch(N_("There is no such course."), N_("Courses that you may open"), links) from None


async def course_links(request: Request, tenant: str, course_ids: Sequence[str]) -> list[tuple[str, str]]:
    """The titles of courses, each with the address of this page in it."""
    titles = await engine_of(request).courses.titles(tenant, course_ids, request.state.at)
    return [(titles[one], f"{request.url.path}{course_query(one)}") for one in course_ids]
