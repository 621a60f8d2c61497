"""A database as the first start leaves it, so that not each of thousands of tests makes all of its tables."""

import os
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from mastery_engine.backends.sqlite.database import FILE_NAME
from mastery_engine.backends.sqlite.migrations import migrate

FAST = next(filter(os.path.isdir, ["/dev/shm"]), None)  # where writing through to the disk takes no time


def lay_new_database(folder: Path) -> Path:
    """Where the database of a data folder is, which is made if the folder is there without one."""
    path = folder / FILE_NAME
    if folder.is_dir() and not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_new_database())
    return path


@cache
def _new_database() -> bytes:
    with TemporaryDirectory(dir=FAST) as folder:
        path = Path(folder) / FILE_NAME
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection, path)
        return path.read_bytes()
