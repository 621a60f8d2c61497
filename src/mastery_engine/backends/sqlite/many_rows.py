"""Many rows in one statement: each step of SQLite lets go of Python's lock, and waits for it again."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

TOGETHER = 200


def insert_rows(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]], after: str = "") -> None:
    """Insert rows; ``into`` is the statement up to ``VALUES``, ``after`` is what follows the rows."""
    whole = len(rows) - len(rows) % TOGETHER
    marks = f"({', '.join('?' * len(rows[0]))})" if rows else ""
    statement = f"{into} VALUES {', '.join([marks] * TOGETHER)} {after}"  # nosec B608  marks alone
    for start in range(0, whole, TOGETHER):
        connection.execute(statement, [*chain.from_iterable(rows[start : start + TOGETHER])])
    if whole < len(rows):
        connection.executemany(f"{into} VALUES {marks} {after}", rows[whole:])
