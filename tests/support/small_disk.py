"""A disk that is soon full, for tests of what happens then."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mastery_engine.backends.sqlite.disk import IN_MEMORY, file_system


@contextmanager
def mounted_small_disk(home: Path, size: str = "4m") -> Iterator[Path]:
    """A disk of its own, where this process may mount one; elsewhere the test is skipped, and says so."""
    disk = home / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT TESTED: a full disk, for only root may mount a small one")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def need_a_disk(home: Path) -> None:
    """Skips a test, loudly, where the folder is in memory: the engine warns of that, and production does not start."""
    if file_system(home) in IN_MEMORY:
        pytest.skip("NOT TESTED: the folder for temporary files is in memory; set TMPDIR to one on a disk")
