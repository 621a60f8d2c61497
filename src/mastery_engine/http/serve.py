"""The server in the foreground."""

import asyncio
import socket
from contextlib import nullcontext

import uvicorn

from mastery_engine.collector import settle
from mastery_engine.errors import StartRefused
from mastery_engine.http.app import create_app
from mastery_engine.http.unreadable import Protocol
from mastery_engine.settings import Settings
from mastery_engine.wiring import WorkerLock, open_mastery, tokens

STOP_S = 25


def serve(settings: Settings) -> None:
    """Serve HTTP until SIGTERM or SIGINT. Raises StartRefused where the port is taken or the engine cannot start."""
    with listen(settings) as listener:
        asyncio.run(try_start(settings))
        server = _Server(
            uvicorn.Config(
                create_app(settings),
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                http=Protocol,
                timeout_graceful_shutdown=STOP_S,
            )
        )
        server.run(sockets=[listener])
    if not server.started:
        raise StartRefused("The service did not start; the log above says why.")


class _Server(uvicorn.Server):
    """Settles once it has started, and lets open streams end before it waits for its connections."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        settle()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        watching = getattr(getattr(self.config.app, "state", None), "watching", None)
        if watching is not None:
            watching.end()
        await super().shutdown(sockets)


async def try_start(settings: Settings) -> None:
    """Open what the service will open, and close it: what refuses the start does so in one sentence."""
    lock = WorkerLock(settings)
    with lock if settings.worker_enabled else nullcontext():
        await open_mastery(settings).close()
    tokens(settings)


def listen(settings: Settings) -> socket.socket:
    """The socket to serve on. Raises StartRefused where it cannot be had."""
    try:
        return socket.create_server((settings.host, settings.port), backlog=2_048)
    except OSError as error:
        raise StartRefused(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}): is another server there? "
            "Choose another with --port or PORT."
        ) from error
