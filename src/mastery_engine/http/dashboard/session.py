"""The sign-in: a token in a cookie that no script reads, and that no other site's page sends."""

from urllib.parse import parse_qs, urlsplit

from fastapi import Request
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.errors import Forbidden, InvalidInput, Unauthenticated
from mastery_engine.http.envelope_route import MAX_TOKEN, bearer_of
from mastery_engine.services.cohorts import Cohorts

COOKIE = "mastery_session"
PATH = "/dashboard"
FORM = "application/x-www-form-urlencoded"


def session_of(request: Request) -> str:
    """The token of who has signed in; empty where nobody has."""
    return request.cookies.get(COOKIE, "")


async def caller_of(request: Request, token: str | None = None) -> Caller:
    """Who has signed in, or would with this token. Raises Unauthenticated, Forbidden."""
    token = token or session_of(request)
    if not token or len(token) > MAX_TOKEN:
        raise Unauthenticated("Sign in with your token.")
    cohorts: Cohorts = request.app.state.cohorts
    return await cohorts.admit(await bearer_of(request, token))


async def token_in(request: Request) -> str:
    """The one field of the sign-in form. Raises InvalidInput."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidInput("The form sends its field as a form does.", field="token")
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    return fields.get("token", [""])[0].strip()


def check_same_origin(request: Request) -> None:
    """Raises Forbidden where another site's page sent this form."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    if site not in ("same-origin", "none") or (
        origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    ):
        raise Forbidden("This form was sent from another site: use the one at /dashboard.")


def sign_in(request: Request, answer: Response, token: str) -> None:
    answer.set_cookie(COOKIE, token, path=PATH, httponly=True, samesite="strict", secure=request.url.scheme == "https")


def sign_out(answer: Response) -> None:
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
