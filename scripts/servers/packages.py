"""Tools from PyPI that tests call in processes of their own, apart from the project's pinned packages."""

import sys
from pathlib import Path

from scripts.servers.cache import cached, run


def package(name: str, version: str) -> Path:
    """A folder for PYTHONPATH with this package and what it needs; raises Unavailable."""

    def fetch(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        run([*pip, "--target", str(folder / "site"), f"{name}=={version}"])

    return cached(name, version, fetch) / "site"
