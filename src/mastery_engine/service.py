"""The service as one process: HTTP, MCP at ``/mcp``, and the worker beside them."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import cache

from fastapi import FastAPI

from mastery_engine.auth.access import Caller
from mastery_engine.auth.demo_doors import DemoDoor
from mastery_engine.clock import Clock
from mastery_engine.collector import exclude_from_gc
from mastery_engine.data_folder import WorkerLock
from mastery_engine.engine import Engine
from mastery_engine.errors import StartRefused, Unavailable
from mastery_engine.http import app as http_app
from mastery_engine.http import serve as http_server
from mastery_engine.http.agents import AgentServer, MakeAgentServer
from mastery_engine.http.connection import EdgeServices
from mastery_engine.http.connection_limits import ConnectionLimits, most_connections
from mastery_engine.http.proxies import Proxies
from mastery_engine.settings import Settings, warnings_for
from mastery_engine.tasks import ended
from mastery_engine.telemetry.logging import configure_logging
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.wiring import new_id, open_engine, tracing_for
from mastery_engine.wiring_clocks import system_clock

logger = logging.getLogger(__name__)

LONGEST_STOP_S = 15.0


class Service:
    """The application, with the engine while it runs. Raises StartRefused if traces cannot be sent."""

    def __init__(
        self, settings: Settings, *, clock: Clock = system_clock, doors: Mapping[str, DemoDoor] = http_app.NO_DOORS
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = Metrics()
        self._tracing = tracing_for(settings)
        self._engine: Engine | None = None
        self.app: FastAPI = http_app.create_app(
            settings,
            self._opened,
            _make_agent_server,
            clock=clock,
            new_id=new_id,
            metrics=self._metrics,
            tracing=self._tracing,
            doors=doors,
        )

    def shared_by_connections(self) -> EdgeServices:
        """What the connections of a server share; see ``http.connection``."""
        limits = ConnectionLimits(
            clock=self._clock,
            is_proxy=Proxies(self._settings.forwarded_allow_ips).__contains__,
            most=most_connections(),
        )
        return EdgeServices(limits, self._clock, new_id, self._metrics)

    def end_streams(self) -> None:
        """End all live streams, because the server is about to stop."""
        if self._engine is not None:
            self._engine.watching.end()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Engine]:
        settings = self._settings
        configure_logging(settings)
        for warning in warnings_for(os.environ, settings):
            logger.warning(warning)
        async with AsyncExitStack() as stack:
            if settings.worker_enabled:
                stack.enter_context(WorkerLock(settings))
            engine = open_engine(settings, clock=self._clock, metrics=self._metrics, tracing=self._tracing)
            stack.push_async_callback(engine.close)
            engine.admission.prepare()
            if settings.refuses_dangers:
                await engine.dangers.refuse()
            await stack.enter_async_context(engine.at_work(serves=True))
            if settings.worker_enabled:
                await stack.enter_async_context(_working(engine))
            else:
                stack.push_async_callback(ended, asyncio.create_task(engine.lag.keep_measuring()))
            self._engine = engine
            logger.info("started", extra={"environment": settings.environment, "data_dir": str(settings.data_dir)})
            yield engine
        logger.info("stopped")


def create_app(settings: Settings, *, clock: Clock = system_clock) -> FastAPI:
    """The application alone, to run in another server. Raises StartRefused."""
    return Service(settings, clock=clock).app


def listen(settings: Settings) -> socket.socket:
    """The socket to serve on. Raises StartRefused if it cannot be opened."""
    return http_server.listen(settings.host, settings.port)


def serve(settings: Settings, *, doors: Mapping[str, DemoDoor] = http_app.NO_DOORS) -> None:
    """Serve HTTP until SIGTERM or SIGINT. Raises StartRefused if the port is taken or the engine cannot start.

    ``doors`` are those of a demo.
    """
    with listen(settings) as listener:
        asyncio.run(_try_start(settings))
        service = Service(settings, doors=doors)
        http_server.serve(
            service.app, listener, shared=service.shared_by_connections(), end_streams=service.end_streams
        )


def _make_agent_server(engine: Engine, who: Callable[[], Caller]) -> AgentServer:
    return _agents_protocol()(engine, who)


@cache
def _agents_protocol() -> MakeAgentServer:
    """Imported when the first agent calls: it takes a third of a start, and most processes never need it."""
    from mastery_engine.mcp.streamable_http import make_agent_server

    exclude_from_gc()
    return make_agent_server


async def _try_start(settings: Settings) -> None:
    """Open and close the engine once, so that a refused start is reported in one sentence, without a traceback."""
    with WorkerLock(settings) if settings.worker_enabled else nullcontext():
        engine = open_engine(settings)
        try:
            engine.admission.prepare()
            if settings.refuses_dangers:
                await engine.dangers.refuse()
        finally:
            await engine.close()


@asynccontextmanager
async def _working(engine: Engine) -> AsyncIterator[None]:
    """Run the worker, and what is done daily, inside the block; at its end the worker finishes the batch under way."""
    why = "see the log for the reason."

    async def work() -> None:
        nonlocal why
        try:
            await engine.worker.run()
        except StartRefused as refused:
            why = refused.message
            logger.error("the worker has stopped: %s", why)
        except Exception:
            logger.exception("the worker has stopped")

    task = asyncio.create_task(work())

    async def at_work() -> None:
        if task.done():
            raise Unavailable(f"The worker of this process has stopped: {why}")
        engine.worker.check()

    engine.readiness.watch("worker", at_work, tuple if engine.bridge is None else engine.bridge.warnings)
    async with engine.beside_worker():
        try:
            yield
        finally:
            engine.worker.stop()
            await asyncio.wait([task], timeout=LONGEST_STOP_S)
            await ended(task)
