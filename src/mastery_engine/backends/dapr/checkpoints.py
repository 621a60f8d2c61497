"""Checkpoints in Dapr's state, which move only while the state store knows the last write of this process."""

import asyncio
from collections.abc import Mapping

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import MAX_ROUNDS, DaprState, Replacement, Value, Write
from mastery_engine.backends.dapr.index import TOMBSTONE_S, DaprIndex
from mastery_engine.backends.dapr.witness import Witness
from mastery_engine.errors import FellBack, Unavailable
from mastery_engine.ports.checkpoints import Checkpoint, check_not_behind


class DaprCheckpoints:
    """See ``Checkpoints``. One value for each log; ``server_epoch`` is the witness's, so each process has its own."""

    def __init__(self, state: DaprState, witness: Witness) -> None:
        self._state = state
        self._witness = witness
        self._logs = DaprIndex(state, "logs")
        self._listed: set[str] = set()
        self._floods: dict[str, DaprIndex] = {}

    async def read(self, log_id: str) -> Checkpoint:
        return Checkpoint(_offsets(await self._witness.begin(keys.checkpoint(log_id))), self._witness.epoch)

    async def move(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], server_epoch: str) -> None:
        if server_epoch != self._witness.epoch:
            raise FellBack("This batch was begun by another process: the log is read again from its checkpoint.")
        if log_id not in self._listed:
            await self._logs.add([log_id])
            self._listed.add(log_id)
        key = keys.checkpoint(log_id)
        for _ in range(MAX_ROUNDS):
            value = await self._witness.check(key)
            known = _offsets(value)
            check_not_behind(known, starts)
            moved = known | {partition: max(known.get(partition, 0), end) for partition, end in ends.items()}
            if await self._state.write([Write(key, moved, value.etag if value is not None else None, None)]):
                await self._check_again(key, starts)
                return
            await asyncio.sleep(0)
        raise Unavailable("Too many writers want the checkpoint at once: nothing of this batch was lost.")

    async def _check_again(self, key: str, starts: Mapping[int, int]) -> None:
        """Should the store have fallen back while the checkpoint moved, it goes back to where the batch began."""
        try:
            await self._witness.check(key)
        except FellBack:

            def lowered(stored: Mapping[str, int] | None) -> Replacement:
                known = _read_offsets(stored)
                starting = {partition: min(known.get(partition, 0), start) for partition, start in starts.items()}
                return Replacement(known | starting, None)

            await self._state.fold({key: lowered})
            raise

    async def clear(self) -> None:
        """An empty checkpoint stays for a while: a late writer does not bring back the one before."""

        def cleared(stored: Mapping[str, int] | None) -> Replacement | None:
            return Replacement({}, TOMBSTONE_S) if stored else None

        await self._state.fold({keys.checkpoint(log_id): cleared for log_id in await self._logs.members()})

    async def floods(self, log_id: str) -> set[int]:
        flooded = await self._flooded(log_id).members()
        if flooded:
            await self._flooded(log_id).add(flooded)  # it loses the expiry that an older engine gave it
        return {int(partition) for partition in flooded}

    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        index = self._flooded(log_id)
        await (index.add([str(partition)]) if flooded else index.discard([str(partition)]))

    def _flooded(self, log_id: str) -> DaprIndex:
        return self._floods.setdefault(log_id, DaprIndex(self._state, f"floods:{log_id}"))


def _offsets(value: Value | None) -> dict[int, int]:
    return _read_offsets(value.data if value is not None else None)


def _read_offsets(stored: Mapping[str, int] | None) -> dict[int, int]:
    return {int(partition): offset for partition, offset in (stored or {}).items()}
