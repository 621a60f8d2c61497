"""Documents that are asked for at the same time are loaded from the store at once: one round trip for all of them."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import Held

HASTE_S = 0.05  # a load that takes longer holds up nobody
LOAD_S = 2.0

Asked: TypeAlias = tuple[Sequence[StudentKey], asyncio.Future[list[Held | None]]]


class Loads(Protocol):
    """What documents are loaded from."""

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]: ...


class LoadsTogether:
    """One load at a time, as long as loads are quick: what is asked for meanwhile goes with the next.

    Who asks alone waits for nobody. For a store that is there or away as a whole: what fails, fails for all who asked.
    """

    def __init__(self, store: Loads) -> None:
        self._store = store
        self._waiting: list[Asked] = []
        self._sender: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        """The documents as they are once this is asked, None where there is none.

        Raises Unavailable, after two seconds at most, or what else the store raises.
        """
        answer: asyncio.Future[list[Held | None]] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, answer))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        return await answer

    async def _send(self) -> None:
        while self._waiting:
            asked, self._waiting = [one for one in self._waiting if not one[1].done()], []  # some gave up
            if asked:
                load = asyncio.create_task(self._answer(asked))
                self._under_way.add(load)
                load.add_done_callback(self._under_way.discard)
                await asyncio.wait([load], timeout=HASTE_S)

    async def _answer(self, asked: Sequence[Asked]) -> None:
        try:
            keys = list(dict.fromkeys([key for some, _ in asked for key in some]))
            found = dict(zip(keys, await self._load(keys), strict=True))
            for some, answer in asked:
                if not answer.done():
                    answer.set_result([found[key] for key in some])
        except Exception as error:  # noqa: BLE001  it is raised where the documents were asked for
            if len(asked) > 1 and not isinstance(error, Unavailable):
                for one in asked:  # so that a document that cannot be read fails nobody but who asked for it
                    await self._answer([one])
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
        finally:
            for _, answer in asked:
                answer.cancel()  # of who was not answered, as this process ends

    async def _load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        try:
            async with asyncio.timeout(LOAD_S):
                return await self._store.load(keys)
        except TimeoutError:
            raise Unavailable(f"The store has not answered within {LOAD_S:.0f} seconds: try again.") from None
