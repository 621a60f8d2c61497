"""Other people's engines, each in a virtual environment of its own that is kept outside the tree."""

import os
import subprocess  # nosec B404
import sys
from pathlib import Path

from mastery_engine.errors import StartRefused

ROOT = Path(__file__).parents[4]


def python_with(name: str, *requirements: str) -> Path:
    """A Python that has these, and nothing of ours. Raises StartRefused where they cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mastery-engine"
    place = cache / f"{name}-{requirements[0].partition('==')[2]}"
    python = place / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)  # nosec B603
        quiet = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([str(python), *quiet, *requirements], check=True)  # nosec B603
    except (OSError, subprocess.CalledProcessError) as error:
        raise StartRefused(f"{', '.join(requirements)} cannot be had here: {error}.") from error
    return python
