"""Files of answers, and how the backtest divides their students."""

import csv
import zlib
from collections.abc import Sequence
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from mastery_engine.domain.events.kinds import Difficulty
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.packed import opened

COLUMNS = ("student_id", "item_id", "skill_id", "correct", "timestamp")
WITHOUT_TIMES = 60.0  # seconds from answer to answer, where the file has only their order
FARTHEST = 1e12  # seconds from 1970: thirty thousand years
TEST_SHARE = 5  # one student in five
FEWEST = 5  # students


class AnswerRow(msgspec.Struct, frozen=True):
    """One answer; ``number`` is its line of the data from 0, ``at`` in seconds since 1970 or the first answer."""

    number: int
    item_id: str
    skills: tuple[str, ...]
    right: int
    at: float


Students: TypeAlias = dict[str, list[AnswerRow]]


class AnswerGiven(NamedTuple):
    """An answer as the model takes it: right to a fraction, at a moment, to an item as hard as its author says."""

    item_id: str
    skills: tuple[str, ...]
    right: float
    at: Micros
    said: Difficulty | None = None


def read_answers(path: Path) -> Students:
    """The answers by student, each student's in the order of the file; plain or gzip.

    Raises InvalidInput with the line at fault.
    """
    students: Students = {}
    try:
        with TextIOWrapper(opened(path), "utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidInput(f"{path.name} has no column {missing[0]}: it needs {', '.join(COLUMNS)}.")
            for line in reader:
                rows = students.setdefault(line["student_id"], [])
                rows.append(_row(line, reader.line_num - 2, len(rows)))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(
            f"{path.name} cannot be read as CSV: save it as UTF-8 text with commas, or as gzip of that."
        ) from error
    if len(students) < FEWEST:
        raise InvalidInput(
            f"{path.name} has too few students, {len(students)}: fitting needs {FEWEST} or more, a backtest 20 or more."
        )
    return students


def _row(line: dict[str, str], number: int, place: int) -> AnswerRow:
    skills = tuple(dict.fromkeys(name for name in line["skill_id"].split("~") if name))
    try:
        at = float(line["timestamp"]) if line["timestamp"] else place * WITHOUT_TIMES
        named = skills and line["student_id"].strip() and line["item_id"].strip()
        if not named or line["correct"] not in ("0", "1") or not abs(at) <= FARTHEST:
            raise ValueError
    except ValueError:
        raise InvalidInput(
            f"Line {number + 2} is no answer: student_id and item_id are not empty, correct is 0 or 1, skill_id names "
            "a skill (several joined by ~), and timestamp is a number of seconds or empty."
        ) from None
    return AnswerRow(number, line["item_id"], skills, int(line["correct"]), at)


def given(rows: Sequence[AnswerRow]) -> list[AnswerGiven]:
    """A student's answers as the model takes them."""
    return [AnswerGiven(row.item_id, row.skills, float(row.right), round(row.at * SECOND)) for row in rows]


def split(students: Sequence[str] | Students, seed: int) -> tuple[list[str], list[str]]:
    """80% of the students to fit on, in an order of their own, and 20% to test on: by a hash, so always the same."""
    fitted = [student_id for student_id in students if _hash(f"{seed}:{student_id}") % TEST_SHARE]
    tested = [student_id for student_id in students if not _hash(f"{seed}:{student_id}") % TEST_SHARE]
    return sorted(fitted, key=lambda student_id: _hash(f"order:{seed}:{student_id}")), tested


def _hash(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")
