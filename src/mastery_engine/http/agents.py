"""``/mcp``: the Model Context Protocol over stateless streamable HTTP, with the same tokens as all other calls.

There is nothing to push and no session to end, so GET and DELETE are not allowed: an open GET would occupy one of the
concurrent calls for good. The server that speaks the protocol is given by ``service``.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import partial
from types import NoneType
from typing import Any, Literal, Protocol, Self, TypeAlias

import msgspec
from pydantic import BaseModel, ConfigDict, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from mastery_engine.auth.access import Caller
from mastery_engine.domain.json_text import without_mark
from mastery_engine.engine import Engine
from mastery_engine.errors import Forbidden, InvalidInput
from mastery_engine.http.body import check_written, parse
from mastery_engine.http.envelope import JSON
from mastery_engine.http.incoming import bearer, is_foreign
from mastery_engine.tasks import ended

logger = logging.getLogger(__name__)

NO_JSON, NO_MESSAGE = -32_700, -32_600  # JSON-RPC 2.0, section 5.1
CALLER: ContextVar[Caller] = ContextVar("caller")


class AgentServer(Protocol):
    """A server of the protocol, which answers while ``run`` is entered."""

    def run(self) -> AbstractAsyncContextManager[None]: ...

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None: ...


# Makes the server for an engine; the second argument gives the caller of the current call.
MakeAgentServer: TypeAlias = Callable[[Engine, Callable[[], Caller]], AgentServer]


class AgentMessage(BaseModel):
    """A message of JSON-RPC 2.0, as far as it is looked at here: a call, a notification, or an answer."""

    model_config = ConfigDict(strict=True)

    jsonrpc: Literal["2.0"]
    method: str | None = None
    id: Any = None
    params: dict[str, Any] | None = None
    result: Any = None
    error: Any = None

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if not self.model_fields_set & {"method", "result", "error"}:
            raise ValueError("has no method")
        if type(self.id) not in (str, int, NoneType):
            raise ValueError("has an id that is neither a text nor a whole number")
        return self


class AgentsEndpoint:
    """The ASGI application at ``/mcp``."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = ROUTE
        request = Request(scope, receive)
        if is_foreign(request):  # the protocol asks servers for this, against pages that take over a local name
            raise Forbidden("This call was sent by a page of another site: call from an agent, not from a page.")
        token = CALLER.set(await bearer.caller(request, "query"))
        try:
            body = without_mark(await request.body())
            refusal = _refusal(body)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
            server: AgentsOnDemand = request.state.agents
            await server.handle_request(scope, _whole(body, receive), send)
        finally:
            CALLER.reset(token)


def _refusal(body: bytes) -> Response | None:
    """The answer to what is no message, in the protocol's own form and in our words; None for a message."""
    try:
        parse(AgentMessage, body)
    except InvalidInput as error:
        answer = {"jsonrpc": "2.0", "id": None, "error": {"code": _code(body), "message": error.message}}
        return Response(msgspec.json.encode(answer), 400, media_type=JSON)
    return None


def _code(body: bytes) -> int:
    try:
        check_written(body)
    except InvalidInput:
        return NO_JSON
    return NO_MESSAGE


def _whole(body: bytes, receive: Receive) -> Receive:
    """The body in one message, then whatever ``receive`` gives."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return messages.pop() if messages else await receive()

    return give


ROUTE = Route("/mcp", AgentsEndpoint(), methods=["POST"], include_in_schema=False)


class AgentsOnDemand:
    """Makes the server when it is first asked: its tools' schemas take a tenth of a second, which most never need."""

    def __init__(self, make: Callable[[], AgentServer]) -> None:
        self._make = make
        self._asked = asyncio.Event()
        self._server: asyncio.Future[AgentServer] = asyncio.get_running_loop().create_future()

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call. Raises what making the server raises."""
        self._asked.set()
        server = await asyncio.shield(self._server)  # a caller who leaves takes it from nobody
        await server.handle_request(scope, receive, send)

    async def keep_serving(self) -> None:
        """Wait for the first call, and answer from then on until cancelled."""
        await self._asked.wait()
        try:
            server = await asyncio.to_thread(self._make)
        except Exception as error:
            logger.exception("agents cannot be answered")
            self._server.set_exception(error)
            return
        async with server.run():
            self._server.set_result(server)
            await asyncio.Event().wait()


@asynccontextmanager
async def agents_served(make: MakeAgentServer, engine: Engine) -> AsyncIterator[AgentsOnDemand]:
    """Answer at ``/mcp`` inside the block."""
    agents = AgentsOnDemand(partial(make, engine, CALLER.get))
    task = asyncio.create_task(
        agents.keep_serving()
    )  # its own, since a server's scope must end in the task it began in
    try:
        yield agents
    finally:
        await ended(task)
