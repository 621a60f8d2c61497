"""The middleware for calls through proxies; it is only installed if FORWARDED_ALLOW_IPS names any."""

from starlette.types import ASGIApp, Receive, Scope, Send

from mastery_engine.http.proxies import Proxies

SCHEMES = {b"http": "http", b"https": "https"}


class ProxyMiddleware:
    """Gives a call the address and the scheme that the caller used to reach the proxy."""

    def __init__(self, app: ASGIApp, *, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and client[0] in self._proxies:
            forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
            protocols = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
            caller = self._proxies.caller_of(client[0], b",".join(forwarded).decode("latin-1"))
            scheme = SCHEMES.get(protocols[-1].strip().lower()) if protocols else None
            scope = {**scope, "client": (caller, 0), "scheme": scheme or scope["scheme"]}
        await self._app(scope, receive, send)
