"""A file of events as JSON lines, plain or gzip: its lines, and its events, which may be moved by whole days."""

import gzip
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, BinaryIO, cast

import msgspec

from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.events.envelope import moment_from
from mastery_engine.domain.events.event import (
    DEFAULT_TENANT,
    CountingTimes,
    LearningEvent,
    check_times,
    counting_times,
    decode_naming_unknown,
    decode_written,
)
from mastery_engine.domain.events.kinds import Consistency
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.json_text import check_not_wide, without_mark
from mastery_engine.domain.moments import DAY, EARLIEST, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import course_of
from mastery_engine.errors import InvalidInput, TooLarge

LONGEST_LINE = 1 << 20  # bytes, as for a body over HTTP
_BEGINS_LIST = re.compile(rb"\[\s*(?:\{|\]|$)")
_GZIP = b"\x1f\x8b"


class EventFile:
    """An open file, which can be read more than once."""

    def __init__(self, file: BinaryIO, size: int | None) -> None:
        self._file = file
        self.size = size

    def content(self) -> bytes:
        """All of the file, unpacked, without a byte-order mark. Raises InvalidInput for UTF-16 and for damage."""
        try:
            content = self._text().read()
        except (EOFError, OSError, zlib.error) as error:
            raise InvalidInput("The compressed file is damaged: copy it again.") from error
        check_not_wide(content)
        return without_mark(content)

    def lines(self, *, takes_list: bool = False) -> Iterator[tuple[int, bytes]]:
        """Each line that is not blank, with its number from 1; a line longer than 1 MiB is cut.

        A byte-order mark at the beginning is passed over. Raises InvalidInput for UTF-16, for a JSON list unless
        ``takes_list``, and at the place where a compressed file is damaged.
        """
        text = self._text()
        number, is_first = 0, not takes_list
        try:
            while line := text.readline(LONGEST_LINE + 1):
                number += 1
                end = line
                while len(end) > LONGEST_LINE and not end.endswith(b"\n"):
                    end = text.readline(LONGEST_LINE + 1)
                if number == 1:
                    line = without_mark(line)
                    check_not_wide(line)
                line = line.strip()
                if is_first and _BEGINS_LIST.match(line):
                    raise InvalidInput(
                        "The file is a JSON list: write each event in a line of its own, without brackets and commas."
                    )
                if line:
                    is_first = False
                    yield number, line
        except (EOFError, OSError, zlib.error) as error:
            raise InvalidInput(f"The compressed file is damaged after line {number}: copy it again.") from error

    def _text(self) -> IO[bytes]:
        """The file from its beginning, unpacked."""
        self._file.seek(0)
        packed = self._file.read(len(_GZIP)) == _GZIP
        self._file.seek(0)
        return cast(IO[bytes], gzip.GzipFile(fileobj=self._file) if packed else self._file)

    @property
    def position(self) -> int:
        """Bytes read so far, of ``size``."""
        return self._file.tell()


@contextmanager
def open_events(path: Path, kind: type[EventFile] = EventFile) -> Iterator[EventFile]:
    """The file, or standard input for ``-``; input that cannot be read twice is copied to a temporary file."""
    with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
        if file.seekable():
            yield kind(file, path.stat().st_size if path.is_file() else None)
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy)
            yield kind(copy, copy.tell())


def event_in(
    number: int, line: bytes, *, received: Micros, tenant: str, days: int, rules_of: Callable[[CourseKey], Rules]
) -> tuple[LearningEvent, list[str]]:
    """The event in a line, moved by whole days, and the names of its unknown fields.

    Without an id it gets one derived from the line and its number. Raises InvalidInput and TooLarge.
    """
    event, unknown = _decoded(number, line, received=received, tenant=tenant)
    return check_times(shifted(event, days) if days else event, rules_of(course_of(event))), unknown


class PlainLines:
    """Reads the plain lines of a chunk: those that the log may keep as they are, with an event that surely counts."""

    def __init__(self, received: Micros, tenant: str, rules_of: Callable[[CourseKey], Rules]) -> None:
        """All are received at one moment."""
        self._received = received
        self._tenant = tenant
        self._rules_of = rules_of
        self._times: dict[str, CountingTimes] = {}

    def event_in(self, line: bytes) -> LearningEvent | None:
        """The event in a line; None where only ``event_in`` can tell."""
        event = None if len(line) > LONGEST_LINE else decode_written(line, received=self._received, tenant=self._tenant)
        if event is None:
            return None
        times = self._times.get(event.course_id)
        if times is None:
            rules = self._rules_of(course_of(event))
            times = self._times[event.course_id] = counting_times(self._received, self._received, rules)
        return event if times.hold(event) else None


def days_to_now(source: EventFile, now: Micros) -> int:
    """The number of days by which to move the events, so that the newest lies within the 24 hours before ``now``."""
    newest = _newest(source, now, only_good=False)
    return 0 if newest is None else (now - newest) // DAY


def _newest(source: EventFile, now: Micros, *, only_good: bool) -> Micros | None:
    """The newest time that an event of the file states; if that is on a bad line, only good lines are compared."""
    newest, in_line = None, (0, b"")
    for number, line in _readable(source):
        at = _stated(line)
        if at is None or (newest is not None and at <= newest) or (only_good and not _is_good(number, line, now)):
            continue
        newest, in_line = at, (number, line)
    if newest is None or only_good or _is_good(*in_line, now):
        return newest
    return _newest(source, now, only_good=True)


def shifted(event: LearningEvent, days: int) -> LearningEvent:
    """The event with its time and the dates in its data moved; an event without a time has that of its receipt.

    Raises InvalidInput if a date leaves the calendar.
    """
    at = event.at if event.at == event.received else event.at + days * DAY
    data = event.data
    try:
        if isinstance(data, Consistency) and data.activity_dates:
            moved = tuple(day + timedelta(days=days) for day in data.activity_dates)
            data = msgspec.structs.replace(data, activity_dates=moved)
        if at < EARLIEST:
            raise OverflowError
    except OverflowError:
        raise InvalidInput(
            f"Moved by {days} days, the event would have an impossible date.", field="timestamp"
        ) from None
    return msgspec.structs.replace(event, at=at, data=data)


class _Time(msgspec.Struct):
    timestamp: datetime | int | None = None


_time = msgspec.json.Decoder(_Time).decode


def _stated(line: bytes) -> Micros | None:
    try:
        timestamp = _time(line).timestamp
        return None if timestamp is None else moment_from(timestamp)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidInput):
        return None


def _is_good(number: int, line: bytes, now: Micros) -> bool:
    try:
        _decoded(number, line, received=now, tenant=DEFAULT_TENANT)
    except (InvalidInput, TooLarge):
        return False
    return True


def _readable(source: EventFile) -> Iterator[tuple[int, bytes]]:
    """The lines up to where the file is damaged, if it is; the damage is reported when the lines are ingested."""
    try:
        yield from source.lines()
    except InvalidInput:
        return


def _decoded(number: int, line: bytes, *, received: Micros, tenant: str) -> tuple[LearningEvent, list[str]]:
    if len(line) > LONGEST_LINE:
        raise TooLarge("The line is longer than 1 MiB.")
    return decode_naming_unknown(
        line, received=received, tenant=tenant, event_id=lambda: derived_id("line", str(number), line.decode())
    )
