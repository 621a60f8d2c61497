"""``mcp``: the engine for an agent on this machine, over stdin and stdout."""

import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING

from mastery_engine.cli.console import opened, settings

if TYPE_CHECKING:
    from mastery_engine.auth.access import Caller
    from mastery_engine.settings import Settings


def mcp() -> None:
    """Serve the Model Context Protocol over stdin and stdout.

    It acts as the bearer of MASTERY_TOKEN; in development, without one, as a service of the tenant default.

    \b
    Example:
      MASTERY_TOKEN=$(mastery-engine token --role student --sub student_12345) mastery-engine mcp
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    chosen = settings()
    asyncio.run(_serve(chosen))


async def _caller(settings: "Settings") -> "Caller":
    """Raises StartRefused where there is no token outside development; Unauthenticated where it is no good."""
    from mastery_engine.auth.access import Caller
    from mastery_engine.errors import StartRefused
    from mastery_engine.wiring import tokens

    token = os.environ.get("MASTERY_TOKEN", "")
    if token:
        return await tokens(settings).admit(token)
    if settings.environment != "development":
        raise StartRefused("MASTERY_TOKEN must hold a token: make one with mastery-engine token.")
    return Caller("mcp", "service")


async def _serve(settings: "Settings") -> None:
    from mastery_engine.mcp.server import make_server
    from mastery_engine.model_files import forecast_model
    from mastery_engine.services.cohorts import Cohorts
    from mastery_engine.services.forecasts import Predictions
    from mastery_engine.tasks import beside

    caller = await _caller(settings)
    async with opened(settings) as mastery:
        cohorts = Cohorts(mastery)
        caller = await cohorts.admit(caller)
        predictions = Predictions(mastery, forecast_model(settings), cohorts.due_days)
        async with beside(mastery.trail.keep_flushing()):
            await make_server(mastery, predictions, lambda: caller).run_stdio_async()
