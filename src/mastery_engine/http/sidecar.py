"""Callers through the Dapr sidecar: it proves itself by its token, and acts for a tenant or the bearer of a token."""

import hmac
import ipaddress
from typing import Annotated

import msgspec
from fastapi import Request

from mastery_engine.auth.access import Caller
from mastery_engine.auth.limits import LimitKind
from mastery_engine.domain.events.event import DEFAULT_TENANT, check_tenant
from mastery_engine.domain.events.traceparent import TRACEPARENT, traceparent_in
from mastery_engine.errors import Forbidden, Unauthenticated
from mastery_engine.http.incoming import MAX_TOKEN, address_of, bearer, engine_of
from mastery_engine.settings import Settings

HEADER = "dapr-api-token"


class SecurityContext(msgspec.Struct, frozen=True):
    """For whom the sidecar calls: the services of ``tenant``, or the bearer of ``token`` in the token's own tenant."""

    tenant: str = DEFAULT_TENANT
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOKEN)] | None = None


def check_sidecar(request: Request) -> None:
    """Raises Forbidden if these routes are closed, Unauthenticated if the call is not from the sidecar."""
    settings: Settings = request.state.settings
    if settings.app_api_token is None:
        if settings.in_production:
            raise Forbidden("This route is closed: set APP_API_TOKEN to the token that the Dapr sidecar sends.")
        if not _is_loopback(request):
            raise Unauthenticated("Without APP_API_TOKEN only a sidecar on the same machine may call: set it.")
        return
    shown = request.headers.get(HEADER, "")
    if not hmac.compare_digest(shown.encode(), settings.app_api_token.encode()):
        raise Unauthenticated(f"This call needs the header {HEADER} with the value of APP_API_TOKEN.")


async def caller_of(request: Request, context: SecurityContext, kind: LimitKind | None = None) -> Caller:
    """The caller: the sidecar's tenant, or the bearer of a token, whose calls count as ``kind`` for the rate limit."""
    settings: Settings = request.state.settings
    closed = settings.in_production and settings.app_api_token is None
    if "authorization" in request.headers and HEADER not in request.headers and not closed:
        return await bearer.caller(request, kind)
    check_sidecar(request)
    at = request.state.at
    if context.token is not None:
        caller = await engine_of(request).admission.authenticate(context.token, at=at)
    else:
        caller = Caller("dapr", "service", check_tenant(context.tenant), at=at)
    trace = traceparent_in(request.headers.get(TRACEPARENT))
    return msgspec.structs.replace(
        caller, address=address_of(request), request_id=request.state.request_id, traceparent=trace
    )


def _is_loopback(request: Request) -> bool:
    try:
        return ipaddress.ip_address(address_of(request)).is_loopback
    except ValueError:
        return False
