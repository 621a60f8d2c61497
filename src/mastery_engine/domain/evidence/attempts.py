"""The latest word on each attempt: of quizzes, reviews and answers that name their attempt, the latest counts.

A regrade, a late credit and a correction are words on an attempt that is known. The word that is later by its own time
counts in the place of the earlier ones, whichever came first: so attempts are registers, which merge in any order.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

import msgspec

from mastery_engine.domain.evidence.decayed_sums import NO_SUMS, DecayedSums
from mastery_engine.domain.ids import ID_BYTES, id_hash
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import QUIZ

MAX_ATTEMPTS = 256
_ROW = Struct(f">{ID_BYTES}sqHBdd")
_SIZE = _ROW.size
_MARK = "\n"  # between two event ids; no event id has it

_Row: TypeAlias = tuple[Any, ...]  # the fields of a word, without its event id


class Word(NamedTuple):
    """What one event says of one attempt: a score in [0, 1] with its weight, 0 where it is no evidence of a component.

    ``attempt`` is the hash of the attempt's kind and id, empty where the event names none. ``place`` is that of the
    component in ``COMPONENTS``.
    """

    event_id: str
    attempt: bytes
    at: Micros
    day: Day
    place: int
    weight: float
    score: float

    @property
    def order(self) -> tuple[Micros, str]:
        """The later word is the greater; at the same time, the one with the greater event id."""
        return (self.at, self.event_id)


class Attempts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The ``MAX_ATTEMPTS`` attempts with the latest words, each with that word, by their order.

    ``rows`` are the words, packed, but for their event ids, which ``ids`` has in the same order. ``quiz`` and
    ``quality`` are the sums of the evidence that names no attempt: with the words they make those of all evidence.
    """

    rows: bytes = b""
    ids: str = ""
    quiz: DecayedSums = NO_SUMS
    quality: DecayedSums = NO_SUMS

    def __len__(self) -> int:
        return len(self.rows) // _SIZE

    def words(self) -> list[Word]:
        """The words in their order."""
        return [Word(name, *row) for name, row in zip(self._names(), _ROW.iter_unpack(self.rows), strict=True)]

    def word_on(self, attempt: bytes) -> Word | None:
        """The word that is held on an attempt."""
        number = self._number_of(attempt)
        return None if number is None else self._word(number, self._names())

    def weight_on(self, attempt: bytes) -> float | None:
        """The weight of that word, which takes a third of the time."""
        number = self._number_of(attempt)
        return None if number is None else _ROW.unpack_from(self.rows, number * _SIZE)[4]

    def with_word(self, word: Word) -> tuple["Attempts", Word | None]:
        """With one more word, and the word that has gone for it: the one before on its attempt, or the oldest.

        The same object if a later word on its attempt, or on as many others as are held, leaves it no place.
        """
        rows, names, gone = self.rows, self._names(), None
        number = self._number_of(word.attempt)
        if number is not None:
            gone = self._word(number, names)
            if gone.order >= word.order:
                return self, None
            rows = rows[: number * _SIZE] + rows[(number + 1) * _SIZE :]
            del names[number]
        number, order = len(names), word.order
        if number and _order(rows, names, number - 1) > order:  # most words are the latest
            number = bisect_right(range(number), order, key=partial(_order, rows, names))
        if len(names) == MAX_ATTEMPTS:
            if not number:
                return self, None
            gone = self._word(0, names)
        rows = rows[: number * _SIZE] + _ROW.pack(*word[1:]) + rows[number * _SIZE :]
        names.insert(number, word.event_id)
        held = Attempts(rows[-MAX_ATTEMPTS * _SIZE :], _MARK.join(names[-MAX_ATTEMPTS:]), self.quiz, self.quality)
        return held, gone

    def merge(self, other: "Attempts") -> "Attempts":
        """The words and the sums of both."""
        words = _latest([*self.words(), *other.words()])
        return _packed(words, self.quiz.merge(other.quiz), self.quality.merge(other.quality))

    def with_sum(self, word: Word, half_life: Micros) -> "Attempts":
        """With what a word that names no attempt is evidence of."""
        _, _, at, day, place, weight, score = word
        quiz, quality = self.quiz, self.quality
        if place == QUIZ:
            quiz = quiz.plus(at, day, weight, score, half_life)
        else:
            quality = quality.plus(at, day, weight, score, half_life)
        return Attempts(self.rows, self.ids, quiz, quality)

    def since(self, floor: Day) -> "Attempts":
        """Without the words and sums of days before ``floor``."""
        words = [word for word in self.words() if word.day >= floor]
        return _packed(words, self.quiz.since(floor), self.quality.since(floor))

    def before(self, day: Day, start_of: Callable[[Day], Micros]) -> "Attempts":
        """Without the words and sums of ``day`` and the days after it. Of an attempt only the latest word is known."""
        words = [word for word in self.words() if word.day < day]
        return _packed(words, self.quiz.before(day, start_of), self.quality.before(day, start_of))

    def all_evidence(self, place: int, half_life: Micros) -> DecayedSums:
        """The sums of all evidence of a component, with attempts and without, by a half-life."""
        return _plus(NO_SUMS, self._rows_of(place), half_life).merge(self._plain(place, half_life))

    def without(self, gone: Word, sums: DecayedSums, half_life: Micros) -> DecayedSums:
        """The sums of all evidence of a component, of which one word has gone: its day is summed anew."""
        place, day = gone.place, gone.day
        rows, plain = self._rows_of(place), self._plain(place, half_life)
        latest = max(plain.latest, rows[-1][1]) if rows else plain.latest
        anew = _plus(plain.on(day), [row for row in rows if row[2] == day], half_life)
        return sums.with_half_life(half_life).with_day(anew, day, latest)

    def _rows_of(self, place: int) -> list[_Row]:
        """The words that are evidence of a component, without their event ids."""
        return [row for row in _ROW.iter_unpack(self.rows) if row[3] == place and row[4]]

    def _plain(self, place: int, half_life: Micros) -> DecayedSums:
        return (self.quiz if place == QUIZ else self.quality).with_half_life(half_life)

    def _names(self) -> list[str]:
        """The event ids of the words."""
        return self.ids.split(_MARK) if self.rows else []

    def _number_of(self, attempt: bytes) -> int | None:
        """The place of the word on an attempt; None if none is held."""
        start = self.rows.find(attempt)
        while start >= 0 and start % _SIZE:  # found across the columns of a row
            start = self.rows.find(attempt, start + 1)
        return start // _SIZE if start >= 0 else None

    def _word(self, number: int, names: Sequence[str]) -> Word:
        return Word(names[number], *_ROW.unpack_from(self.rows, number * _SIZE))


def _order(rows: bytes, names: Sequence[str], number: int) -> tuple[Micros, str]:
    return (_ROW.unpack_from(rows, number * _SIZE)[1], names[number])


def _plus(sums: DecayedSums, rows: Iterable[_Row], half_life: Micros) -> DecayedSums:
    for _, at, day, _, weight, score in rows:
        sums = sums.plus(at, day, weight, score, half_life)
    return sums


@lru_cache(1_000)  # it is asked for before an event, with it, and after it
def attempt_hash(kind: str, attempt_id: str) -> bytes:
    """The hash by which a document knows an attempt: of its kind of event and its id."""
    return id_hash(f"{kind}:{attempt_id}")


def _latest(words: Iterable[Word]) -> list[Word]:
    """The latest word on each attempt, in their order; of the attempts those with the latest words."""
    latest: dict[bytes, Word] = {}
    for word in words:
        known = latest.get(word.attempt)
        if known is None or known.order < word.order:
            latest[word.attempt] = word
    return sorted(latest.values(), key=attrgetter("order"))[-MAX_ATTEMPTS:]


def _packed(words: Sequence[Word], quiz: DecayedSums, quality: DecayedSums) -> Attempts:
    rows = b"".join([_ROW.pack(*word[1:]) for word in words])
    return Attempts(rows, _MARK.join([word.event_id for word in words]), quiz, quality)
