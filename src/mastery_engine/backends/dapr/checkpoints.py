"""The marks behind Dapr's state API, and how a state store is noticed that came back without its last writes.

Dapr does not tell one life of the servers behind it from another. So each process writes a witness after its
documents: a store that lost the documents lost the witness too, and the marks do not move then.
"""

import asyncio
import secrets
from collections.abc import Mapping

from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.backends.dapr.index import DaprIndex
from mastery_engine.errors import FellBack, Unavailable
from mastery_engine.ports.checkpoints import Marks, check_marks

MAX_ROUNDS = 200
WITNESS_S = 24 * 3_600


class DaprMarks:
    """The marks of all logs, one value each, and this process's witness."""

    def __init__(self, state: DaprState, life_s: int) -> None:
        self._state = state
        self._life_s = life_s
        self._logs = DaprIndex(state, "logs", life_s, shards=1)
        self._process = f"witness:{secrets.token_hex(8)}"
        self._written = 0
        self._listed: set[str] = set()

    async def witness(self) -> None:
        """To be called after documents were written."""
        self._written += 1
        await self._state.change([Write(self._process, self._written, None, WITNESS_S)])

    async def read(self, log_id: str) -> Marks:
        (value,) = await self._state.read([_key(log_id)])
        return Marks(_offsets(value), self._process)

    async def move(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], life: str) -> None:
        if log_id not in self._listed:
            await self._logs.add([log_id])
            self._listed.add(log_id)
        for _ in range(MAX_ROUNDS):
            value, seen = await self._state.read([_key(log_id), self._process])
            known = _offsets(value)
            self._check(seen, life)
            check_marks(known, starts)
            moved = known | {partition: max(known.get(partition, 0), end) for partition, end in ends.items()}
            etag = value.etag if value is not None else None
            if await self._state.write([_write(log_id, moved, etag, self._life_s)]):
                await self._check_again(log_id, starts, life)
                return
            await asyncio.sleep(0)
        raise Unavailable("Too many writers want the marks at once: nothing of this batch was lost.")

    def _check(self, seen: Value | None, life: str) -> None:
        if life != self._process or (self._written and (seen is None or seen.data != self._written)):
            self._written = 0
            raise FellBack("Dapr's state store lost what was written last: the log is read again from the mark.")

    async def _check_again(self, log_id: str, starts: Mapping[int, int], life: str) -> None:
        """Should the store have fallen back while the marks moved, they go back to where the batch began."""
        value, seen = await self._state.read([_key(log_id), self._process])
        try:
            self._check(seen, life)
        except FellBack:
            known = _offsets(value)
            lowered = known | {partition: min(known.get(partition, 0), start) for partition, start in starts.items()}
            await self._state.change([_write(log_id, lowered, None, self._life_s)])
            raise

    async def clear(self) -> None:
        await self._state.change([], [_key(log_id) for log_id in await self._logs.members()])


def _key(log_id: str) -> str:
    return f"marks:{log_id}"


def _offsets(value: Value | None) -> dict[int, int]:
    return {} if value is None else {int(partition): offset for partition, offset in value.data.items()}


def _write(log_id: str, offsets: Mapping[int, int], etag: str | None, life_s: int) -> Write:
    return Write(_key(log_id), {str(partition): offset for partition, offset in offsets.items()}, etag, life_s)
