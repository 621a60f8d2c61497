"""The latest word on each attempt: of quizzes, reviews and answers that name their attempt, the latest counts.

A regrade, a late credit and a correction are words on an attempt that is known. The word that is later by its own time
counts in the place of the earlier ones, whichever came first: so attempts are registers, which merge in any order.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from struct import Struct
from typing import NamedTuple

import msgspec

from mastery_engine.domain.evidence.decayed_sums import NO_SUMS, DecayedSums
from mastery_engine.domain.ids import ID_BYTES, id_hash
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import QUIZ

MAX_ATTEMPTS = 256
_ROW = Struct(f">{ID_BYTES}sqHBdd")
_SIZE = _ROW.size
_MARK = "\n"  # ends each event id; no event id has it


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
        ids = self.ids.split(_MARK)
        return [Word(ids[number], *row) for number, row in enumerate(_ROW.iter_unpack(self.rows))]

    def word_on(self, attempt: bytes) -> Word | None:
        """The word that is held on an attempt."""
        start = self._start(attempt)
        if start is None:
            return None
        return Word(self.ids.split(_MARK)[start // _SIZE], *_ROW.unpack_from(self.rows, start))

    def _start(self, attempt: bytes) -> int | None:
        """Where the row of an attempt begins; None if no word on it is held."""
        start = self.rows.find(attempt)
        while start >= 0 and start % _SIZE:  # found across the columns of a row
            start = self.rows.find(attempt, start + 1)
        return start if start >= 0 else None

    def with_word(self, word: Word, half_life: Micros) -> "Attempts":
        """With one more word; the same object if a later one on its attempt, or on enough others, is held.

        A word that names no attempt is added to the sums, if it weighs anything.
        """
        if not word.attempt:
            return self._with_sum(word, half_life) if word.weight else self
        rows, number = self.rows, len(self)
        if self._start(word.attempt) is None and (not number or self._newest() < word.order):
            rows, ids = rows + _ROW.pack(*word[1:]), f"{self.ids}{word.event_id}{_MARK}"
            if number == MAX_ATTEMPTS:
                rows, ids = rows[_SIZE:], ids[ids.index(_MARK) + 1 :]
            return Attempts(rows, ids, self.quiz, self.quality)
        words = self.words()
        held = _latest([*words, word])
        return self if held == words else _packed(held, self.quiz, self.quality)

    def merge(self, other: "Attempts") -> "Attempts":
        """The words and the sums of both."""
        words = _latest([*self.words(), *other.words()])
        return _packed(words, self.quiz.merge(other.quiz), self.quality.merge(other.quality))

    def _with_sum(self, word: Word, half_life: Micros) -> "Attempts":
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
        sums = NO_SUMS
        for word in self.words():
            if word.place == place and word.weight:
                sums = sums.plus(word.at, word.day, word.weight, word.score, half_life)
        return sums.merge((self.quiz if place == QUIZ else self.quality).with_half_life(half_life))

    def _newest(self) -> tuple[Micros, str]:
        at: Micros = _ROW.unpack_from(self.rows, len(self.rows) - _SIZE)[1]
        return (at, self.ids[self.ids.rfind(_MARK, 0, -1) + 1 : -1])


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
    return Attempts(rows, "".join([f"{word.event_id}{_MARK}" for word in words]), quiz, quality)
