"""Who calls through the Dapr sidecar: known by its token, acting for a tenant or for the bearer of a token."""

import hmac
import ipaddress
from typing import Annotated

import msgspec
from fastapi import Request

from mastery_engine.auth.access import Caller
from mastery_engine.auth.tokens import Tokens
from mastery_engine.domain.events.event import DEFAULT_TENANT, check_tenant
from mastery_engine.domain.events.traceparent import TRACEPARENT, traceparent_in
from mastery_engine.errors import Forbidden, Unauthenticated
from mastery_engine.http.envelope_route import MAX_TOKEN, bearer
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.settings import Settings

HEADER = "dapr-api-token"


class SecurityContext(msgspec.Struct, frozen=True):
    """For whom the sidecar calls: a tenant's services, or the bearer of ``token``, whose tenant goes first."""

    tenant: str = DEFAULT_TENANT
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOKEN)] | None = None


def check_sidecar(request: Request) -> None:
    """Raises Forbidden where these routes are closed, Unauthenticated where the call is not the sidecar's."""
    settings: Settings = request.app.state.settings
    if settings.app_api_token is None:
        if settings.in_production:
            raise Forbidden("This route is closed: set APP_API_TOKEN to the token that the Dapr sidecar shows.")
        if not _is_loopback(request):
            raise Unauthenticated("Without APP_API_TOKEN only a sidecar on this machine may call.")
        return
    shown = request.headers.get(HEADER, "")
    if not hmac.compare_digest(shown.encode(), settings.app_api_token.encode()):
        raise Unauthenticated(f"This call needs the header {HEADER} with the value of APP_API_TOKEN.")


async def caller_of(request: Request, context: SecurityContext) -> Caller:
    """Whom a call through the sidecar, or beside it with a bearer token, acts as."""
    settings: Settings = request.app.state.settings
    closed = settings.in_production and settings.app_api_token is None
    if "authorization" in request.headers and HEADER not in request.headers and not closed:
        return await bearer.caller(request)
    check_sidecar(request)
    address = request.client.host if request.client else ""
    if context.token is not None:
        tokens: Tokens = request.app.state.tokens
        cohorts: Cohorts = request.app.state.cohorts
        known = await cohorts.admit(await tokens.admit(context.token))
    else:
        known = Caller("dapr", "service", check_tenant(context.tenant))
    trace = traceparent_in(request.headers.get(TRACEPARENT))
    return msgspec.structs.replace(known, address=address, request_id=request.state.request_id, traceparent=trace)


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
