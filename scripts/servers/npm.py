"""Tools from npm that tests call in processes of their own."""

import shutil
from hashlib import sha256
from pathlib import Path

from scripts.servers.cache import Unavailable, cached, run


def npm_packages(name: str, **versions: str) -> Path:
    """A folder whose ``node_modules`` has these packages, by name and version; raises Unavailable."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Unavailable("there is no node or no npm")
    wanted = [f"{package}@{version}" for package, version in versions.items()]

    def fetch(folder: Path) -> None:
        (folder / "package.json").write_text("{}")
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        run(["npm", "install", *quiet, *wanted], folder=folder)

    return cached(name, sha256(" ".join(wanted).encode()).hexdigest()[:12], fetch)
