"""The middleware for calls through proxies."""

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from mastery_engine.clock import Clock
from mastery_engine.domain.moments import MINUTE
from mastery_engine.http.proxies import Proxies

logger = logging.getLogger(__name__)

FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
SCHEMES = {b"http": "http", b"https": "https"}


class ProxyMiddleware:
    """Gives a call the address and the scheme that the caller used to reach the proxy.

    A proxy that FORWARDED_ALLOW_IPS does not name is logged once a minute, since all its callers count as one.
    """

    def __init__(self, app: ASGIApp, *, proxies: Proxies, clock: Clock) -> None:
        self._app = app
        self._proxies = proxies
        self._clock = clock
        self._silent_until = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        said = [one for one in scope["headers"] if one[0] in FORWARDED] if scope["type"] == "http" else ()
        if said and client:
            forwarded = [value for name, value in said if name == b"x-forwarded-for"]
            if client[0] in self._proxies:
                protocols = [value for name, value in said if name == b"x-forwarded-proto"]
                caller = self._proxies.caller_of(client[0], b",".join(forwarded).decode("latin-1"))
                scheme = SCHEMES.get(protocols[-1].strip().lower()) if protocols else None
                scope = {**scope, "client": (caller, 0), "scheme": scheme or scope["scheme"]}
            elif forwarded:
                self._warn(client[0])
        await self._app(scope, receive, send)

    def _warn(self, peer: str) -> None:
        at = self._clock()
        if at < self._silent_until:
            return
        self._silent_until = at + MINUTE
        logger.warning(
            "%s sends X-Forwarded-For, but FORWARDED_ALLOW_IPS does not name it: limits and the audit trail count all "
            "its callers as one address. If it is your proxy, name it there.",
            peer,
        )
