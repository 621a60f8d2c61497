"""The sign-in: a token in a cookie that scripts cannot read and that is not sent from other sites."""

from urllib.parse import parse_qs

from fastapi import Request
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.errors import Forbidden, InvalidInput, Unauthenticated
from mastery_engine.http.incoming import MAX_TOKEN, authenticated, engine_of, is_foreign, take_call
from mastery_engine.settings import Settings

COOKIE = "mastery_session"
PATH = "/dashboard"
MOST_FIELDS = 16
FORM = "application/x-www-form-urlencoded"


def session_of(request: Request) -> str:
    """The token of the user who has signed in; empty if nobody has."""
    return request.cookies.get(COOKIE, "")


async def caller_of(request: Request, token: str | None = None) -> Caller:
    """The caller who has signed in, or the bearer of ``token``. Raises Unauthenticated, Forbidden and RateLimited."""
    token = session_of(request) if token is None else token
    if not token or len(token) > MAX_TOKEN:
        raise Unauthenticated("Sign in with your token.")
    caller = await authenticated(request, token)
    await take_call(request, caller, "pages")
    return await engine_of(request).admission.with_cohorts(caller)


async def token_in(request: Request) -> str:
    """The token in the sign-in form. Raises InvalidInput."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidInput("The sign-in form could not be read: send it from the page /dashboard.", field="token")
    form = (await request.body()).decode("utf-8", "replace")
    try:
        fields = parse_qs(form, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidInput(f"The sign-in form has more than {MOST_FIELDS} fields: it needs one, token.") from None
    return fields.get("token", [""])[0].strip()


def check_same_origin(request: Request) -> None:
    """Raises Forbidden if the form was sent from another site."""
    if is_foreign(request):
        raise Forbidden("This form was sent from another site: use the form at /dashboard.")


def sign_in(request: Request, answer: Response, token: str) -> None:
    """Put the token into the cookie, until the browser is closed: others may use it after."""
    answer.set_cookie(COOKIE, token, path=PATH, httponly=True, samesite="strict", secure=_is_secure(request))


def sign_out(request: Request, answer: Response) -> None:
    """Take the token out of the cookie."""
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict", secure=_is_secure(request))


def _is_secure(request: Request) -> bool:
    """Whether the cookie is for HTTPS alone: always in production, where a proxy that ends TLS need not say so."""
    settings: Settings = request.state.settings
    return settings.in_production or request.url.scheme == "https"
