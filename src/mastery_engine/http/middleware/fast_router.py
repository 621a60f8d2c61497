"""The fast router: sends calls at a fixed address directly to their route; the framework routes all others.

Most calls go to a few such addresses, and searching all routes for each call took a sixth of the time of a query.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mastery_engine.http.envelope_route import EnvelopeRoute

NO_APPS: Mapping[str, ASGIApp] = MappingProxyType({})

Failed = Callable[[Request, Exception], Awaitable[Response]]


class CallRequest(Request):
    """A request whose body is read as it came: mostly in one piece."""

    _body: bytes

    async def body(self) -> bytes:
        """The whole body. Raises ClientDisconnect."""
        if not hasattr(self, "_body"):
            parts, more = list[bytes](), True
            while more:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                parts.append(message.get("body", b""))
                more = message.get("more_body", False)
            self._body = b"".join(parts)
        return self._body


def fixed_routes(routes: Iterable[object]) -> dict[tuple[str, str], EnvelopeRoute]:
    """The routes without parameters in their address, by method and address."""
    found: dict[tuple[str, str], EnvelopeRoute] = {}
    for route in routes:
        if isinstance(route, EnvelopeRoute) and "{" not in route.path:
            for method in route.methods or ():
                found.setdefault((method, route.path), route)
    return found


class FastRouter:
    """The innermost middleware, before the framework's router. ``failed`` answers errors of the given kinds.

    ``apps`` answer whatever comes to their addresses, errors of their own included.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Iterable[object],
        failed: Failed,
        kinds: tuple[type[Exception], ...],
        apps: Mapping[str, ASGIApp] = NO_APPS,
    ) -> None:
        self._app = app
        self._apps = apps
        self._routes = fixed_routes(routes)
        self._failed = failed
        self._kinds = kinds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None or scope.get("root_path"):  # the framework removes the prefix of a proxy
            app = self._app if scope.get("root_path") else self._apps.get(scope.get("path", ""), self._app)
            await app(scope, receive, send)
            return
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, {}
        request = CallRequest(scope, receive, send)
        try:
            response = await route.respond(request)
        except self._kinds as error:
            response = await self._failed(request, error)
        await response(scope, receive, send)
