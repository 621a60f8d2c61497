"""promtool, from Debian's Prometheus."""

from pathlib import Path

from scripts.servers.cache import command


def promtool() -> Path:
    """The program that checks rules and tests them; raises Unavailable."""
    return command("promtool", packages=["prometheus"])
