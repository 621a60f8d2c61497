"""``mcp``: serves an agent on this machine over stdin and stdout."""

import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING

from mastery_engine.cli.console import opened, settings

if TYPE_CHECKING:
    from mastery_engine.settings import Settings


def mcp() -> None:
    """Serve the Model Context Protocol over stdin and stdout.

    It acts as the bearer of MASTERY_TOKEN. In development the token may be left out: then it acts as a service of the
    tenant default.

    \b
    Example:
      export MASTERY_TOKEN=$(mastery-engine token --role student --sub ada)
      mastery-engine mcp
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    chosen = settings()
    asyncio.run(_serve(chosen, _token(chosen)))


def _token(settings: "Settings") -> str | None:
    """MASTERY_TOKEN; None in development without one. Raises StartRefused elsewhere without one."""
    from mastery_engine.errors import StartRefused

    token = os.environ.get("MASTERY_TOKEN")
    if not token and settings.environment != "development":
        raise StartRefused("MASTERY_TOKEN must be set to a token: make one with mastery-engine token.")
    return token or None


async def _serve(settings: "Settings", token: str | None) -> None:
    """Serve until the input ends. Raises Unauthenticated if the token is not valid."""
    import msgspec

    from mastery_engine.auth.access import Caller
    from mastery_engine.mcp.server import make_server
    from mastery_engine.tasks import beside

    async with opened(settings) as engine:
        caller = Caller("mcp", "service") if token is None else await engine.admission.authenticate(token)

        def who() -> Caller:
            return msgspec.structs.replace(caller, at=engine.clock())

        async with beside(engine.audit.keep_flushing()):
            await make_server(engine, who).run_stdio_async()
