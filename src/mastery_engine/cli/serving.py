"""``serve`` and ``worker``: the processes that run until they are stopped."""

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mastery_engine.cli.console import opened, settings
from mastery_engine.interrupted import end_at_once

if TYPE_CHECKING:
    from mastery_engine.settings import Settings

logger = logging.getLogger(__name__)

Host = Annotated[
    str | None, typer.Option(help="The address to listen on. Default: HOST, or 127.0.0.1.", show_default=False)
]
Port = Annotated[
    int | None,
    typer.Option(help="The port to listen on. Default: PORT, or 8005.", min=0, max=65_535, show_default=False),
]

AfterFlood = Annotated[
    bool, typer.Option("--after-flood", help="Continue after a flood of records that cannot be read.")
]


def serve(host: Host = None, port: Port = None) -> None:
    """Serve HTTP, and also work the log unless WORKER_ENABLED is false.

    \b
    Example:
      mastery-engine serve --port 8005
    """
    end_well_on_signals()
    known = settings(host=host, port=port)  # wrong settings are reported before the server is loaded, which takes time
    from mastery_engine.service import serve

    serve(known)


def worker(after_flood: AfterFlood = False) -> None:
    """Work the log without HTTP. After SIGTERM it finishes the batch under way.

    It stops with exit status 1 if half of the last 1,000 records of a partition cannot be read. Then every start stops
    the same way, until one with --after-flood: it dead-letters those in the log that cannot be read, and continues.

    \b
    Examples:
      mastery-engine worker
      mastery-engine worker --after-flood
    """
    end_well_on_signals()
    asyncio.run(_work(settings(), after_flood=after_flood))


def end_well_on_signals() -> None:
    """Let SIGTERM and Ctrl-C end this process with 0; server and worker have their own handlers while they run.

    A second Ctrl-C, while it ends, does not wait.
    """

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGINT, lambda *_: end_at_once())
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


async def _work(settings: "Settings", *, after_flood: bool) -> None:
    from mastery_engine.collector import tune_gc
    from mastery_engine.data_folder import WorkerLock
    from mastery_engine.settings import warnings_for
    from mastery_engine.telemetry.logging import configure_logging

    configure_logging(settings)
    for warning in warnings_for(os.environ, settings):
        logger.warning(warning)
    with WorkerLock(settings):
        async with opened(settings, apart=True) as engine:
            if settings.refuses_dangers:
                await engine.dangers.refuse()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, engine.worker.stop)
            async with engine.at_work(serves=False), engine.beside_worker():
                logger.info("started", extra={"data_dir": str(settings.data_dir)})
                tune_gc()
                await engine.worker.run(after_flood=after_flood)
    logger.info("stopped")
