"""Calls at a fixed address go straight to their route; the framework looks for all others.

Most calls are of a few such addresses, and to look through all routes for each cost a sixth of a query.
"""

from collections.abc import Awaitable, Callable, Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mastery_engine.http.envelope_route import Face

Failed = Callable[[Request, Exception], Awaitable[Response]]


def fixed(routes: Iterable[object]) -> dict[tuple[str, str], Face]:
    """The routes without a parameter in their address, by method and address."""
    found: dict[tuple[str, str], Face] = {}
    for route in routes:
        if isinstance(route, Face) and "{" not in route.path:
            for method in route.methods or ():
                found.setdefault((method, route.path), route)
    return found


class Direct:
    """The innermost layer before the framework's own. ``failed`` answers errors of the given kinds."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Iterable[APIRoute],
        failed: Failed,
        kinds: tuple[type[Exception], ...],
    ) -> None:
        self._app = app
        self._routes = fixed(routes)
        self._failed = failed
        self._kinds = kinds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None or scope.get("root_path"):  # the framework takes a proxy's prefix off
            await self._app(scope, receive, send)
            return
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, {}
        request = Request(scope, receive, send)
        try:
            response = await route.answer(request)
        except self._kinds as error:
            response = await self._failed(request, error)
        await response(scope, receive, send)
