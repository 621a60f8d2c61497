"""Dead letters for operators: read and redriven, with every read and redrive in the audit trail.

Commands reach those of all tenants, since whoever runs them can read the data folder; pages those of the caller's.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import NotFound, Unavailable
from mastery_engine.ports.dead_letters import DeadLetter, DeadLetterQueue
from mastery_engine.ports.event_log import EventLog, Position
from mastery_engine.ports.registry import RegistryStore, RegistryWrite
from mastery_engine.responses.dead_letters import (
    RedriveOutcome,
    ShownLetter,
    ShownReasons,
    shown_letter,
    shown_reasons,
)
from mastery_engine.responses.privacy import HeldLetter, held_letter
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit

PAGE = 1_000
PORTION = 100
PATIENCE_S, LOOK_S = 3.0, 0.05
OUTCOME_LIFE: Micros = DAY


class Redriven(msgspec.Struct, frozen=True):
    """What a redrive did: the letters that are back in the log, the log's ends after them, and the letters left alone.

    What came by another platform's topic is back there. ``skipped`` letters were redriven before; ``empty`` ones have
    no content, or consent forbids to keep it.
    """

    redriven: list[int]
    skipped: list[int]
    empty: list[int]
    ends: dict[int, int]


class ReasonRedrive(msgspec.Struct, frozen=True):
    """A redrive of a reason as it is kept: how many letters, and where those are that went into the log."""

    code: str
    until: Micros
    redriven: int
    positions: list[tuple[int, int]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ReasonRedrive).decode


class DeadLetters:
    """The events of all tenants that could not be processed, for operators of the service."""

    def __init__(
        self,
        queue: DeadLetterQueue,
        events: EventLog,
        registry: RegistryStore,
        access: AccessControl,
        audit: Audit,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._queue = queue
        self._events = events
        self._registry = registry
        self._access = access
        self._audit = audit
        self._clock = clock
        self._new_id = new_id

    async def page(
        self, caller: Caller, *, after: int = 0, limit: int = 100, tenant: str | None = None
    ) -> list[ShownLetter]:
        """A page of dead letters by rising id, those after the id ``after``, of one tenant or all. Raises Forbidden."""
        self._access.check_act(caller, Act.GOVERN, "dlq-list")
        if tenant is None:
            letters = await self._queue.page(after=after, limit=limit)
        else:
            letters = [one for one in await self._all(after) if one.tenant == tenant][:limit]
        await self._on_record(caller, letters, "dlq-list")
        return [shown_letter(letter) for letter in letters]

    async def find(self, caller: Caller, letter_id: int) -> ShownLetter:
        """One dead letter. Raises NotFound, Forbidden."""
        self._access.check_act(caller, Act.GOVERN, "dlq-show")
        letter = await self._find(letter_id)
        await self._on_record(caller, [letter], "dlq-show")
        return shown_letter(letter)

    async def redrive(self, caller: Caller, letter_ids: Sequence[int] | None, *, tenant: str | None = None) -> Redriven:
        """Put dead letters back into the log, each once; if no ids are given all of them, or those of one tenant.

        Raises NotFound if there is no letter with an id, and Forbidden.
        """
        self._access.check_act(caller, Act.GOVERN, "dlq-redrive")
        if letter_ids is None:
            letters = [one for one in await self._all() if tenant in (None, one.tenant)]
        else:
            letters = [await self._find(number) for number in letter_ids]
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

    async def reasons(self, caller: Caller) -> ShownReasons:
        """Why letters of the caller's tenant wait for a redrive; nobody's data is in it. Raises Forbidden."""
        self._access.check_act(caller, Act.OPERATE, "dlq-reasons")
        return shown_reasons(await self._queue.reasons(caller.tenant))

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

    async def redrive_reason(self, caller: Caller, code: str, until: Micros) -> str:
        """Put the oldest letters of the caller's tenant with this code back into the log, ``PORTION`` at most.

        Those that became one after ``until`` stay: so a run of several portions ends, though letters fail again. The
        answer names the redrive, for ``outcome``. Raises Forbidden and Unavailable.
        """
        self._access.check_act(caller, Act.GOVERN, "dlq-redrive")
        letters = await self._queue.waiting(caller.tenant, code, until=until, limit=PORTION)
        await self._on_record(caller, letters, "dlq-redrive")
        now = caller.moment(self._clock)
        done = await self._queue.redrive([letter.letter_id for letter in letters], now)
        into_log = [position for position in done.values() if position is not None]
        redrive = ReasonRedrive(code, until, len(done), [(one.partition, one.offset) for one in into_log])
        name = self._new_id()
        write = RegistryWrite(f"{caller.tenant}/{name}", _encode(redrive), expires=now + OUTCOME_LIFE)
        await self._registry.write("redrives", [write], now)
        await self._settled(into_log)
        return name

    async def outcome(self, caller: Caller, name: str) -> RedriveOutcome:
        """What has come of a redrive of the caller's tenant by now. Raises Forbidden, NotFound and Unavailable."""
        self._access.check_act(caller, Act.GOVERN, "dlq-outcome")
        now = caller.moment(self._clock)
        (entry,) = await self._registry.find("redrives", [f"{caller.tenant}/{name}"], now)
        if entry is None:
            raise NotFound("There is no such redrive, or it was more than a day ago.")
        redrive = _decode(entry.value)
        positions = [Position(*place) for place in redrive.positions]
        committed = await self._events.committed()  # before what failed is asked for: it is among the letters by then
        failed = await self._queue.codes_at(positions)
        under_way = sum(one not in failed and _is_ahead(one, committed) for one in positions)
        left = await self._queue.waiting(caller.tenant, redrive.code, until=redrive.until, limit=PORTION + 1)
        return RedriveOutcome(
            code=redrive.code,
            until=redrive.until,
            redriven=redrive.redriven,
            processed=len(positions) - len(failed) - under_way,
            failed=len(failed),
            failed_again=dict(sorted(Counter(failed.values()).items())),
            under_way=under_way,
            elsewhere=redrive.redriven - len(positions),
            left=min(len(left), PORTION),
            has_more_left=len(left) > PORTION,
        )

    async def count_waiting(self, caller: Caller, code: str, until: Micros) -> tuple[int, bool]:
        """How many letters the next portion has, and whether there are more. Raises Forbidden and Unavailable."""
        self._access.check_act(caller, Act.GOVERN, "dlq-redrive")
        waiting = await self._queue.waiting(caller.tenant, code, until=until, limit=PORTION + 1)
        return min(len(waiting), PORTION), len(waiting) > PORTION

    async def _settled(self, positions: Sequence[Position]) -> None:
        """Wait for a moment until these are processed: mostly the outcome is known then."""
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    committed = await self._events.committed()
                    if not any(_is_ahead(one, committed) for one in positions):
                        return
                    await asyncio.sleep(LOOK_S)

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

    async def _all(self, after: int = 0) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
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


def _is_ahead(position: Position, committed: Mapping[int, int]) -> bool:
    """Whether what is at a position of the log is not processed yet."""
    return position.offset >= committed.get(position.partition, 0)
