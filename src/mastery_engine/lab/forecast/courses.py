"""Files of learners as the lab reads them: who did what, when work was due, and the engine's own fold over it."""

import csv
import gzip
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from io import StringIO
from pathlib import Path

import msgspec

from mastery_engine.domain.events.event import LearningEvent, check_times, decode
from mastery_engine.domain.events.kinds import Answer, Completion, Quality, Quiz
from mastery_engine.domain.forecast.misses import documents
from mastery_engine.domain.given_ids import normal_id
from mastery_engine.domain.moments import Day, Micros, day_of, day_of_date
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import Student
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.packed import opened

WORK = (Completion, Quiz, Quality, Answer)
TEST_SHARE = 5  # one student of so many is for the test
BOM = b"\xef\xbb\xbf"


class RecordedLearner(msgspec.Struct, frozen=True):
    """One student of a file: their events in the order of time, and when which days with work due became known."""

    student_id: str
    events: tuple[LearningEvent, ...]
    calendars: tuple[tuple[Micros, tuple[Day, ...]], ...] = ()

    @property
    def first(self) -> Day:
        return day_of(self.events[0].at)

    @property
    def last(self) -> Micros:
        return self.events[-1].at

    @property
    def is_for_test(self) -> bool:
        """By a stable hash of the id."""
        return int(hashlib.sha256(self.student_id.encode()).hexdigest(), 16) % TEST_SHARE == 0

    def due_known(self, at: Micros) -> tuple[Day, ...]:
        """The due days, past and to come, of the cohorts that the events up to a moment name."""
        return tuple(sorted(day for known, days in self.calendars if known <= at for day in days))

    def worked(self, after: Day, until: Day) -> bool:
        """Whether a completion, a quiz or other graded work came on one of the days."""
        return any(after < day_of(event.at) <= until and isinstance(event.data, WORK) for event in self.events)


def learners(
    lines: Iterable[tuple[int, bytes]], calendar: dict[str, tuple[Day, ...]], rules: Rules
) -> list[RecordedLearner]:
    """The students of a file of events, each event received at its own time. Raises InvalidInput with the line."""
    by_student: dict[str, list[LearningEvent]] = defaultdict(list)
    for number, line in lines:
        try:
            event = decode(line, received=0, event_id=f"line-{number}")
            event = check_times(msgspec.structs.replace(event, received=event.at), rules)
        except InvalidInput as error:
            raise InvalidInput(f"Line {number}: {error.message}", field=error.field) from error
        by_student[event.student_id].append(event)
    return _recorded(by_student, calendar)


def learners_of(events: Iterable[LearningEvent], calendar: dict[str, tuple[Day, ...]]) -> list[RecordedLearner]:
    """The students of some events, each event received at its own time."""
    by_student: dict[str, list[LearningEvent]] = defaultdict(list)
    for event in events:
        by_student[event.student_id].append(event)
    return _recorded(by_student, calendar)


def _recorded(
    by_student: dict[str, list[LearningEvent]], calendar: dict[str, tuple[Day, ...]]
) -> list[RecordedLearner]:
    return [
        RecordedLearner(student_id, tuple(sorted(events, key=lambda event: event.at)), _calendars(events, calendar))
        for student_id, events in sorted(by_student.items())
    ]


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, plain or gzip, that are not blank, with their numbers from 1.

    Raises InvalidInput where a packed file ends too soon or is damaged, after the lines before that.
    """
    number = 0
    with opened(path) as file:
        try:
            for number, line in enumerate(file, 1):
                text = line.removeprefix(BOM) if number == 1 else line
                if text.strip():
                    yield number, text
        except EOFError as error:
            raise InvalidInput(f"{path} is cut short after line {number}: copy it again, whole.") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InvalidInput(f"{path} is damaged after line {number}: copy it again.") from error


def _calendars(
    events: Sequence[LearningEvent], calendar: dict[str, tuple[Day, ...]]
) -> tuple[tuple[Micros, tuple[Day, ...]], ...]:
    """When a student's events first name each cohort that has a calendar, and its due days."""
    joined: dict[str, Micros] = {}
    for event in events:
        cohort = str(event.metadata.get("cohort_id"))
        if cohort in calendar:
            joined[cohort] = min(event.at, joined.get(cohort, event.at))
    return tuple((at, calendar[cohort]) for cohort, at in joined.items())


def calendar_from(path: Path) -> dict[str, tuple[Day, ...]]:
    """Each cohort's due days, from CSV with the columns ``cohort_id`` and ``due``. Raises InvalidInput."""
    due: dict[str, list[Day]] = defaultdict(list)
    rows = csv.DictReader(StringIO(_text_of(path), newline=""), restval="")
    try:
        if not {"cohort_id", "due"} <= set(rows.fieldnames or ()):
            raise InvalidInput(f"{path} has no columns cohort_id and due.")
        for row in rows:
            if not row["cohort_id"]:
                raise InvalidInput(f"{path}, line {rows.line_num}: cohort_id is empty.")
            cohort_id = normal_id(row["cohort_id"], f"{path}, line {rows.line_num}: cohort_id")
            due[cohort_id].append(day_of_date(date.fromisoformat(row["due"])))
    except csv.Error as error:
        raise InvalidInput(f"{path} cannot be read as CSV after line {rows.line_num}.") from error
    except ValueError as error:
        raise InvalidInput(f"{path}, line {rows.line_num}: due is no date like 2026-01-14.") from error
    return {cohort: tuple(sorted(days)) for cohort, days in due.items()}


def _text_of(path: Path) -> str:
    source = path.read_bytes()
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{path}, line {line}: this is no UTF-8, save the file as UTF-8.") from error


def days_of(learner: RecordedLearner, rules: Rules) -> Iterator[tuple[Day, Student]]:
    """The document at 23:59:59 UTC of each day from the first to the last, folded as the worker folds."""
    return documents(learner.events, range(learner.first, day_of(learner.last) + 1), rules)


def counted(known: Sequence[RecordedLearner], tell: Callable[[float], None]) -> Iterator[RecordedLearner]:
    """The learners one after another; ``tell`` is given how many are done."""
    for place, learner in enumerate(known):
        yield learner
        tell(place + 1)
