"""Documents that are asked for at the same time are loaded from the store at once: one round trip for all of them."""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.stores.base import Held, Store
from mastery_engine.tasks import ended

Asked: TypeAlias = tuple[Sequence[StudentKey], asyncio.Future[list[Held | None]]]


class LoadsTogether:
    """One load at a time: what is asked for meanwhile goes with the next. Who asks alone waits for nobody."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Asked] = []
        self._loading: asyncio.Task[None] | None = None

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        """The documents as they are once this is asked, None where there is none. Raises what the store raises."""
        answer: asyncio.Future[list[Held | None]] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, answer))
        if self._loading is None:
            self._loading = asyncio.create_task(self._load_all())
        return await answer

    async def _load_all(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, []
                await self._answer(asked)
        finally:
            self._loading = None

    async def _answer(self, asked: Sequence[Asked]) -> None:
        try:
            keys = list(dict.fromkeys([key for some, _ in asked for key in some]))
            found = dict(zip(keys, await self._store.load(keys), strict=True))
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
                answer.cancel()  # of who was not answered, as this was ended

    async def close(self) -> None:
        """Whoever still waits is cancelled."""
        if self._loading is not None:
            await ended(self._loading)
        for _, answer in self._waiting:
            answer.cancel()
