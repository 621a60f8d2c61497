"""The sign-in: a token in a cookie that scripts cannot read and that is not sent from other sites."""

from urllib.parse import parse_qs, urlsplit

from fastapi import Request
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.errors import Forbidden, InvalidInput, Unauthenticated
from mastery_engine.http.incoming import MAX_TOKEN, authenticated, engine_of, take_call

COOKIE = "mastery_session"
PATH = "/dashboard"
FORM = "application/x-www-form-urlencoded"


def session_of(request: Request) -> str:
    """The token of the user who has signed in; empty if nobody has."""
    return request.cookies.get(COOKIE, "")


async def caller_of(request: Request, token: str | None = None) -> Caller:
    """The caller who has signed in, or the bearer of ``token``. Raises Unauthenticated, Forbidden and RateLimited."""
    token = token or session_of(request)
    if not token or len(token) > MAX_TOKEN:
        raise Unauthenticated("Sign in with your token.")
    caller = await authenticated(request, token)
    await take_call(request, caller, "pages")
    return await engine_of(request).admission.with_cohorts(caller)


async def token_in(request: Request) -> str:
    """The token in the sign-in form. Raises InvalidInput."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidInput("The sign-in form could not be read: send it from the page /dashboard.", field="token")
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    return fields.get("token", [""])[0].strip()


def check_same_origin(request: Request) -> None:
    """Raises Forbidden if the form was sent from another site."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    if site not in ("same-origin", "none") or (
        origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    ):
        raise Forbidden("This form was sent from another site: use the form at /dashboard.")


def sign_in(request: Request, answer: Response, token: str) -> None:
    answer.set_cookie(COOKIE, token, path=PATH, httponly=True, samesite="strict", secure=request.url.scheme == "https")


def sign_out(answer: Response) -> None:
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
