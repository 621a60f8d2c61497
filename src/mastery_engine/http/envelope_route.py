"""FastAPI's signatures at a fraction of their cost.

An endpoint is declared as FastAPI has it: a Pydantic body, path and query parameters, the caller. ``Face`` reads the
body by its model straight from the bytes, and sends the answer, a type of ``answers``, in the envelope.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

import msgspec
from fastapi import Request, Security
from fastapi.routing import APIRoute
from fastapi.security.http import HTTPBearer
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.auth.tokens import Tokens
from mastery_engine.domain.events.traceparent import TRACEPARENT, traceparent_in
from mastery_engine.errors import InvalidInput, Unauthenticated
from mastery_engine.http.envelope import JSON, success
from mastery_engine.http.limits import Limits
from mastery_engine.http.problems import UnsupportedMediaType
from mastery_engine.services.cohorts import Cohorts

MAX_TOKEN = 8_192
MAX_KEY = 200
PROBES = "operations"  # the tag of what probes ask, which some do with a parameter of their own


class Bearer(HTTPBearer):
    """Who calls, by the bearer token; documented as the scheme of all calls that ask for it."""

    async def caller(self, request: Request) -> Caller:
        """Raises Unauthenticated, Forbidden for an unknown role, or RateLimited."""
        cohorts, limits = cast("Cohorts", request.app.state.cohorts), cast("Limits", request.app.state.limits)
        known = await bearer_of(request, token_of(request))
        request.state.allowance = allowance = await limits.take(known, request.scope["route"].path)
        if allowance is not None and allowance.is_over:
            raise limits.over(allowance, "You have used up your calls of this kind for a minute")
        known = await cohorts.admit(known)
        trace = traceparent_in(request.headers.get(TRACEPARENT))
        return known if trace is None else msgspec.structs.replace(known, traceparent=trace)


def token_of(request: Request) -> str:
    """The bearer token as it was sent. Raises Unauthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise Unauthenticated("This call needs a token: send Authorization: Bearer TOKEN.")
    return token.strip()


async def admitted_again(request: Request, token: str) -> Caller:
    """Whose token it still is, for a call that goes on. Raises Unauthenticated, Forbidden, Unavailable."""
    tokens, cohorts = cast("Tokens", request.app.state.tokens), cast("Cohorts", request.app.state.cohorts)
    return await cohorts.admit(await tokens.admit(token))


async def bearer_of(request: Request, token: str) -> Caller:
    """Whose token it is, and from where. Raises Unauthenticated, which counts against the address, and Forbidden."""
    tokens, limits = cast("Tokens", request.app.state.tokens), cast("Limits", request.app.state.limits)
    address = request.client.host if request.client else ""
    try:
        known = await tokens.admit(token)
    except Unauthenticated:
        await limits.blame(address)
        raise
    return msgspec.structs.replace(known, address=address, request_id=request.state.request_id)


bearer = Bearer(
    bearerFormat="JWT",
    description="HS256, RS256, ES256 or EdDSA, with sub, role, exp and optional tenant, students, cohorts.",
)
Authenticated = Annotated[Caller, Security(bearer)]


class Face(APIRoute):
    """A route that parses, calls and answers; see above."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **{**options, "response_model": None})
        self.answer = self.get_route_handler()

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        dependant, status = self.dependant, self.status_code or 200
        endpoint = cast("Callable[..., Awaitable[Any]]", dependant.call)
        body = dependant.body_params[0] if dependant.body_params else None
        model = cast("type[BaseModel]", body.field_info.annotation) if body else None
        asks_who = [one.name for one in dependant.dependencies if one.call is bearer]
        request_name = dependant.request_param_name
        queries = frozenset(field.alias for field in dependant.query_params)
        takes_anything = PROBES in self.tags

        async def handle(request: Request) -> Response:
            values: dict[str, Any] = {}
            for name in asks_who:
                values[str(name)] = await bearer.caller(request)
            if request_name:
                values[request_name] = request
            if request.scope["query_string"] and not takes_anything:
                _check_query(request, queries)
            for field in dependant.path_params:
                values[field.name] = _parameter(field, request.path_params)
            for field in dependant.query_params:
                values[field.name] = _parameter(field, request.query_params)
            if body is not None and model is not None:
                values[body.name] = parsed = parse(model, await json_body(request))
                note_student(request, getattr(parsed, "student_id", None))
            note_student(request, request.path_params.get("student_id"))
            answer = await endpoint(**values)
            return answer if isinstance(answer, Response) else success(answer, request.state.meta, status)

        return handle


def note_student(request: Request, student_id: str | None) -> None:
    """For the log line of this request."""
    if student_id is not None:
        request.state.student_id = student_id


async def json_body(request: Request) -> bytes:
    """The body. Raises UnsupportedMediaType where its type is given and is not JSON."""
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMediaType(f"The body must be JSON, sent as {JSON}; it came as {kind[:100]!r}.")
    return await request.body()


def parse(model: type[BaseModel], body: bytes) -> BaseModel:
    """The body by its model. Raises InvalidInput with the first field at fault."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in fault["loc"])
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InvalidInput(f"{fault['msg']}{more}.", field=field or None) from None


def idempotency_key(request: Request) -> str | None:
    """The caller's Idempotency-Key. Raises InvalidInput where it is too long."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise InvalidInput(f"Idempotency-Key has 1 to {MAX_KEY} characters.", field="Idempotency-Key")
    return key


def _check_query(request: Request, known: frozenset[str]) -> None:
    """Raises InvalidInput for a parameter that the call does not have, or has twice: a typo would filter nothing."""
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            allowed = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise InvalidInput(f"This call has no query parameter {name[:100]!r}: {allowed}.", field=name[:100])
        if given.count(name) > 1:
            raise InvalidInput(f"The query parameter {name} is given more than once: give it once.", field=name)


def _parameter(field: Any, given: Any) -> Any:
    value = given.get(field.alias)
    if value is None and not field.field_info.is_required():
        return field.get_default()
    valid, faults = field.validate(value, {}, loc=(field.alias,))
    if faults:
        raise InvalidInput(f"{faults[0]['msg']}.", field=field.alias)
    return valid
