"""Dead letters for operators: read and redriven, with every read and redrive in the audit trail.

Commands reach those of all tenants, since whoever runs them can read the data folder; pages those of the caller's.
"""

from collections.abc import Sequence

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import NotFound
from mastery_engine.ports.dead_letters import DeadLetter, DeadLetterQueue
from mastery_engine.responses.dead_letters import ShownLetter, ShownReason, shown_letter, shown_reason
from mastery_engine.responses.privacy import HeldLetter, held_letter
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit

PAGE = 1_000


class Redriven(msgspec.Struct, frozen=True):
    """What a redrive did: the letters that are back in the log, the log's ends after them, and the letters left alone.

    What came by another platform's topic is back there. ``skipped`` letters were redriven before; ``empty`` ones have
    no content, or consent forbids to keep it.
    """

    redriven: list[int]
    skipped: list[int]
    empty: list[int]
    ends: dict[int, int]


class DeadLetters:
    """The events of all tenants that could not be processed, for operators of the service."""

    def __init__(self, queue: DeadLetterQueue, access: AccessControl, audit: Audit, clock: Clock) -> None:
        self._queue = queue
        self._access = access
        self._audit = audit
        self._clock = clock

    async def page(self, caller: Caller, *, after: int = 0, limit: int = 100) -> list[ShownLetter]:
        """A page of dead letters by rising id, those after the id ``after``. Raises Forbidden."""
        self._access.check_act(caller, Act.GOVERN, "dlq-list")
        letters = await self._queue.page(after=after, limit=limit)
        await self._on_record(caller, letters, "dlq-list")
        return [shown_letter(letter) for letter in letters]

    async def find(self, caller: Caller, letter_id: int) -> ShownLetter:
        """One dead letter. Raises NotFound, Forbidden."""
        self._access.check_act(caller, Act.GOVERN, "dlq-show")
        letter = await self._find(letter_id)
        await self._on_record(caller, [letter], "dlq-show")
        return shown_letter(letter)

    async def redrive(self, caller: Caller, letter_ids: Sequence[int] | None) -> Redriven:
        """Put dead letters back into the log, each once; all of them if no ids are given.

        Raises NotFound if there is no letter with an id, and Forbidden.
        """
        self._access.check_act(caller, Act.GOVERN, "dlq-redrive")
        letters = await self._all() if letter_ids is None else [await self._find(number) for number in letter_ids]
        await self._on_record(caller, letters, "dlq-redrive")
        empty = [letter.letter_id for letter in letters if letter.value is None]
        full = [letter.letter_id for letter in letters if letter.value is not None]
        positions = await self._queue.redrive(full, caller.moment(self._clock))
        ends: dict[int, int] = {}
        for position in filter(None, positions.values()):
            ends[position.partition] = max(ends.get(position.partition, 0), position.offset + 1)
        if letter_ids is None:
            return Redriven(list(positions), [], [], ends)
        return Redriven(list(positions), [number for number in full if number not in positions], empty, ends)

    async def reasons(self, caller: Caller) -> list[ShownReason]:
        """Why letters of the caller's tenant wait for a redrive; nobody's data is in it. Raises Forbidden."""
        self._access.check_act(caller, Act.RECORD, "dlq-reasons")
        return [shown_reason(reason) for reason in await self._queue.reasons(caller.tenant)]

    async def with_code(self, caller: Caller, code: str, *, before: int | None, limit: int) -> list[ShownLetter]:
        """Letters of the caller's tenant that have one code, by falling id, redriven ones too. Raises Forbidden."""
        self._access.check_act(caller, Act.GOVERN, "dlq-list")
        letters = await self._queue.with_code(caller.tenant, code, before=before, limit=limit)
        await self._on_record(caller, letters, "dlq-list")
        return [shown_letter(letter) for letter in letters]

    async def redrive_own(self, caller: Caller, letter_id: int) -> ShownLetter:
        """Put a letter of the caller's tenant back into the log, once; the letter as it was before.

        Raises NotFound, also for a letter of another tenant, and Forbidden.
        """
        self._access.check_act(caller, Act.GOVERN, "dlq-redrive")
        letter = await self._find(letter_id, caller.tenant)
        await self.redrive(caller, [letter_id])
        return shown_letter(letter)

    async def ids(self) -> set[int]:
        """The ids of all dead letters."""
        return {letter.letter_id for letter in await self._all()}

    async def of(self, key: StudentKey) -> list[HeldLetter]:
        """The dead letters of a student, found by the letters' content or by their keys."""
        return [
            held_letter(letter)
            for letter in await self._all()
            if letter.tenant == key.tenant
            and (letter.student_id == key.student_id or letter.key == key.student_id.encode())
        ]

    async def erase(self, key: StudentKey) -> int:
        """Remove the dead letters of a student; how many there were."""
        return await self._queue.erase(key)

    async def _find(self, letter_id: int, tenant: str | None = None) -> DeadLetter:
        """A letter, of one tenant if it is given. Raises NotFound."""
        letter = await self._queue.find(letter_id)
        if letter is None or tenant not in (None, letter.tenant):
            raise NotFound(f"There is no dead letter {letter_id}: `mastery-engine dlq list` lists them.")
        return letter

    async def _all(self) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        after = 0
        while page := await self._queue.page(after=after, limit=PAGE):
            letters += page
            after = page[-1].letter_id
        return letters

    async def _on_record(self, caller: Caller, letters: Sequence[DeadLetter], call: str) -> None:
        """Record in the audit trail of each tenant whose data was read or put back."""
        for tenant in sorted({letter.tenant for letter in letters}):
            students = {letter.student_id for letter in letters if letter.tenant == tenant and letter.student_id}
            acting = msgspec.structs.replace(caller, tenant=tenant)
            await self._audit.write(acting, call, sorted(students))
