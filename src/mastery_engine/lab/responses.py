"""Files of responses for the backtest of skills: who answered which item, of which skills, rightly or not, and when."""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from mastery_engine.errors import InvalidInput

COLUMNS = ("student_id", "item_id", "skill_id", "correct", "timestamp")
TEST_SHARE = 5
STEP_S = 60.0


class Response(NamedTuple):
    """One answer; ``row`` is its line of the file's data, from 0, and ``at`` is in seconds.

    Where a file has no times, an answer of each student comes every minute.
    """

    row: int
    item: str
    skills: tuple[str, ...]
    right: int
    at: float


Responses: TypeAlias = dict[str, list[Response]]


def read_responses(path: Path) -> Responses:
    """The responses of a CSV, plain or gzip, by student in the file's order. Raises InvalidInput."""
    responses: Responses = {}
    try:
        with io.TextIOWrapper(_opened(path), encoding="utf-8", newline="") as file:
            for student, response in _rows(csv.DictReader(file), responses):
                responses.setdefault(student, []).append(response)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read as CSV: {error}.") from error
    if not responses:
        raise InvalidInput(f"{path} has no responses: below the header {','.join(COLUMNS)} it needs a line for each.")
    return responses


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if zipped else path.open("rb")


def _rows(reader: "csv.DictReader[str]", known: Responses) -> Iterator[tuple[str, Response]]:
    missing = [name for name in COLUMNS[:4] if name not in (reader.fieldnames or ())]
    if missing:
        raise InvalidInput(f"The file has no column {missing[0]}: its header must be {','.join(COLUMNS)}.")
    for place, row in enumerate(reader):
        student, item = row["student_id"], row["item_id"]
        skills = tuple(sorted({skill for skill in (row["skill_id"] or "").split("~") if skill}))
        if not student or not item or not skills or row["correct"] not in ("0", "1"):
            raise InvalidInput(f"Line {place + 2}: it needs a student, an item, its skills, and correct as 0 or 1.")
        yield student, Response(place, item, skills, int(row["correct"]), _time(row, place, len(known.get(student, ()))))


def _time(row: dict[str, str], place: int, earlier: int) -> float:
    said = row.get("timestamp")
    if not said:
        return STEP_S * earlier
    try:
        return float(said)
    except ValueError:
        raise InvalidInput(f"Line {place + 2}: the timestamp {said!r} is not a number of seconds.") from None


def split(responses: Responses, seed: int) -> tuple[list[list[Response]], list[list[Response]]]:
    """The students to fit on, in an order by hash, and those to test: a fifth, by a stable hash of their ids.

    Raises InvalidInput where one of the two is empty.
    """
    fitting = [student for student in responses if _hash(f"{seed}:{student}") % TEST_SHARE]
    testing = [student for student in responses if not _hash(f"{seed}:{student}") % TEST_SHARE]
    if not fitting or not testing:
        raise InvalidInput(f"{len(responses)} students are too few to split: give a file with 20 or more.")
    fitting.sort(key=lambda student: _hash(f"order:{seed}:{student}"))
    return [responses[student] for student in fitting], [responses[student] for student in testing]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
