"""What came first: a set of names on the disk, since a dump of millions of events must not fill the memory."""

import sqlite3
from collections.abc import Callable, Iterable
from hashlib import blake2b
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")

CACHE_KB = 8_192
_INSERT = "INSERT OR IGNORE INTO seen VALUES (?)"
NAME_BYTES = 16  # two of a billion names are alike with probability 1e-21


class FirstSeen:
    """Tells which names are new. They lie in a temporary file, which is gone with this object."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)  # without a name: a temporary file
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._connection.execute("CREATE TABLE seen (name BLOB PRIMARY KEY) STRICT, WITHOUT ROWID")
        self._connection.execute("BEGIN")

    def __enter__(self) -> "FirstSeen":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def new_of(self, values: Iterable[T], name: Callable[[T], str]) -> list[T]:
        """Those of the values whose name comes for the first time."""
        insert = self._connection.execute
        return [value for value in values if insert(_INSERT, (_hashed(name(value)),)).rowcount == 1]


def _hashed(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=NAME_BYTES).digest()
