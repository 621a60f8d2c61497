"""The sign-in: a token in a cookie that no script reads, and that no other site's page sends."""

from typing import cast
from urllib.parse import parse_qs, urlsplit

import msgspec
from fastapi import Request
from starlette.responses import Response

from mastery_engine.access import Caller
from mastery_engine.errors import Forbidden, InvalidInput, Unauthenticated
from mastery_engine.http.face import MAX_TOKEN
from mastery_engine.http.limits import Limits
from mastery_engine.service.cohorts import Cohorts
from mastery_engine.tokens import Tokens

COOKIE = "mastery_session"
PATH = "/dashboard"
FORM = "application/x-www-form-urlencoded"


async def caller_of(request: Request, token: str | None = None) -> Caller:
    """Who has signed in, or would with this token. Raises Unauthenticated, Forbidden."""
    token = token or request.cookies.get(COOKIE, "")
    if not token or len(token) > MAX_TOKEN:
        raise Unauthenticated("Sign in with your token.")
    state = request.app.state
    tokens, cohorts, limits = (
        cast("Tokens", state.tokens),
        cast("Cohorts", state.cohorts),
        cast("Limits", state.limits),
    )
    address = request.client.host if request.client else ""
    try:
        known = await cohorts.admit(await tokens.admit(token))
    except Unauthenticated:
        await limits.blame(address)
        raise
    return msgspec.structs.replace(known, address=address, request_id=request.state.request_id)


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
