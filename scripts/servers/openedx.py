"""Open edX's LTI Consumer block as a platform: its own code launches, behind the pages of ``scripts/peers``."""

import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from scripts.servers.cache import free_port
from scripts.servers.packages import package
from scripts.servers.process import Server

VERSION = "11.4.4"
PAGES = Path(__file__).parents[1] / "peers" / "openedx_lti.py"
CLIENT, DEPLOYMENT = "1a4a2a48-6c2c-4f4e-8e1c-f2c9b2b8b1d0", "1"


class OpenEdx(Server):
    """A course at ``/course?who=student``, which shows the tool in a frame."""

    def __init__(self, tool_url: str) -> None:
        """Raises Unavailable where the block cannot be had."""
        super().__init__("Open edX LTI Consumer", VERSION)
        self._site = package("lti-consumer-xblock", VERSION)
        self._tool_url = tool_url
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def argv(self) -> Sequence[str]:
        path = f"PYTHONPATH={self._site}"
        return ["env", path, sys.executable, str(PAGES), str(self._port), self._tool_url, CLIENT, DEPLOYMENT]

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/keys", timeout=5).status_code == 200
        except httpx.TransportError:
            return False
