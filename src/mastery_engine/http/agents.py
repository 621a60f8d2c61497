"""``/mcp``: the Model Context Protocol over streamable HTTP, stateless, behind the tokens of all other calls.

There is nothing to push and no session to end, so GET and DELETE are not allowed: an open GET would hold a place for
good.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from fastapi import FastAPI
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mastery_engine.auth.access import Caller
from mastery_engine.http.envelope_route import bearer
from mastery_engine.mcp.server import make_server
from mastery_engine.services import Mastery
from mastery_engine.tasks import ended

CALLER: ContextVar[Caller] = ContextVar("caller")


class _Agents:
    """The ASGI application at the route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = ROUTE
        request = Request(scope, receive)
        token = CALLER.set(await bearer.caller(request))
        try:
            await request.app.state.agents.handle_request(scope, receive, send)
        finally:
            CALLER.reset(token)


ROUTE = Route("/mcp", _Agents(), methods=["POST"], include_in_schema=False)


def add_agents(app: FastAPI) -> None:
    app.router.routes.append(ROUTE)


@asynccontextmanager
async def agents_served(app: FastAPI, mastery: Mastery) -> AsyncIterator[None]:
    """While this runs ``/mcp`` answers. Any website may name this host, but none has a token: that is asked first."""
    server = make_server(mastery, app.state.predictions, CALLER.get)
    server.streamable_http_app(
        stateless_http=True,
        json_response=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    app.state.agents = server.session_manager
    running = asyncio.Event()

    async def run() -> None:
        async with server.session_manager.run():
            running.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())  # its own task: the manager's scope must end in the one that it began in
    await running.wait()
    try:
        yield
    finally:
        await ended(task)
