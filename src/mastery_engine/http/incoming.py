"""What routes read from an incoming request: the engine, the caller, the Idempotency-Key and the body."""

from typing import Annotated

import msgspec
from fastapi import Depends, Request, Security
from fastapi.security.http import HTTPBearer

from mastery_engine.auth.access import Caller
from mastery_engine.auth.limits import LimitKind, rate_limited
from mastery_engine.domain.events.traceparent import TRACEPARENT, traceparent_in
from mastery_engine.domain.json_text import check_not_wide, without_mark
from mastery_engine.engine import Engine
from mastery_engine.errors import InvalidInput, Unauthenticated
from mastery_engine.http.envelope import JSON
from mastery_engine.http.given_headers import header
from mastery_engine.http.problems import UnsupportedMediaType
from mastery_engine.http.proxies import parsed
from mastery_engine.services.idempotency import IdempotencyKey, keyed

MAX_TOKEN = 8_192
MAX_KEY = 200
TRACE = TRACEPARENT.encode()
GZIPPED = b"\x1f\x8b"


def engine_of(request: Request) -> Engine:
    """The engine of this process."""
    engine: Engine = request.scope["state"]["engine"]
    return engine


class Bearer(HTTPBearer):
    """The caller, by the bearer token; OpenAPI shows it as the security scheme of the calls that need one."""

    async def caller(self, request: Request, kind: LimitKind | None) -> Caller:
        """The caller of a request. Raises Unauthenticated, Forbidden for an unknown role, and RateLimited."""
        return await self.caller_with(request, token_of(request), kind)

    async def caller_with(self, request: Request, token: str, kind: LimitKind | None) -> Caller:
        """The caller of a token that the request has anywhere, with the same limits. Raises as ``caller``."""
        caller = await authenticated(request, token)
        await take_call(request, caller, kind)
        if caller.role == "teacher":
            caller = await engine_of(request).admission.with_cohorts(caller)
        trace = traceparent_in(header(request.scope, TRACE))
        return caller if trace is None else msgspec.structs.replace(caller, traceparent=trace)


def token_of(request: Request) -> str:
    """The bearer token as it was sent. Raises Unauthenticated."""
    scheme, _, token = (header(request.scope, b"authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("This call needs a token: send the header Authorization: Bearer TOKEN.")
    if len(token) > MAX_TOKEN:
        raise Unauthenticated(f"The token has more than {MAX_TOKEN:,} characters: have one made with fewer claims.")
    return token.strip()


async def authenticated(request: Request, token: str) -> Caller:
    """The caller of a token, with address and moment. Raises Unauthenticated, counted by address, and Forbidden."""
    state = request.scope["state"]
    return await engine_of(request).admission.authenticate_call(
        token, address=address_of(request), request_id=state["request_id"], at=state["at"]
    )


async def take_call(request: Request, caller: Caller, kind: LimitKind | None) -> None:
    """Count one more call of a kind; the headers of the answer say how many are left. Raises RateLimited."""
    allowance = await engine_of(request).admission.take(caller, kind)
    request.scope["state"]["allowance"] = allowance
    if allowance is not None and allowance.is_over:
        raise rate_limited(allowance, "You have used up your calls of this kind for this minute", request.state.at)


def address_of(request: Request) -> str:
    """The address that the call came from; empty if the server does not know it."""
    host = client[0] if (client := request.scope.get("client")) else ""
    return str(parsed(host) or host) if ":" in host else host  # a socket of both stacks writes IPv4 inside IPv6


def is_foreign(request: Request) -> bool:
    """Whether a page of another site sent the call, by what its browser says: a script cannot change these headers."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and origin.partition("://")[2].lower() != request.headers.get("host", "").lower()


bearer = Bearer(
    bearerFormat="JWT",
    description="HS256, RS256, ES256 or EdDSA, with sub, role, exp and optional tenant, students, cohorts.",
)
Authenticated = Annotated[Caller, Security(bearer)]
TheEngine = Annotated[Engine, Depends(engine_of)]


def note_student(request: Request, student_id: str | None) -> None:
    """Note the student for the log line of this request."""
    if student_id is not None:
        request.scope["state"]["student_id"] = student_id


async def json_body(request: Request) -> bytes:
    """The body, without a byte-order mark.

    Raises UnsupportedMediaType for a content type that is not JSON, and InvalidInput for unsaid gzip and for UTF-16.
    """
    check_json(request)
    body = without_mark(await request.body())
    if body.startswith(GZIPPED):
        raise InvalidInput("The body is packed with gzip: say so by the header Content-Encoding: gzip.")
    check_not_wide(body)
    return body


def check_json(request: Request, default: str = JSON) -> None:
    """Raises UnsupportedMediaType if the content type, or the ``default`` without one, is not JSON."""
    given = header(request.scope, b"content-type")
    if given == JSON:
        return
    kind = (default if given is None else given).partition(";")[0].strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        given = f", not {kind[:100]!r}" if kind else ""
        raise UnsupportedMediaType(f"The body must be JSON with the content type {JSON}{given}.")


def idempotency_key(request: Request, body: bytes) -> IdempotencyKey | None:
    """The caller's Idempotency-Key for this body, without blanks around it.

    Raises InvalidInput if it is empty or too long, or if there are two.
    """
    if header(request.scope, b"idempotency-key") is None:
        return None
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise InvalidInput("Send one Idempotency-Key, not several.", field="Idempotency-Key")
    key = keys[0].strip()
    if not 1 <= len(key) <= MAX_KEY:
        raise InvalidInput(f"Idempotency-Key must have 1 to {MAX_KEY} characters.", field="Idempotency-Key")
    return keyed(key, body)
