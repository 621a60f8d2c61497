"""A reader who does what a page shows: its blocks, one after another, in one shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT


def blocks(page: Path, language: str = "bash") -> list[str]:
    """The code that a page shows in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def follow(page: Path, url: str, given: dict[str, str], folder: Path) -> str:
    """What the shell of a page prints, with a service at ``url`` in the place of localhost:8005. It must succeed."""
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    for name, words in {"mastery-engine": "-m mastery_engine", "python3": ""}.items():
        (bin_ / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (bin_ / name).chmod(0o755)
    script = "\n".join(blocks(page)).replace("http://localhost:8005", url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**given, "PATH": f"{bin_}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, f"{page.relative_to(ROOT)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
