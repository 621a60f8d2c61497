"""Dead letters in memory."""

from collections.abc import Sequence

import msgspec

from mastery_engine.backends.memory.event_log import MemoryEventLog
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.dead_letters import DeadLetter, LetterReasons, reasons_among, with_code_among
from mastery_engine.ports.event_log import REQUESTS_TOPIC, Position


class MemoryDeadLetters:
    """See ``DeadLetterQueue``."""

    def __init__(self, events: MemoryEventLog) -> None:
        """``events`` takes the letters that are redriven."""
        self._events = events
        self._letters: dict[int, DeadLetter] = {}
        self._last_id = 0

    async def append(self, letters: Sequence[DeadLetter]) -> None:
        known = {_place(letter) for letter in self._letters.values()}
        for letter in letters:
            if _place(letter) in known:
                continue
            known.add(_place(letter))
            self._last_id += 1
            self._letters[self._last_id] = msgspec.structs.replace(
                letter, attempts=letter.attempts + self._times_redriven(letter), letter_id=self._last_id
            )

    def _times_redriven(self, letter: DeadLetter) -> int:
        """How often the letter's event was redriven before."""
        return sum(
            earlier.redriven is not None and (earlier.tenant, earlier.event_id) == (letter.tenant, letter.event_id)
            for earlier in self._letters.values()
        )

    async def page(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        return [letter for letter_id, letter in self._letters.items() if letter_id > after][:limit]

    async def find(self, letter_id: int) -> DeadLetter | None:
        return self._letters.get(letter_id)

    async def reasons(self, tenant: str) -> LetterReasons:
        letters = self._letters.values()
        return LetterReasons(
            reasons_among((one.code, one.at) for one in letters if one.tenant == tenant and one.redriven is None)
        )

    async def with_code(self, tenant: str, code: str, *, before: int | None, limit: int) -> list[DeadLetter]:
        return with_code_among(self._letters.values(), tenant, code, before=before, limit=limit)

    async def waiting(self, tenant: str, code: str, *, until: Micros, limit: int) -> list[DeadLetter]:
        waiting = [
            one
            for one in self._letters.values()
            if (one.tenant, one.code, one.redriven) == (tenant, code, None)
            and one.value is not None
            and one.at <= until
        ]
        return sorted(waiting, key=lambda one: (one.at, one.letter_id))[:limit]

    async def codes_at(self, positions: Sequence[Position]) -> dict[Position, str]:
        codes = {_place(letter): letter.code for letter in self._letters.values()}
        places = {one: (REQUESTS_TOPIC, one.partition, one.offset) for one in positions}
        return {position: codes[place] for position, place in places.items() if place in codes}

    async def redrive(self, letter_ids: Sequence[int], at: Micros) -> dict[int, Position]:
        positions = {}
        for letter_id in letter_ids:
            letter = self._letters.get(letter_id)
            if letter is not None and letter.redriven is None:
                self._letters[letter_id] = msgspec.structs.replace(letter, redriven=at)
                positions[letter_id] = self._events.append_record(
                    letter.received, letter.tenant, letter.key, letter.value, letter.event_id or ""
                )
        return positions

    async def erase(self, key: StudentKey) -> int:
        return self._keep({name: letter for name, letter in self._letters.items() if not _is_of(letter, key)})

    async def purge(self, before: Micros) -> int:
        return self._keep({name: letter for name, letter in self._letters.items() if letter.received >= before})

    def _keep(self, letters: dict[int, DeadLetter]) -> int:
        """Keep only these letters; how many went."""
        removed = len(self._letters) - len(letters)
        self._letters = letters
        return removed


def _place(letter: DeadLetter) -> tuple[str, int, int]:
    return letter.topic, letter.partition, letter.offset


def _is_of(letter: DeadLetter, key: StudentKey) -> bool:
    """Whether a letter is the student's, by its content or by its key."""
    student_id = key.student_id
    return letter.tenant == key.tenant and (letter.student_id == student_id or letter.key == student_id.encode())
