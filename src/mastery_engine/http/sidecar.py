"""Callers through the Dapr sidecar: it proves itself by its token, and acts for a tenant or the bearer of a token."""

import hmac
import re
from typing import Annotated

import msgspec
from fastapi import Request

from mastery_engine.auth.access import Caller
from mastery_engine.auth.limits import LimitKind
from mastery_engine.domain.events.event import DEFAULT_TENANT, check_tenant
from mastery_engine.domain.events.traceparent import TRACEPARENT, traceparent_in
from mastery_engine.errors import Forbidden, InvalidInput, Unauthenticated
from mastery_engine.http import proxies
from mastery_engine.http.incoming import MAX_TOKEN, address_of, authenticated, bearer, check_json, engine_of, token_of
from mastery_engine.settings import Settings

HEADER = "dapr-api-token"
BROWSERS = ("origin", "sec-fetch-site")
# Exactly what stands for this machine: whatever else may be a name that somebody else gave to it.
LOOPBACK_HOST = re.compile(
    r"(localhost|127(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE
)


class SecurityContext(msgspec.Struct, frozen=True):
    """For whom the sidecar calls: the services of ``tenant``, or the bearer of ``token`` in the token's own tenant.

    Without ``tenant`` it is ``default``.
    """

    tenant: str | None = None
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOKEN)] | None = None


async def check_sidecar(request: Request) -> None:
    """Raises Forbidden if these routes are closed, Unauthenticated if the call is not from the sidecar.

    A wrong token counts against the address; raises RateLimited if there were too many. Raises UnsupportedMediaType for
    a body without a content type of JSON if nothing but the address speaks for the call.
    """
    settings: Settings = request.state.settings
    if settings.app_api_token is not None:
        shown = request.headers.get(HEADER, "")
        if not hmac.compare_digest(shown.encode(), settings.app_api_token.encode()):
            if shown:
                await engine_of(request).admission.blame(address_of(request), request.state.at)
            raise Unauthenticated(f"This call needs the header {HEADER} with the value of APP_API_TOKEN.")
    elif not settings.dapr_trust_loopback or settings.in_production:
        raise Forbidden(
            "This route is closed: set APP_API_TOKEN to the token that the Dapr sidecar sends or, in development, set "
            "DAPR_TRUST_LOOPBACK=true to let in a sidecar on the same machine without one."
        )
    else:
        _check_loopback(request)


def _check_loopback(request: Request) -> None:
    """Refuse what a sidecar on this machine would not send: web pages, whatever name they have, and proxies do."""
    doubt = _doubt(request)
    if doubt:
        raise Unauthenticated(
            f"DAPR_TRUST_LOOPBACK only lets in a sidecar on the same machine, but {doubt}: set APP_API_TOKEN to the "
            f"token that the sidecar sends in {HEADER}."
        )
    if request.method == "POST":
        check_json(request, default="")  # a web page may send a body of any other type, or of none, without asking


def _doubt(request: Request) -> str | None:
    """What speaks against a sidecar on this machine as the sender of a call."""
    if not _is_loopback(address_of(request)):
        return "this call came from another machine"
    header = proxies.forwarding_header(request.headers) or next(filter(request.headers.__contains__, BROWSERS), None)
    if header:
        return f"this call has the header {header}, as calls from web pages and through proxies have"
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or not LOOPBACK_HOST.fullmatch(hosts[0]):
        return "this call was sent to another host than localhost"
    if request.scope["http_version"] == "1.0":
        return "this call is HTTP/1.0, as proxies send it"
    return None


async def check_sender(request: Request) -> None:
    """Raises as ``caller_of`` does for a sender who is nobody: before the body is read, and without counting a call."""
    if _is_by_bearer(request):
        await authenticated(request, token_of(request))
    else:
        await check_sidecar(request)


async def caller_of(request: Request, context: SecurityContext, kind: LimitKind | None = None) -> Caller:
    """The caller: the sidecar's tenant, or the bearer of a token, whose calls count as ``kind`` for the rate limit.

    Raises Forbidden if a bearer beside the sidecar names another tenant than the token's.
    """
    if _is_by_bearer(request):
        caller = await bearer.caller(request, kind)
        if context.token is not None:
            raise InvalidInput(
                "The call has two tokens: send either Authorization or security_context.token.",
                field="security_context.token",
            )
        if context.tenant not in (None, caller.tenant):
            raise Forbidden(
                f"This token is of the tenant {caller.tenant}: leave security_context.tenant out, or send a token of "
                "that tenant.",
                field="security_context.tenant",
            )
        return caller
    await check_sidecar(request)
    if context.token is not None:
        return await bearer.caller_with(request, context.token, kind)
    trace = traceparent_in(request.headers.get(TRACEPARENT))
    return Caller(
        "dapr",
        "service",
        check_tenant(DEFAULT_TENANT if context.tenant is None else context.tenant),
        address=address_of(request),
        request_id=request.state.request_id,
        traceparent=trace,
        at=request.state.at,
    )


def _is_by_bearer(request: Request) -> bool:
    """Whether the call is its bearer's, and not the sidecar's."""
    settings: Settings = request.state.settings
    is_closed = settings.in_production and settings.app_api_token is None
    return "authorization" in request.headers and HEADER not in request.headers and not is_closed


def _is_loopback(host: str) -> bool:
    ip = proxies.parsed(host)
    return ip.is_loopback if ip is not None else host.lower() == "localhost"
