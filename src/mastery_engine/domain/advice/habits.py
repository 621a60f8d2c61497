"""Work habits in small counters: hours, days, quizzes, hurry and hints. Patterns are computed from them.

Counters cover blocks of 15 days; a block is dropped as soon as its first day is older than the retention.
"""

from collections.abc import Iterable, Sequence
from operator import add
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

import msgspec

from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.events.kinds import Answer, Completion, Execution, Help, Quality, Quiz
from mastery_engine.domain.moments import DAY, MINUTE, Day
from mastery_engine.domain.rules import Rules

HOUR = 60 * MINUTE
BLOCK_DAYS = 15
HURRY_S = 10.0
LONGEST_S = 3_600.0
_HOURS = 24
_FULL = 255
_NO_COUNTS = bytes(_HOURS + BLOCK_DAYS)
_WORK = frozenset((Answer, Completion, Execution, Help, Quality, Quiz))


class Asked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Counts of questions.

    ``timed`` questions have a known time; of these ``wrong`` ones, ``fast`` ones (under 10 s) and ``fast_wrong`` ones
    are counted. ``told`` answers say how many hints were taken; ``helped`` ones took at least one.
    """

    timed: int = 0
    wrong: int = 0
    fast: int = 0
    fast_wrong: int = 0
    told: int = 0
    helped: int = 0


NOT_ASKED = Asked()


class Block(NamedTuple):
    """The counters of 15 days, by the number of the block.

    ``counts`` are pieces of work by hour of the day and then by day, each at most 255; ``quizzes`` has a bit for each
    day with a quiz; ``seconds`` is the time that events state; ``asked`` counts questions.
    """

    number: int
    counts: bytes = _NO_COUNTS
    quizzes: int = 0
    seconds: int = 0
    asked: Asked = NOT_ASKED

    @property
    def hours(self) -> bytes:
        return self.counts[:_HOURS]

    @property
    def days(self) -> bytes:
        return self.counts[_HOURS:]


Habits: TypeAlias = bytes  # the blocks, packed, by rising number

NO_HABITS: Habits = b""
_ROW = Struct(f">H{_HOURS + BLOCK_DAYS}sHI6H")
_SIZE = _ROW.size
_NUMBER, _COUNTERS = Struct(">H"), Struct(">HI6H")
_DAYS_AT = _NUMBER.size + _HOURS  # in a row
_COUNTERS_AT = _SIZE - _COUNTERS.size
_NO_COUNTERS = bytes(_SIZE - _NUMBER.size)
_MOST_SECONDS, _MOST_ASKED = 2**32 - 1, 2**16 - 1


def packed(blocks: Iterable[Block]) -> Habits:
    """The blocks, by rising number, as a document holds them; counts end at the most that a row holds."""
    return b"".join(
        [
            _ROW.pack(
                block.number,
                block.counts,
                block.quizzes,
                min(_MOST_SECONDS, block.seconds),
                *[min(_MOST_ASKED, count) for count in msgspec.structs.astuple(block.asked)],
            )
            for block in blocks
        ]
    )


def blocks_of(habits: Habits) -> list[Block]:
    """The blocks that ``packed`` packed."""
    return [
        Block(number, counts, quizzes, seconds, Asked(*asked))
        for number, counts, quizzes, seconds, *asked in _ROW.iter_unpack(habits)
    ]


def with_work(habits: Habits, fresh: Sequence[Logged], floor: Day, rules: Rules) -> Habits:
    """The habits after new events; days and hours are those of the course."""
    offset_at = rules.zone.offset_at
    changed, start, end, row = -1, 0, 0, bytearray()  # the block that changes: its number, and where it stands
    for logged in fresh:
        event = logged.event
        data: Any = event.data
        kind = type(data)
        if kind not in _WORK:
            continue
        day, within = divmod(event.at + offset_at(event.at), DAY)
        number, place = divmod(day, BLOCK_DAYS)
        if number != changed:
            if number * BLOCK_DAYS < floor:
                continue
            if row:
                habits = habits[:start] + row + habits[end:]
            changed = number
            start, end = _place(habits, number)
            row = bytearray(habits[start:end] or _NUMBER.pack(number) + _NO_COUNTERS)
        for counter in (_NUMBER.size + within // HOUR, _DAYS_AT + place):
            if row[counter] < _FULL:
                row[counter] += 1
        if kind is Answer:
            if data.duration is not None or data.hints is not None:
                _count(row, 0, data.duration, 1, int(not data.is_right), data.hints)
        elif kind is Quiz:
            questions = data.total_questions
            _count(row, 1 << place, data.time_spent, questions, round(questions - data.correct_answers), None)
        elif kind is Execution and data.duration is not None:  # that of a completion was that of its runs and answers
            _count(row, 0, data.duration, 0, 0, None)
    return habits[:start] + row + habits[end:] if row else habits


def _count(row: bytearray, quiz: int, spent: float | None, questions: int, wrong: int, hints: int | None) -> None:
    """Counts the time of a piece of work, and its ``questions``: one answer, or all of a quiz, which share the time."""
    quizzes, seconds, timed, missed, fast, fast_wrong, told, helped = _COUNTERS.unpack_from(row, _COUNTERS_AT)
    if spent is not None:
        seconds = min(_MOST_SECONDS, seconds + int(min(LONGEST_S, spent)))
        if questions:
            timed, missed = min(_MOST_ASKED, timed + questions), min(_MOST_ASKED, missed + wrong)
            if spent / questions < HURRY_S:
                fast, fast_wrong = min(_MOST_ASKED, fast + questions), min(_MOST_ASKED, fast_wrong + wrong)
    if hints is not None:
        told, helped = min(_MOST_ASKED, told + 1), min(_MOST_ASKED, helped + (hints > 0))
    _COUNTERS.pack_into(row, _COUNTERS_AT, quizzes | quiz, seconds, timed, missed, fast, fast_wrong, told, helped)


def _start(habits: Habits, number: int) -> int:
    """Where the first block begins that is not before ``number``."""
    start, wanted = len(habits), _NUMBER.pack(number)
    while start and habits[start - _SIZE : start - _SIZE + 2] >= wanted:
        start -= _SIZE
    return start


def _place(habits: Habits, number: int) -> tuple[int, int]:
    """Where the block of a number begins and ends, or would do both."""
    start = _start(habits, number)
    return start, start + _SIZE if habits[start : start + 2] == _NUMBER.pack(number) else start


def merged_habits(ours: Habits, theirs: Habits) -> Habits:
    """The counts of both, of which none counts what the other does."""
    both = {block.number: block for block in blocks_of(ours)}
    for block in blocks_of(theirs):
        known = both.get(block.number)
        both[block.number] = block if known is None else _sum(known, block)
    return packed([both[number] for number in sorted(both)])


def _sum(one: Block, other: Block) -> Block:
    counts = bytes(min(_FULL, count + more) for count, more in zip(one.counts, other.counts, strict=True))
    asked = Asked(*map(add, msgspec.structs.astuple(one.asked), msgspec.structs.astuple(other.asked)))
    return Block(one.number, counts, one.quizzes | other.quizzes, one.seconds + other.seconds, asked)


def since(habits: Habits, floor: Day) -> Habits:
    """Without the blocks that begin before ``floor``."""
    return habits[_start(habits, max(0, -(-floor // BLOCK_DAYS))) :]


class Work(msgspec.Struct, frozen=True, gc=False):
    """The sum of all blocks: pieces of work by hour and by day, the days with a quiz, seconds, and questions."""

    hours: tuple[int, ...]
    days: dict[Day, int]
    quiz_days: tuple[Day, ...]
    seconds: int
    asked: Asked

    @property
    def minutes_a_day(self) -> float | None:
        """Minutes a day, over days with work, by the time that events state; None if they state none."""
        return self.seconds / 60 / len(self.days) if self.seconds and self.days else None


def work(habits: Habits, floor: Day) -> Work:
    """The sum of the blocks that begin on the day ``floor`` or later."""
    days: dict[Day, int] = {}
    quiz_days: list[Day] = []
    hours, seconds, asked = [0] * _HOURS, 0, [0] * 6
    for block in blocks_of(since(habits, floor)):
        hours = [count + more for count, more in zip(hours, block.hours, strict=True)]
        first = block.number * BLOCK_DAYS
        days |= {first + place: count for place, count in enumerate(block.days) if count}
        quiz_days += [first + place for place in range(BLOCK_DAYS) if block.quizzes >> place & 1]
        seconds += block.seconds
        asked = [total + more for total, more in zip(asked, msgspec.structs.astuple(block.asked), strict=True)]
    return Work(tuple(hours), days, tuple(quiz_days), seconds, Asked(*asked))
