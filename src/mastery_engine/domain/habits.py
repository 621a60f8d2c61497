"""How a student works, in small counters: hours, days, quizzes, hurry and hints. Patterns are read from them.

Counters stand in blocks of 15 days, and a block goes as soon as its first day leaves the retention.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from mastery_engine.domain.events import Logged
from mastery_engine.domain.kinds import Answer, Completion, Execution, Help, Quality, Quiz
from mastery_engine.domain.moments import DAY, MINUTE, Day

HOUR = 60 * MINUTE
BLOCK_DAYS = 15
HURRY_S = 10.0
LONGEST_S = 3_600.0
_HOURS = 24
_FULL = 255
_NO_COUNTS = bytes(_HOURS + BLOCK_DAYS)
_WORK = frozenset((Answer, Completion, Execution, Help, Quality, Quiz))


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was done in 15 days.

    ``counts`` are pieces of work by hour (UTC) and then by day, each up to 255; ``quizzes`` has a bit for each day with
    a quiz; ``seconds`` were spent, as far as events say. Of questions whose time is known: ``timed``, and how many of
    them were ``wrong``; ``fast`` (under 10 s) and ``fast_wrong``. Of answers that tell of hints (``told``): ``helped``.
    """

    counts: bytes = _NO_COUNTS
    quizzes: int = 0
    seconds: int = 0
    timed: int = 0
    wrong: int = 0
    fast: int = 0
    fast_wrong: int = 0
    told: int = 0
    helped: int = 0

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
    for one in fresh:
        data: Any = one.event.data
        kind = type(data)
        if kind not in _WORK:
            continue
        day, within = divmod(one.event.at, DAY)
        number, place = divmod(day, BLOCK_DAYS)
        if number * BLOCK_DAYS < floor:
            continue
        if after is None:
            after = {**habits}
        block = after.get(number, _NO_BLOCK)
        counts = bytearray(block.counts)
        hour = within // HOUR
        if counts[hour] < _FULL:
            counts[hour] += 1
        if counts[_HOURS + place] < _FULL:
            counts[_HOURS + place] += 1
        if kind is Execution:
            spent = data.duration
        elif kind is Completion:
            spent = None  # its runs and answers have told the time already, where anything has
        elif kind is Answer or kind is Quiz:
            after[number] = _questioned(block, bytes(counts), place, data)
            continue
        else:
            spent = None
        seconds = block.seconds if spent is None else block.seconds + int(min(spent, LONGEST_S))
        after[number] = Block(
            bytes(counts),
            block.quizzes,
            seconds,
            block.timed,
            block.wrong,
            block.fast,
            block.fast_wrong,
            block.told,
            block.helped,
        )
    return habits if after is None else after


def since(habits: Habits, floor: Day) -> Habits:
    """Without the blocks that begin before ``floor``."""
    if all(number * BLOCK_DAYS >= floor for number in habits):
        return habits
    return {number: block for number, block in habits.items() if number * BLOCK_DAYS >= floor}


def _questioned(block: Block, counts: bytes, place: int, data: Answer | Quiz) -> Block:
    """With one answer, or with the questions of one quiz, which share its time."""
    quizzes, told, helped = block.quizzes, block.told, block.helped
    if isinstance(data, Quiz):
        questions, wrong, spent = data.total_questions, data.total_questions - data.correct_answers, data.time_spent
        quizzes |= 1 << place
    else:
        questions, wrong, spent = 1, int(not data.correct), data.duration
        if data.hints is not None:
            told += 1
            helped += data.hints > 0
    if spent is None:
        return msgspec.structs.replace(block, counts=counts, quizzes=quizzes, told=told, helped=helped)
    in_a_hurry = spent / questions < HURRY_S
    return Block(
        counts,
        quizzes,
        block.seconds + int(min(spent, LONGEST_S)),
        block.timed + questions,
        block.wrong + wrong,
        block.fast + (questions if in_a_hurry else 0),
        block.fast_wrong + (wrong if in_a_hurry else 0),
        told,
        helped,
    )


class Work(msgspec.Struct, frozen=True, gc=False):
    """All blocks together: pieces of work by hour and by day, the days with a quiz, and the sums of the counters."""

    hours: tuple[int, ...]
    days: dict[Day, int]
    quiz_days: tuple[Day, ...]
    sums: Block

    @property
    def minutes_a_day(self) -> float | None:
        """Minutes spent on a day with work, as far as events say; None where they do not."""
        return self.sums.seconds / 60 / len(self.days) if self.sums.seconds and self.days else None


def work(habits: Habits, floor: Day) -> Work:
    """What the blocks within the retention come to."""
    days: dict[Day, int] = {}
    quiz_days: list[Day] = []
    hours, sums = [0] * _HOURS, [0] * 7
    for number, block in sorted(since(habits, floor).items()):
        hours = [count + more for count, more in zip(hours, block.hours, strict=True)]
        first = number * BLOCK_DAYS
        days |= {first + place: count for place, count in enumerate(block.days) if count}
        quiz_days += [first + place for place in range(BLOCK_DAYS) if block.quizzes >> place & 1]
        fields = (block.seconds, block.timed, block.wrong, block.fast, block.fast_wrong, block.told, block.helped)
        sums = [total + more for total, more in zip(sums, fields, strict=True)]
    return Work(tuple(hours), days, tuple(quiz_days), Block(_NO_COUNTS, 0, *sums))
