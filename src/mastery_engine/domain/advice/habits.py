"""Work habits in small counters: hours, days, quizzes, hurry and hints. Patterns are computed from them.

Counters cover blocks of 15 days; a block is dropped as soon as its first day is older than the retention.
"""

from collections.abc import Sequence
from operator import add
from typing import Any, TypeAlias

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


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The counters of 15 days.

    ``counts`` are pieces of work by hour of the day and then by day, each at most 255; ``quizzes`` has a bit for each
    day with a quiz; ``seconds`` is the time that events state; ``asked`` counts questions.
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

NO_HABITS: Habits = {}  # shared, so never changed: adding work makes a new dictionary
_NO_BLOCK = Block()


def with_work(habits: Habits, fresh: Sequence[Logged], floor: Day, rules: Rules) -> Habits:
    """The habits after new events; days and hours are those of the course."""
    offset_at = rules.zone.offset_at
    after: Habits | None = None
    changed = -1  # the number of the block whose counts are unpacked
    counts = bytearray()
    quizzes, seconds, asked = 0, 0, NOT_ASKED
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
            if after is None:
                after = {**habits}
            else:
                after[changed] = Block(bytes(counts), quizzes, seconds, asked)
            block = after.get(number, _NO_BLOCK)
            changed, counts = number, bytearray(block.counts)
            quizzes, seconds, asked = block.quizzes, block.seconds, block.asked
        hour = within // HOUR
        if counts[hour] < _FULL:
            counts[hour] += 1
        if counts[_HOURS + place] < _FULL:
            counts[_HOURS + place] += 1
        if kind is Answer:
            spent = data.duration
            asked = _with_questions(asked, 1, int(not data.is_right), spent, data.hints)
        elif kind is Quiz:
            spent, questions = data.time_spent, data.total_questions
            quizzes |= 1 << place
            asked = _with_questions(asked, questions, round(questions - data.correct_answers), spent, None)
        else:  # the time of a completion is not counted: it was that of its runs and answers
            spent = data.duration if kind is Execution else None
        if spent is not None:
            seconds += int(min(LONGEST_S, spent))
    if after is None:
        return habits
    after[changed] = Block(bytes(counts), quizzes, seconds, asked)
    return after


def merged_habits(ours: Habits, theirs: Habits) -> Habits:
    """The counts of both, of which none counts what the other does."""
    return {
        number: _sum(ours.get(number, _NO_BLOCK), theirs.get(number, _NO_BLOCK)) for number in sorted({*ours, *theirs})
    }


def _sum(one: Block, other: Block) -> Block:
    counts = bytes(min(_FULL, count + more) for count, more in zip(one.counts, other.counts, strict=True))
    asked = Asked(*map(add, msgspec.structs.astuple(one.asked), msgspec.structs.astuple(other.asked)))
    return Block(counts, one.quizzes | other.quizzes, one.seconds + other.seconds, asked)


def since(habits: Habits, floor: Day) -> Habits:
    """Without the blocks that begin before ``floor``."""
    if all(number * BLOCK_DAYS >= floor for number in habits):
        return habits
    return {number: block for number, block in habits.items() if number * BLOCK_DAYS >= floor}


def _with_questions(asked: Asked, questions: int, wrong: int, spent: float | None, hints: int | None) -> Asked:
    """The counts with one answer, or with all questions of one quiz, which share its time."""
    if spent is None and hints is None:
        return asked
    told, helped = asked.told, asked.helped
    if hints is not None:
        told, helped = told + 1, helped + (hints > 0)
    if spent is None:
        return Asked(asked.timed, asked.wrong, asked.fast, asked.fast_wrong, told, helped)
    if spent / questions < HURRY_S:
        fast, fast_wrong = asked.fast + questions, asked.fast_wrong + wrong
    else:
        fast, fast_wrong = asked.fast, asked.fast_wrong
    return Asked(asked.timed + questions, asked.wrong + wrong, fast, fast_wrong, told, helped)


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
    for number, block in sorted(since(habits, floor).items()):
        hours = [count + more for count, more in zip(hours, block.hours, strict=True)]
        first = number * BLOCK_DAYS
        days |= {first + place: count for place, count in enumerate(block.days) if count}
        quiz_days += [first + place for place in range(BLOCK_DAYS) if block.quizzes >> place & 1]
        seconds += block.seconds
        asked = [total + more for total, more in zip(asked, msgspec.structs.astuple(block.asked), strict=True)]
    return Work(tuple(hours), days, tuple(quiz_days), seconds, Asked(*asked))
