"""Causes, a section of the document: by how much the events of the last 14 days moved their components.

A row stands for the events of one kind on one topic and day, in the order of their arrival. What passes without an
event (days away, evidence that ages) has no row: it is what the rows of a range leave of the change. Rows go by the
days of the history. An event timed before the newest point's day is pending until the next point shows its effect.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter, itemgetter
from struct import Struct
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.kinds import Answer, CalculationRequested, Completion, Data, Quality, Quiz
from mastery_engine.domain.evidence.attempts import MAX_ATTEMPTS
from mastery_engine.domain.evidence.evidence import Evidence, TopicProgress, mean_quality
from mastery_engine.domain.evidence.history import NOTHING_YET, POINT_SIZE, History, sixths
from mastery_engine.domain.evidence.score import FourValues, component
from mastery_engine.domain.moments import Day
from mastery_engine.domain.rules import COMPLETION, COMPONENTS, CONSISTENCY, QUALITY, QUIZ, Rules

CauseKind: TypeAlias = Literal[
    "started", "completion", "quiz", "answer", "quality", "calculation", "several", "regrade"
]
ChangeKind: TypeAlias = CauseKind | Literal["active", "away", "aged", "earlier"]

CAUSE_DAYS = 14
MOST_ROWS, COARSE_ROWS = 48, 42
MOST_NAMED = 240  # bytes of topics; those beyond have no name here
(
    STARTED_CODE,
    COMPLETION_CODE,
    QUIZ_CODE,
    ANSWER_CODE,
    QUALITY_CODE,
    CALCULATION_CODE,
    SEVERAL_CODE,
    REGRADE_CODE,
) = (16 * place for place in range(len(get_args(CauseKind))))
# A code is that of the kind, the place of the component, and these bits.
LATE, PENDING = 4, 8

_KIND_OF: tuple[CauseKind, ...] = get_args(CauseKind)
_ROW = Struct(">HBBIH")
_SIZE = _ROW.size
_KEY = Struct(">HBB")
_VALUE = Struct(">IH")
_NOTHING_PACKED = b"".join([value.to_bytes(2, "little") for value in NOTHING_YET])
_DAY_SIZE, _CODE, _VALUES = 2, 2, 4
_MOVED_BITS, _MOVED_ZERO = 24, 1 << 23
_KIND = 0xF0  # the bits of a code that are its kind
_MOST_EVENTS = 255
_UNNAMED = 255
_SHARES = 10_000
_CODE_OF: dict[type[Data], int] = {
    Completion: COMPLETION_CODE | COMPLETION,
    Quiz: QUIZ_CODE | QUIZ,
    Answer: ANSWER_CODE | QUIZ,
    Quality: QUALITY_CODE | QUALITY,
}
_COMPLETIONS, _QUIZZES, _ANSWERS = _CODE_OF[Completion], _CODE_OF[Quiz], _CODE_OF[Answer]
_STARTS = STARTED_CODE | COMPLETION
_REPLACING = frozenset((STARTED_CODE, COMPLETION_CODE, CALCULATION_CODE, REGRADE_CODE))


class Cause(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Events that moved a component by so many ``sixths``.

    ``share`` is their mean result, or the latest state, in 1/10,000. ``code`` has the kind, the component and whether
    the events came late.
    """

    code: int
    topic: str | None
    events: int
    moved: int
    share: int

    @property
    def place(self) -> int:
        """The place of the component in ``COMPONENTS``."""
        return self.code & 3

    @property
    def kind(self) -> CauseKind:
        return _KIND_OF[self.code >> 4]

    @property
    def is_late(self) -> bool:
        return bool(self.code & LATE)

    @property
    def is_pending(self) -> bool:
        """Whether no daily point shows the effect yet."""
        return bool(self.code & PENDING)


class Causes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The rows by rising day, packed, and the topics that they refer to.

    Rows are complete after the day ``complete_after``. ``is_aged`` says that evidence was dropped since the last fold.
    """

    rows: bytes = b""
    topics: bytes = b"\0"
    complete_after: Day = 0
    is_aged: bool = False

    def plus(self, day: Day, cause: Cause) -> "Causes":
        """With one more cause on ``day``, the newest day or a later one."""
        rows, topics, code, topic = self.rows, self.topics, cause.code, cause.topic
        if cause.events > _MOST_EVENTS:  # more than a row counts
            part = Cause(code, topic, _MOST_EVENTS, 0, cause.share)
            rest = Cause(code, topic, cause.events - _MOST_EVENTS, cause.moved, cause.share)
            return self.plus(day, part).plus(day, rest)
        if rows and (rows[0] << 8 | rows[1]) <= day - CAUSE_DAYS:
            drop = _SIZE
            while drop < len(rows) and int.from_bytes(rows[drop : drop + _DAY_SIZE], "big") <= day - CAUSE_DAYS:
                drop += _SIZE
            rows = rows[drop:]
            if len(topics) > MOST_NAMED // 2:
                rows, topics = _renumbered(list(_ROW.iter_unpack(rows)), topics)
        place = _UNNAMED
        if topic:
            name = _spelled(topic)
            place = topics.find(name)
            if place < 0:
                place = _UNNAMED
                if len(topics) + len(name) <= MOST_NAMED:
                    place = len(topics) - 1
                    topics += name[1:]
        key = _KEY.pack(day, code, place)
        rows = _with_row(rows, key, cause)
        if len(rows) > MOST_ROWS * _SIZE:
            return _coarser(Causes(rows, topics, self.complete_after))
        return Causes(rows, topics, self.complete_after)

    @property
    def is_plain(self) -> bool:
        """Whether nothing was dropped since the last fold, and the newest point shows all that came."""
        rows = self.rows
        return not self.is_aged and not (rows and rows[_CODE - _SIZE] & PENDING)

    @property
    def has_pending(self) -> bool:
        rows = self.rows
        return bool(rows) and bool(rows[_CODE - _SIZE] & PENDING)

    def settled(self, day: Day) -> "Causes":
        """With the pending causes on ``day``, whose point shows their effect."""
        rows, start = self.rows, len(self.rows)
        late = bytearray()
        while start and rows[start - _SIZE + _CODE] & PENDING:
            start -= _SIZE
            row = rows[start : start + _SIZE]
            late[:0] = _KEY.pack(day, row[_CODE] & ~PENDING, row[_CODE + 1]) + row[_VALUES:]
        return Causes(rows[:start] + late, self.topics, self.complete_after)

    def aged(self, floor: Day, *, is_aged: bool) -> "Causes":
        """Without the days before ``floor``, and without the topics of these days alone."""
        rows = [row for row in _ROW.iter_unpack(self.rows) if row[0] >= floor]
        return Causes(*_renumbered(rows, self.topics), self.complete_after, is_aged or self.is_aged)

    def each(self) -> Iterator[tuple[Day, Cause]]:
        """The rows with their days, oldest first."""
        names = _names(self.topics)
        for day, code, number, moved, share in _ROW.iter_unpack(self.rows):
            topic = names.get(number)
            yield day, Cause(code, topic, moved >> _MOVED_BITS, (moved & 2 * _MOVED_ZERO - 1) - _MOVED_ZERO, share)


NO_CAUSES = Causes()

_Row: TypeAlias = tuple[Any, ...]


def _with_row(rows: bytes, key: bytes, cause: Cause) -> bytes:
    """The rows with one more cause: in the newest row of the same day, code and topic, if it has room."""
    start = rows.rfind(key)
    while start >= 0 and start % _SIZE:  # found across two rows
        start = rows.rfind(key, 0, start + _VALUES - 1)
    if start >= 0:
        packed, share = _VALUE.unpack_from(rows, start + _VALUES)
        events = packed >> _MOVED_BITS
        total, moved = events + cause.events, (packed & 2 * _MOVED_ZERO - 1) - _MOVED_ZERO + cause.moved
        if total <= _MOST_EVENTS and abs(moved) < _MOVED_ZERO:
            if cause.code & _KIND in _REPLACING:
                share = cause.share
            elif share != cause.share:
                share = _mean(share, events, cause.share, cause.events)
            values = _VALUE.pack(total << _MOVED_BITS | moved + _MOVED_ZERO, share)
            return rows[: start + _VALUES] + values + rows[start + _SIZE :]
    return rows + key + _VALUE.pack(cause.events << _MOVED_BITS | cause.moved + _MOVED_ZERO, cause.share)


def _share(part: float, whole: int) -> int:
    """So many of a whole in 1/10,000, rounded down: 49,999 of 100,000 is not the half that passes a quiz.

    A fraction is the decimal that was sent: 0.29 of 1 is 29%, though no float is 0.29.
    """
    return part * _SHARES // whole if isinstance(part, int) else int(Decimal(repr(part)) * _SHARES // whole)


def _mean(share: int, events: int, other: int, others: int) -> int:
    return round((share * events + other * others) / (events + others))


@lru_cache(maxsize=4_096)
def _spelled(topic: str) -> bytes:
    """A topic between its marks, as it stands among the topics."""
    return b"\0%b\0" % topic.encode()


def _names(topics: bytes) -> dict[int, str]:
    """The topics by their places, which rows refer to."""
    names, place = {}, 0
    for name in topics.split(b"\0")[1:-1]:
        names[place] = name.decode()
        place += len(name) + 1
    return names


def _renumbered(rows: Sequence[_Row], topics: bytes) -> tuple[bytes, bytes]:
    """The rows packed, with only the topics that they have."""
    names, used, places = _names(topics), b"\0", {_UNNAMED: _UNNAMED}
    for place in sorted({row[2] for row in rows} - {_UNNAMED}):
        places[place] = len(used) - 1
        used += names[place].encode() + b"\0"
    return b"".join([_ROW.pack(day, code, places[place], *values) for day, code, place, *values in rows]), used


def _coarser(causes: Causes) -> Causes:
    """At most ``COARSE_ROWS`` rows: the oldest days lose their topics, then their kinds, and then their rows."""
    rows: list[_Row] = list(_ROW.iter_unpack(causes.rows))
    for coarse in (_without_topic, _without_kind):
        for day in sorted({row[0] for row in rows}):
            if len(rows) > COARSE_ROWS:
                rows = _merged(rows, day, coarse)
    complete_after = causes.complete_after
    while len(rows) > COARSE_ROWS:
        complete_after = rows[0][0]
        rows = [row for row in rows if row[0] > complete_after]
    return Causes(*_renumbered(rows, causes.topics), complete_after)


def _without_topic(code: int) -> int:
    return code


def _without_kind(code: int) -> int:
    return SEVERAL_CODE | code & (PENDING | 3)


def _merged(rows: Sequence[_Row], day: Day, coarse: Callable[[int], int]) -> list[_Row]:
    """The rows with those of one day merged by their coarse codes, without topics."""
    packed = b""
    for on, code, _, values, share in rows:
        if on == day:
            events, moved = values >> _MOVED_BITS, (values & 2 * _MOVED_ZERO - 1) - _MOVED_ZERO
            cause = Cause(coarse(code), None, events, moved, share)
            packed = _with_row(packed, _KEY.pack(day, cause.code, _UNNAMED), cause)
    return sorted([*(row for row in rows if row[0] != day), *_ROW.iter_unpack(packed)], key=itemgetter(0))


def merged_causes(causes: Iterable[Cause]) -> list[Cause]:
    """The causes with those of the same kind and topic as one, in the order of the first of each."""
    merged: dict[tuple[int, str | None], Cause] = {}
    for cause in causes:
        code = cause.code & ~PENDING
        known = merged.get((code, cause.topic))
        if known is None:
            known = Cause(code, cause.topic, 0, 0, cause.share)
        share = (
            cause.share if code & _KIND in _REPLACING else _mean(known.share, known.events, cause.share, cause.events)
        )
        merged[code, cause.topic] = Cause(
            code, cause.topic, known.events + cause.events, known.moved + cause.moved, share
        )
    return list(merged.values())


def known_causes(history: History, causes: Causes) -> Causes:
    """The causes of a document, whose newest point may be from an engine that recorded none."""
    if not history.is_fine:
        return Causes(complete_after=history.newest or 0, is_aged=True)
    return causes


def _described(data: Any, code: int, completed: Mapping[str, TopicProgress]) -> tuple[int, str | None, int]:
    """The code of an event, its topic, and its result or state in 1/10,000."""
    if code == _COMPLETIONS:
        share = _share(data.completed_exercises, data.total_exercises)
        return code if (data.topic or "") in completed else _STARTS, data.topic, share
    if code == _ANSWERS:
        return code, data.skills[0] if data.skills else None, round(data.fraction * _SHARES)
    if code == _QUIZZES:
        return code, data.topic, _share(data.correct_answers, data.total_questions)
    return code, data.topic, round(mean_quality(data) * _SHARES)


def _names_attempt(data: Any) -> bool:
    return data.attempt_id is not None or (type(data) is Answer and data.part_of is not None)


class _Moves(msgspec.Struct, gc=False):
    """Events of a run that moved one component on one topic; ``last`` is the place of the last of them in the run."""

    code: int
    topic: str | None
    share: int
    events: int
    last: int


def _moves_of(run: Sequence[Logged], completed: Mapping[str, TopicProgress]) -> tuple[list[_Moves], bool] | None:
    """What moved components, and whether different things moved the same one; None as in ``causes_of_run``.

    ``completed`` is the completion before the run.
    """
    moves: list[_Moves] = []
    is_mixed = False
    for number, logged in enumerate(run):
        data: Any = logged.event.data
        known = _CODE_OF.get(type(data))
        if known is None:
            if type(data) is CalculationRequested:
                return None
            continue
        if known != _COMPLETIONS and _names_attempt(data):
            return None
        code, topic, share = _described(data, known, completed)
        if moves:
            if code == _STARTS and any(one.topic == topic and one.code == code for one in moves):
                code = _COMPLETIONS
            same = next((one for one in reversed(moves) if one.code & 3 == code & 3), None)
            if same is not None:
                if same.code == code and same.topic == topic:
                    same.share = share if code == _COMPLETIONS else _mean(same.share, same.events, share, 1)
                    same.events += 1
                    same.last = number
                    continue
                is_mixed = True
        moves.append(_Moves(code, topic, share, 1, number))
    return moves, is_mixed


def causes_of_run(
    causes: Causes,
    run: Sequence[Logged],
    before: History,
    after: History,
    evidence: Sequence[tuple[Evidence, Evidence]],
    rules: Rules,
) -> tuple[Causes, list[Cause]] | None:
    """The causes after events that set one day's point, by what they changed in it: quicker than one by one.

    ``before`` is the history before them, ``evidence`` that before and after each. None if an event names an attempt,
    or one of several sets a component directly.
    """
    known = evidence[0][0]
    if len(run) == 1 and type(run[0].event.data) is CalculationRequested:
        return _of_calculation(causes, run[0].event.data.components.values(), before, after, known, rules)
    told = _moves_of(run, known.completion)
    if told is None:
        return None
    moves, is_mixed = told
    if not moves:
        return causes, []
    packed, known_packed = after.packed, before.packed or _NOTHING_PACKED
    day = int.from_bytes(packed[-POINT_SIZE : 2 - POINT_SIZE], "little")
    if is_mixed:
        return _mixed(causes, moves, before, after, evidence, day, rules)
    found: list[Cause] = []
    for one in moves:
        back = 2 * (one.code & 3) - 8
        moved = packed[back] - known_packed[back] + (packed[back + 1] - known_packed[back + 1] << 8)
        cause = Cause(one.code, one.topic, one.events, moved, one.share)
        causes = causes.plus(day, cause)
        found.append(cause)
    return causes, found


def _mixed(
    causes: Causes,
    moves: Sequence[_Moves],
    before: History,
    after: History,
    evidence: Sequence[tuple[Evidence, Evidence]],
    day: Day,
    rules: Rules,
) -> tuple[Causes, list[Cause]]:
    """As ``causes_of_run``, where several events moved the same component: it is computed after each but the last."""
    values, reached = [*before.values()], after.values()
    ends = {one.code & 3: one.last for one in moves}
    found: list[Cause] = []
    for one in sorted(moves, key=attrgetter("last")):
        place = one.code & 3
        if one.last == ends[place]:
            value = reached[place]
        else:
            value = sixths(component(evidence[one.last][1], place, day, rules))
        cause = Cause(one.code, one.topic, one.events, value - values[place], one.share)
        values[place] = value
        causes = causes.plus(day, cause)
        found.append(cause)
    return causes, found


def _of_calculation(
    causes: Causes, given: FourValues, before: History, after: History, evidence: Evidence, rules: Rules
) -> tuple[Causes, list[Cause]]:
    """As ``causes_of_run``, of an event that sets components directly."""
    values, reached, day = [*before.values()], after.values(), after.newest or 0
    found: list[Cause] = []
    for place, value in enumerate(given):
        if value is not None:
            if place == CONSISTENCY:  # it moves without events as well
                values[place] = sixths(component(evidence, place, day, rules))
            moved = reached[place] - values[place]
            cause = Cause(CALCULATION_CODE | place, None, 1, moved, round(value * _SHARES))
            causes = causes.plus(day, cause)
            found.append(cause)
    return causes, found


class CauseRecorder:
    """Records what each event moves its components by, one event after the other: slower than ``causes_of_run``.

    What components move by without an event, because evidence was dropped, is recorded nowhere.
    """

    __slots__ = ("_causes", "_is_stale", "_rules", "_values", "found")

    def __init__(self, history: History, causes: Causes, rules: Rules) -> None:
        self._causes = Causes(causes.rows, causes.topics, causes.complete_after)
        self.found: list[Cause] = []
        self._rules = rules
        self._values = [*history.values()]
        if causes.has_pending:
            for _, cause in causes.each():
                if cause.is_pending:
                    self._values[cause.place] += cause.moved
        self._is_stale = causes.is_aged

    @property
    def causes(self) -> Causes:
        """The causes recorded; if no event came since evidence was dropped, they say so to whoever records next."""
        causes = self._causes
        return Causes(causes.rows, causes.topics, causes.complete_after, self._is_stale and causes.has_pending)

    def drop(self) -> None:
        """Heed that evidence was dropped."""
        self._is_stale = True

    def settle(self, day: Day) -> None:
        """Heed that an event sets the point of ``day``, which shows what came late before it."""
        self._causes = self._causes.settled(day)

    def record(self, event: LearningEvent, before: Evidence, after: Evidence, day: Day, *, is_late: bool) -> None:
        """Record an event; ``day`` is the newest day of the history with it."""
        data: Any = event.data
        if self._is_stale:
            self._values = [self._sixths(before, place, day) for place in range(len(COMPONENTS))]
            self._is_stale = False
        if type(data) is CalculationRequested:
            for place, value in enumerate(data.components.values()):
                if value is not None:
                    if place == CONSISTENCY:  # it moves without events as well
                        self._values[place] = self._sixths(before, place, day)
                    self._add(CALCULATION_CODE | place, None, round(value * _SHARES), after, day, is_late)
        elif type(data) in _CODE_OF:
            described = _described(data, _CODE_OF[type(data)], before.completion)
            if described[0] & 3 != COMPLETION and _names_attempt(data):
                self._record_word(data, described, before, after, day, is_late)
            else:
                self._add(*described, after, day, is_late)

    def _record_word(
        self,
        data: Any,
        described: tuple[int, str | None, int],
        before: Evidence,
        after: Evidence,
        day: Day,
        is_late: bool,
    ) -> None:
        """Record a word on an attempt. It moves nothing where a later word, or the quiz it is a part of, counts."""
        known, weight = before.weight_on(data), after.weight_on(data)
        if weight is None or (known is not None and before.word_on(data) == after.word_on(data)):
            return
        code, topic, share = described
        if weight or known:
            self._add(code if known is None else REGRADE_CODE | code & 3, topic, share, after, day, is_late)
        if known is None and len(before.told_apart()) == MAX_ATTEMPTS:
            self.drop()

    def _add(self, code: int, topic: str | None, share: int, after: Evidence, day: Day, is_late: bool) -> None:
        place = code & 3
        value = self._sixths(after, place, day)
        cause = Cause(code | LATE | PENDING if is_late else code, topic, 1, value - self._values[place], share)
        self._values[place] = value
        self._causes = self._causes.plus(day, cause)
        self.found.append(cause)

    def _sixths(self, evidence: Evidence, place: int, day: Day) -> int:
        return sixths(component(evidence, place, day, self._rules))
