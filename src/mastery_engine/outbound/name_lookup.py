"""The addresses of a name, from the system, without holding up a thread that others need."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from mastery_engine.errors import Busy

Lookup: TypeAlias = Callable[[str], Sequence[str]]

MOST_AT_ONCE = 100  # a receiver whose name's server is silent has one, however many wait for it


def system_lookup(name: str) -> Sequence[str]:
    """The addresses of a name as the system says, in its order. Raises OSError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class NameLookup:
    """Looks names up, each in a thread of its own: a server of names that is silent holds up nobody else.

    The threads are daemons, since nothing ends a lookup, and a process should not wait for it at its end.
    """

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._under_way: dict[str, asyncio.Future[Sequence[str]]] = {}

    async def addresses(self, name: str) -> Sequence[str]:
        """The addresses of a name; who asks for the same one meanwhile shares the answer.

        Raises OSError where it has none, and Busy where too many lookups are under way.
        """
        answer = self._under_way.get(name)
        if answer is None:
            if len(self._under_way) >= MOST_AT_ONCE:
                raise Busy("Too many names are being looked up at once: try again later.")
            answer = self._under_way[name] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(lambda done: self._end(name, done))
            threading.Thread(target=self._look_up, args=(name, answer), daemon=True).start()
        return await asyncio.shield(answer)

    def _end(self, name: str, done: "asyncio.Future[Sequence[str]]") -> None:
        del self._under_way[name]
        if not done.cancelled():
            done.exception()  # seen, also where nobody waits any more

    def _look_up(self, name: str, answer: "asyncio.Future[Sequence[str]]") -> None:
        try:
            found, error = self._lookup(name), None
        except (OSError, ValueError) as caught:  # ValueError: labels too long for a name, or a zero byte in it
            found, error = [], OSError(str(caught))
        loop = answer.get_loop()
        try:
            loop.call_soon_threadsafe(_set, answer, found, error)
        except RuntimeError:  # the loop has ended meanwhile
            return


def _set(answer: "asyncio.Future[Sequence[str]]", found: Sequence[str], error: OSError | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(found)
