"""Many rows in one statement: each step of SQLite lets go of Python's lock, and waits for it again."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

TOGETHER = 200


def insert_rows(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows; ``into`` is the statement up to ``VALUES``."""
    if not rows:
        return
    marks = f"({', '.join('?' * len(rows[0]))})"
    statement = f"{into} VALUES {', '.join([marks] * TOGETHER)}"
    whole = len(rows) - len(rows) % TOGETHER
    for start in range(0, whole, TOGETHER):
        connection.execute(statement, [*chain.from_iterable(rows[start : start + TOGETHER])])
    connection.executemany(f"{into} VALUES {marks}", rows[whole:])
