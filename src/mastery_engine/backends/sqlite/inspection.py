"""A look at a SQLite file that changes nothing: it makes no file, and brings no schema up to date."""

import asyncio
import sqlite3
from pathlib import Path

from mastery_engine.backends.sqlite.database import cannot_open, change_and_restore, unavailable
from mastery_engine.backends.sqlite.disk import dangers_of_disk
from mastery_engine.backends.sqlite.migrations import MIGRATIONS
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Danger

LOOK_S = 2.0


class SqliteInspection:
    """See ``Connection``. It holds nothing open, so it may look beside a process that works on the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ping(self) -> None:
        """Also raises Unavailable for a file that is damaged, or of a newer engine; a missing one is none yet."""
        if self._path.exists():
            await asyncio.to_thread(_look, self._path)

    async def dangers(self) -> list[Danger]:
        return dangers_of_disk(self._path)

    async def close(self) -> None:
        return


def _look(path: Path) -> None:
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=LOOK_S, isolation_level=None)
    except sqlite3.Error as error:
        raise Unavailable(cannot_open(path, error)) from error
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        if version:
            change_and_restore(connection)
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise unavailable(error) from error
    except sqlite3.DatabaseError as error:
        raise Unavailable(cannot_open(path, error)) from error
    finally:
        connection.close()
    if version > len(MIGRATIONS):
        raise Unavailable(
            f"{path} has schema version {version}, and this engine knows {len(MIGRATIONS)}: run the one that wrote it."
        )
