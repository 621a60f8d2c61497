"""How a state store is noticed that came back without its last writes.

Dapr does not tell one run of the servers behind it from another. So each process writes a witness after its documents:
a store that lost the documents lost the witness too.
"""

import asyncio
import secrets

from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.errors import FellBack

WITNESS_S = 24 * 3_600


class Witness:
    """This process's witness: a number that rises, and that the store must know once the write of it has returned.

    ``epoch`` is its name. All calls raise Unavailable.
    """

    def __init__(self, state: DaprState) -> None:
        self._state = state
        self.epoch = f"witness:{secrets.token_hex(8)}"
        self._asked = 0
        self._written = 0
        self._writing = asyncio.Lock()

    async def write(self) -> None:
        """To be called after documents were written. Who comes while a write is on its way shares the next one."""
        self._asked += 1
        own = self._asked
        async with self._writing:
            if self._written < own:
                number = self._asked
                await self._state.change([Write(self.epoch, number, None, WITNESS_S)])
                self._written = number

    async def begin(self, key: str) -> Value | None:
        """What a key holds, as a batch begins.

        Documents are read after this: what was lost before, or a witness that expired, is no matter to the batch.
        """
        value, _ = await self._read(key)
        return value

    async def check(self, key: str) -> Value | None:
        """What a key holds. Raises FellBack where the store does not know what was written last."""
        value, is_known = await self._read(key)
        if not is_known:
            raise FellBack("Dapr's state store lost what was written last: the log is read again from its checkpoint.")
        return value

    async def _read(self, key: str) -> tuple[Value | None, bool]:
        written = self._written
        value, seen = await self._state.read([key, self.epoch])
        is_known = not written or (seen is not None and int(seen.data) >= written)
        if not is_known and self._written == written:
            self._written = 0
        return value, is_known
