"""The sign-in: a token in a cookie that scripts cannot read.

Who signs in by the form has one that is not sent from other sites. Who was launched by a learning platform has one that
works in its frame, and wins where both are there.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import parse_qs

from fastapi import Request
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.errors import Forbidden, InvalidInput, Unauthenticated
from mastery_engine.http.dashboard.words import N_, call_reader
from mastery_engine.http.incoming import MAX_TOKEN, address_of, authenticated, engine_of, is_foreign, take_call
from mastery_engine.http.lti.cookies import kept, put, take_away
from mastery_engine.http.page_headers import show_in_frames_of
from mastery_engine.services.lti.sessions import is_launched
from mastery_engine.settings import Settings

COOKIE, LAUNCHED = "mastery_session", "mastery_launch"
PATH = "/dashboard"
LAUNCHED_PATH = f"{PATH}/launched"
MOST_FIELDS = 16
FORM = "application/x-www-form-urlencoded"


def session_of(request: Request) -> str:
    """The token of the user who was launched or has signed in; empty if nobody has."""
    return kept(request, LAUNCHED) or request.cookies.get(COOKIE, "")


async def caller_of(request: Request, token: str | None = None) -> Caller:
    """The caller who was launched or has signed in, or the bearer of ``token``.

    Raises Unauthenticated, Forbidden and RateLimited.
    """
    if token is None:
        token = session_of(request)
        if is_launched(token):
            return await _launched(request, token)
    if not token or len(token) > MAX_TOKEN:
        raise Unauthenticated(N_("Sign in with your token."))
    caller = await authenticated(request, token)
    request.state.role, request.state.tenant = caller.role, caller.tenant
    await take_call(request, caller, "pages")
    return await _named(request, await engine_of(request).admission.with_cohorts(caller))


async def _named(request: Request, caller: Caller) -> Caller:
    """The same caller, whom the page calls by name; a student's own page, which has read their profile, does itself."""
    if request.path_params.get("student_id") != caller.subject:
        names = await engine_of(request).people.names_by_token(caller, [caller.subject])
        call_reader(names.get(caller.subject))
    return caller


async def _launched(request: Request, token: str) -> Caller:
    """The caller who was launched; pages of the platform may show theirs in a frame."""
    engine = engine_of(request)
    session = await engine.lti.sessions.find(token, request.state.at)
    show_in_frames_of(request, session.framers)
    await engine.lti.sessions.check(session, request.state.at)
    caller = session.caller(address_of(request), request.state.request_id, request.state.at)
    request.state.role, request.state.tenant = caller.role, caller.tenant
    await take_call(request, caller, "pages")
    return await _named(request, await engine.admission.with_named_cohorts(caller))


def admitted_by(request: Request) -> Callable[[], Awaitable[Caller]]:
    """What checks the user's session again, for as long as a page is live."""
    engine, token = engine_of(request), session_of(request)
    if is_launched(token):
        return partial(engine.lti.admitted, token)
    return partial(engine.admission.authenticate, token)


async def token_in(request: Request) -> str:
    """The token in the sign-in form. Raises InvalidInput."""
    return (await form_of(request)).get("token", "").strip()


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form of our pages. Raises InvalidInput."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidInput(N_("The form could not be read: send it from the page /dashboard."), field="token")
    form = (await request.body()).decode("utf-8", "replace")
    try:
        fields = parse_qs(form, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidInput(N_("The form could not be read: send it from the page /dashboard.")) from None
    return {name: values[0] for name, values in fields.items()}


def check_same_origin(request: Request) -> None:
    """Raises Forbidden if the form was sent from another site."""
    if is_foreign(request):
        raise Forbidden(N_("This form was sent from another site: use the form at /dashboard."))


def sign_in(request: Request, answer: Response, token: str) -> None:
    """Put the token into the cookie, until the browser is closed: others may use it after."""
    if kept(request, LAUNCHED) is not None:
        take_away(request, answer, LAUNCHED, PATH)
    answer.set_cookie(COOKIE, token, path=PATH, httponly=True, samesite="strict", secure=_is_secure(request))


def sign_in_launched(request: Request, answer: Response, token: str) -> None:
    """Have the browser keep the session of a launch, and no other beside it, until it is closed."""
    put(request, answer, LAUNCHED, token, PATH)
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict", secure=_is_secure(request))


def sign_out(request: Request, answer: Response) -> None:
    """Take the tokens out of the cookies."""
    if kept(request, LAUNCHED) is not None:
        take_away(request, answer, LAUNCHED, PATH)
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict", secure=_is_secure(request))


def _is_secure(request: Request) -> bool:
    """Whether the cookie is for HTTPS alone: always in production, where a proxy that ends TLS need not say so."""
    settings: Settings = request.state.settings
    return settings.in_production or request.url.scheme == "https"
