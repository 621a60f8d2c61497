"""The HTTP server: uvicorn in the foreground."""

import asyncio
import errno
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from mastery_engine.collector import tune_gc
from mastery_engine.domain.moments import rfc3339
from mastery_engine.errors import Busy, StartRefused
from mastery_engine.http.connection import KEEP_ALIVE_S, ClientConnection, EdgeServices
from mastery_engine.http.envelope import Meta
from mastery_engine.http.problems import problem
from mastery_engine.interrupted import end_at_once

UNSENT = 64 * 1024  # bytes of answers that the system takes ahead of what was sent; by itself it takes megabytes
STOP_S = 12  # the worker has its own time after that; both together stay below the 30 s that a container has
UNFINISHED = "This server stops, and did not finish this call in time: send it again, and another one answers."


def serve(app: ASGIApp, listener: socket.socket, *, shared: EdgeServices, end_streams: Callable[[], None]) -> None:
    """Serve HTTP until SIGTERM or SIGINT; ``end_streams`` is called before the server waits for connections to end.

    Raises StartRefused if the application did not start.
    """
    server = EngineServer(config_of(app, shared), end_streams)
    server.run(sockets=[listener])
    if not server.started:
        raise StartRefused("The service did not start: the log above has the reason.")


def config_of(app: ASGIApp, shared: EdgeServices, **more: Any) -> uvicorn.Config:
    """How the server serves the application; ``more`` is for tests."""
    return uvicorn.Config(
        Stoppable(app, shared),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application has its own middleware, which believes no loopback by default
        http=partial(ClientConnection, shared=shared),  # type: ignore[arg-type]
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        **more,
    )


class Stoppable:
    """The application, whose calls are answered when the server gives them up at its end."""

    def __init__(self, app: ASGIApp, shared: EdgeServices) -> None:
        self._app = app
        self._shared = shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            with suppress(RuntimeError):  # the answer has begun
                meta = Meta(rfc3339(self._shared.clock()), self._shared.new_id())
                await problem(Busy(UNFINISHED), meta, accept="")(scope, receive, send)


class EngineServer(uvicorn.Server):
    """Tunes the garbage collector after the start, and ends live streams before it waits for connections to end."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A second Ctrl-C ends the process at once: what was acknowledged outlives a kill."""
        if self.should_exit and sig == signal.SIGINT:
            end_at_once()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        tune_gc()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """The socket to serve on; ``::`` takes IPv4 too. Raises StartRefused if it cannot be opened."""
    name = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    is_for_both = name == "::" and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server((name, port), family=family, backlog=2_048, dualstack_ipv6=is_for_both)
    except (OSError, UnicodeError) as error:
        raise StartRefused(f"The service cannot listen on {authority(name, port)}: {_why(error)}") from error
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # its connections have it from it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    return listener


def authority(host: str, port: int) -> str:
    """Host and port as they stand in a URL: an IPv6 address is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError) or (error.errno or 0) < 0:  # a name's error, which the socket module hides
        return "HOST must be an IP address of this machine, or a name that resolves to one."
    match error.errno:
        case errno.EADDRINUSE:
            return "another server uses this port. Choose another one with --port or PORT."
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address. Set HOST to one that it has, or to 0.0.0.0 or :: for all."
        case errno.EACCES | errno.EPERM:
            return "this user may not use the port. Choose one from 1024 on with --port or PORT."
        case errno.EAFNOSUPPORT:
            return "this machine has no IPv6. Set HOST to an IPv4 address, or to 0.0.0.0 for all."
        case _:
            return f"{error.strerror or error}. Look at HOST and PORT."
