"""The overlays as kubectl's own kustomize renders them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "deploy" / "kubernetes" / "overlays"
OVERLAYS = sorted(folder.name for folder in PLACE.iterdir() if folder.is_dir())


def kubectl() -> str:
    """The kubectl of this machine, else the one that the API server was built with; raises Unavailable."""
    found = shutil.which("kubectl")
    if found is not None:
        return found
    from scripts.servers.kubernetes import programs

    return str(programs() / "kubectl")


def rendered(name: str) -> list[dict[str, Any]]:
    """An overlay's objects; raises Unavailable where there is no kubectl."""
    done = subprocess.run([kubectl(), "kustomize", str(PLACE / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return list(yaml.safe_load_all(done.stdout))
