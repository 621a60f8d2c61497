"""``serve`` and ``worker``: what stays until it is told to stop."""

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import opened, settings

if TYPE_CHECKING:
    from mastery_engine.settings import Settings

logger = logging.getLogger(__name__)

Host = Annotated[str | None, typer.Option(help="Where to listen; HOST, or 127.0.0.1.", show_default=False)]
Port = Annotated[int | None, typer.Option(help="PORT, or 8005.", min=0, max=65_535, show_default=False)]

AfterFlood = Annotated[
    bool, typer.Option("--after-flood", help="Go on after a flood of records that could not be read.")
]


def serve(host: Host = None, port: Port = None) -> None:
    """Serve HTTP, and work the log too unless WORKER_ENABLED=false.

    \b
    Example:
      mastery-engine serve --port 8005
    """
    end_well_on_signals()
    known = settings(host=host, port=port)  # what is wrong with them is said before the server is loaded
    from mastery_engine.http.serve import serve

    serve(known)


def worker(after_flood: AfterFlood = False) -> None:
    """Work the log without HTTP. SIGTERM lets it finish what is under way.

    It stops with 1 where half of the last 1,000 records of a partition could not be read, and so does each later
    start, until one with --after-flood: that dead-letters what the log holds already, and goes on.

    \b
    Examples:
      mastery-engine worker
      mastery-engine worker --after-flood
    """
    end_well_on_signals()
    asyncio.run(_work(settings(), after_flood=after_flood))


def end_well_on_signals() -> None:
    """SIGTERM and Ctrl-C end this process with 0; server and worker put their own before it while they run."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


async def _work(settings: "Settings", *, after_flood: bool) -> None:
    from mastery_engine.collector import settle
    from mastery_engine.model_files import keep_taking
    from mastery_engine.services.batches import Batches
    from mastery_engine.settings import warnings_for
    from mastery_engine.tasks import beside
    from mastery_engine.telemetry.logging import configure_logging
    from mastery_engine.wiring import WorkerLock
    from mastery_engine.worker.purge import keep_purging
    from mastery_engine.worker.worker import Worker

    configure_logging(settings)
    for warning in warnings_for(os.environ, settings):
        logger.warning(warning)
    with WorkerLock(settings):
        async with opened(settings, apart=True) as mastery:
            worker = Worker(mastery, after_flood=after_flood)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, worker.stop)
            async with (
                beside(mastery.trail.keep_flushing()),
                beside(keep_purging(mastery)),
                beside(Batches(mastery).keep_working()),
                beside(keep_taking(mastery, settings)),
            ):
                logger.info("started", extra={"data_dir": str(settings.data_dir)})
                settle()
                await worker.run()
    logger.info("stopped")
