"""The tools of the MCP server, as an agent is told of them."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mastery_engine.auth.access import Caller
from mastery_engine.mcp.server import make_server
from mastery_engine.settings import Settings
from mastery_engine.wiring import open_engine


def tools() -> Sequence[Any]:
    """Their names, descriptions and schemas, from a server on an empty engine."""
    return asyncio.run(_listed())


async def _listed() -> Sequence[Any]:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(Settings(data_dir=Path(folder)))
        try:
            return await make_server(engine, lambda: Caller("site", "service")).list_tools()
        finally:
            await engine.close()
