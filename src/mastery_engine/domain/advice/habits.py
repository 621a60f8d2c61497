"""How a student works, in small counters: hours, days, quizzes, hurry and hints. Patterns are read from them.

Counters stand in blocks of 15 days, and a block goes as soon as its first day leaves the retention.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.events.kinds import Answer, Completion, Execution, Help, Quality, Quiz
from mastery_engine.domain.moments import DAY, MINUTE, Day

HOUR = 60 * MINUTE
BLOCK_DAYS = 15
HURRY_S = 10.0
LONGEST_S = 3_600.0
_HOURS = 24
_FULL = 255
_NO_COUNTS = bytes(_HOURS + BLOCK_DAYS)
_WORK = frozenset((Answer, Completion, Execution, Help, Quality, Quiz))


class Asked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of questions whose time is known (``timed``): those that were wrong, the fast ones (under 10 s), and both.

    Of answers that tell of hints (``told``): those with hints.
    """

    timed: int = 0
    wrong: int = 0
    fast: int = 0
    fast_wrong: int = 0
    told: int = 0
    helped: int = 0


NOT_ASKED = Asked()


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was done in 15 days.

    ``counts`` are pieces of work by hour (UTC) and then by day, each up to 255; ``quizzes`` has a bit for each day with
    a quiz; ``seconds`` were spent, as far as events say; ``asked`` is about questions.
    """

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


Habits: TypeAlias = dict[int, Block]

NO_HABITS: Habits = {}  # shared: whoever adds to habits makes a dictionary of its own
_NO_BLOCK = Block()


def with_work(habits: Habits, fresh: Sequence[Logged], floor: Day) -> Habits:
    """The habits with what these events say of them."""
    after: Habits | None = None
    changed = -1  # the number of the block whose counts are at hand
    counts = bytearray()
    quizzes, seconds, asked = 0, 0, [0] * 6
    for one in fresh:
        event = one.event
        data: Any = event.data
        kind = type(data)
        if kind not in _WORK:
            continue
        day, within = divmod(event.at, DAY)
        number, place = divmod(day, BLOCK_DAYS)
        if number != changed:
            if number * BLOCK_DAYS < floor:
                continue
            if after is None:
                after = {**habits}
            else:
                after[changed] = Block(bytes(counts), quizzes, seconds, Asked(*asked))
            block = after.get(number, _NO_BLOCK)
            changed, counts = number, bytearray(block.counts)
            quizzes, seconds, asked = block.quizzes, block.seconds, list(msgspec.structs.astuple(block.asked))
        hour = within // HOUR
        if counts[hour] < _FULL:
            counts[hour] += 1
        if counts[_HOURS + place] < _FULL:
            counts[_HOURS + place] += 1
        if kind is Answer:
            spent = data.duration
            _count(asked, 1, int(not data.correct), spent, data.hints)
        elif kind is Quiz:
            spent, questions = data.time_spent, data.total_questions
            quizzes |= 1 << place
            _count(asked, questions, questions - data.correct_answers, spent, None)
        else:  # a completion's time is that of its runs and answers, which tell it
            spent = data.duration if kind is Execution else None
        if spent is not None:
            seconds += int(min(LONGEST_S, spent))
    if after is None:
        return habits
    after[changed] = Block(bytes(counts), quizzes, seconds, Asked(*asked))
    return after


def since(habits: Habits, floor: Day) -> Habits:
    """Without the blocks that begin before ``floor``."""
    if all(number * BLOCK_DAYS >= floor for number in habits):
        return habits
    return {number: block for number, block in habits.items() if number * BLOCK_DAYS >= floor}


def _count(asked: list[int], questions: int, wrong: int, spent: float | None, hints: int | None) -> None:
    """Add one answer, or the questions of one quiz, which share its time, to counts in the order of ``Asked``."""
    if hints is not None:
        asked[4] += 1
        asked[5] += hints > 0
    if spent is not None:
        asked[0] += questions
        asked[1] += wrong
        if spent / questions < HURRY_S:
            asked[2] += questions
            asked[3] += wrong


class Work(msgspec.Struct, frozen=True, gc=False):
    """All blocks together: pieces of work by hour and by day, the days with a quiz, seconds, and the questions."""

    hours: tuple[int, ...]
    days: dict[Day, int]
    quiz_days: tuple[Day, ...]
    seconds: int
    asked: Asked

    @property
    def minutes_a_day(self) -> float | None:
        """Minutes spent on a day with work, as far as events say; None where they do not."""
        return self.seconds / 60 / len(self.days) if self.seconds and self.days else None


def work(habits: Habits, floor: Day) -> Work:
    """What the blocks within the retention come to."""
    days: dict[Day, int] = {}
    quiz_days: list[Day] = []
    hours, seconds, asked = [0] * _HOURS, 0, [0] * 6
    for number, block in sorted(since(habits, floor).items()):
        hours = [count + more for count, more in zip(hours, block.hours, strict=True)]
        first = number * BLOCK_DAYS
        days |= {first + place: count for place, count in enumerate(block.days) if count}
        quiz_days += [first + place for place in range(BLOCK_DAYS) if block.quizzes >> place & 1]
        seconds += block.seconds
        asked = [total + more for total, more in zip(asked, msgspec.structs.astuple(block.asked), strict=True)]
    return Work(tuple(hours), days, tuple(quiz_days), seconds, Asked(*asked))
