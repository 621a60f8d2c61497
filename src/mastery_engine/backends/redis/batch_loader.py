"""Documents that are asked for at the same time are loaded from the store at once: one round trip for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import Courses, StoredDocument

HASTE_S = 0.05  # a load that takes longer holds up nobody

Documents: TypeAlias = "list[StoredDocument | None]"
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class DocumentLoader(Protocol):
    """What documents are loaded from."""

    async def load(self, keys: Sequence[DocumentKey]) -> Documents: ...

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]: ...


class BatchLoader:
    """One load at a time, as long as loads are quick: what is asked for meanwhile goes with the next.

    Whoever asks alone waits for nobody. For a store that is there or away as a whole: what fails, fails for all who
    asked.
    """

    def __init__(self, documents: DocumentLoader) -> None:
        self._documents: _Batches[DocumentKey, StoredDocument | None] = _Batches(documents.load)
        self._students: _Batches[StudentKey, Courses] = _Batches(documents.of_students)

    async def load(self, keys: Sequence[DocumentKey]) -> Documents:
        """The documents as they are once this is asked, None where there is none.

        Raises what the loader raises.
        """
        return await self._documents.load(keys)

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        """All documents of each student, as ``load`` does one."""
        return await self._students.load(students)


class _Batches(Generic[K, V]):
    """Values by their keys, loaded in batches by one function."""

    def __init__(self, load: Callable[[Sequence[K]], Awaitable[Sequence[V]]]) -> None:
        self._load = load
        self._waiting: list[tuple[Sequence[K], asyncio.Future[list[V]]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def load(self, keys: Sequence[K]) -> list[V]:
        answer: asyncio.Future[list[V]] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, answer))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        return await answer

    async def _send(self) -> None:
        while self._waiting:
            requests, self._waiting = [request for request in self._waiting if not request[1].done()], []
            if requests:  # else all gave up
                load = asyncio.create_task(self._answer(requests))
                self._under_way.add(load)
                load.add_done_callback(self._under_way.discard)
                await asyncio.wait([load], timeout=HASTE_S)

    async def _answer(self, requests: Sequence[tuple[Sequence[K], asyncio.Future[list[V]]]]) -> None:
        try:
            distinct = list(dict.fromkeys([key for keys, _ in requests for key in keys]))
            values = dict(zip(distinct, await self._load(distinct), strict=True))
            for keys, answer in requests:
                if not answer.done():
                    answer.set_result([values[key] for key in keys])
        except Exception as error:  # noqa: BLE001  it is raised where the values were asked for
            if len(requests) > 1 and not isinstance(error, Unavailable):
                for request in requests:  # so that a document that cannot be read fails nobody but who asked for it
                    await self._answer([request])
            for _, answer in requests:
                if not answer.done():
                    answer.set_exception(error)
        finally:
            for _, answer in requests:
                answer.cancel()  # of those who were not answered, as this process ends
