"""What all routes of pages share: errors are answered as pages, in the reader's language."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeAlias

from fastapi import Request
from starlette.responses import Response

from mastery_engine.auth.demo_doors import DemoDoor
from mastery_engine.domain.given_ids import normal_id
from mastery_engine.errors import CourseRequired, MasteryError, Unauthenticated
from mastery_engine.http.accept import preferred
from mastery_engine.http.addresses import check_query
from mastery_engine.http.dashboard.packing import packed
from mastery_engine.http.dashboard.session import session_of
from mastery_engine.http.dashboard.student import course_query
from mastery_engine.http.dashboard.templates import page
from mastery_engine.http.dashboard.words import ENGLISH, N_, speak, spoken
from mastery_engine.http.envelope import JSON
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
        try:
            check_query(request.scope["query_string"])
            return await route(request, **values)
        except Unauthenticated as error:
            if is_launched(session_of(request)):
                text, language = in_words(error)
                typed = typed_in(request)
                return page("lti_refused.html", None, 401, message=text, language=language, typed=typed)
            return sign_in_page(request, error)
        except CourseRequired as error:
            links = [(one, f"{request.url.path}{course_query(one)}") for one in error.courses]
            return page("choose_course.html", None, status_of(error), courses=links)
        except MasteryError as error:
            text, language = in_words(error)
            sorry = _sorry(request, status_of(error), text, language)
            sorry.headers.update(headers_of(error))
            return sorry

    return answered


def no_page(request: Request, status: int) -> Response:
    """What a browser is told where there is no page, or where it asks in another way than it may."""
    words = speak(request)
    return _sorry(request, status, words.gettext(N_("There is no page at this address.")), words.language)


def _sorry(request: Request, status: int, text: str, language: str) -> Response:
    return page(
        "sorry.html",
        None,
        status,
        code=status,
        message=text,
        language=language,
        signed_in=bool(session_of(request)),
        typed=typed_in(request),
    )


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
        failed = N_("The service failed because of an internal error: tell your school the time and the address.")
        return _sorry(request, 500, *in_words(MasteryError(failed)))
    sorry = _sorry(request, status_of(error), *in_words(error))
    sorry.headers.update(headers_of(error))
    return sorry


def typed_in(request: Request) -> str:
    """What somebody wrote in the form that was sent, for pages that cannot keep it."""
    return str(getattr(request.state, "typed", ""))


def sign_in_page(request: Request, error: Unauthenticated | None = None) -> Response:
    """The form by which one signs in, with what was wrong, if anything was."""
    text, language = ("", ENGLISH) if error is None else in_words(error)
    status = 200 if error is None else 401
    doors: dict[str, list[tuple[str, DemoDoor]]] = {}
    for key, door in request.state.doors.items():
        doors.setdefault(door.role, []).append((key, door))
    return page("sign_in.html", None, status, message=text, language=language, doors=doors, typed=typed_in(request))


def in_words(error: MasteryError) -> tuple[str, str]:
    """What an error says, and in which language: that of the page where the catalogue has it, else English."""
    words = spoken()
    text = words.gettext(error.message)
    return text, ENGLISH if text == error.message else words.language


def asked_course(request: Request) -> str | None:
    """The course that the address names, if any. Raises InvalidInput."""
    named = request.query_params.get("course_id", "").strip()
    return normal_id(named, "course_id") if named else None
