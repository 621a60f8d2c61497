"""The HTTP server: uvicorn in the foreground."""

import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from mastery_engine.clock import Clock, NewId
from mastery_engine.collector import tune_gc
from mastery_engine.errors import StartRefused
from mastery_engine.http.unreadable import protocol

STOP_S = 25


def serve(
    app: ASGIApp, listener: socket.socket, *, clock: Clock, new_id: NewId, end_streams: Callable[[], None]
) -> None:
    """Serve HTTP until SIGTERM or SIGINT; ``end_streams`` is called before the server waits for connections to end.

    Raises StartRefused if the application did not start.
    """
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application has its own middleware, which believes no loopback by default
        http=protocol(clock, new_id),
        timeout_graceful_shutdown=STOP_S,
    )
    server = EngineServer(config, end_streams)
    server.run(sockets=[listener])
    if not server.started:
        raise StartRefused("The service did not start: the log above has the reason.")


class EngineServer(uvicorn.Server):
    """Tunes the garbage collector after the start, and ends live streams before it waits for connections to end."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        tune_gc()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """The socket to serve on. Raises StartRefused if it cannot be opened."""
    try:
        return socket.create_server((host, port), backlog=2_048)
    except OSError as error:
        raise StartRefused(
            f"The service cannot listen on {host}:{port} ({error.strerror}). If another server uses the port, choose "
            "another one with --port or PORT."
        ) from error
