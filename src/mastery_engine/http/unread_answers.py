"""Answers that wait in memory for their readers: how much there may be of them in all."""

from collections import Counter, defaultdict
from typing import Protocol

from mastery_engine.http.connection_limits import OpenConnection

MOST_UNREAD = 64 * 1024 * 1024


class ReadConnection(OpenConnection, Protocol):
    """A connection on which answers wait for their reader."""

    @property
    def unread(self) -> int:
        """How many bytes wait now."""
        ...


class UnreadAnswers:
    """Counts the bytes that wait on the connections of this process, by sender.

    Where they are too many, the sender who has most of them loses the connection that has read nothing for longest; if
    all have read since they were counted, the one that was counted first.
    """

    def __init__(self, most: int = MOST_UNREAD) -> None:
        self._most = most
        self._bytes: Counter[str] = Counter()
        self._held: defaultdict[str, dict[ReadConnection, int]] = defaultdict(dict)  # the longest waiting first

    def hold(self, sender: str, connection: ReadConnection, size: int) -> None:
        """So many bytes wait on a connection from now on. A single answer may be larger than all may be."""
        self.let_go(sender, connection)
        self._held[sender][connection] = size
        self._bytes[sender] += size
        while self._bytes.total() > self._most:
            most, _ = self._bytes.most_common(1)[0]
            held = self._held[most]
            others = [one for one in held if one is not connection]
            if not others:
                break
            longest = next((one for one in others if one.unread >= held[one]), others[0])
            self.let_go(most, longest)
            longest.give_way()

    def let_go(self, sender: str, connection: ReadConnection) -> None:
        """Nothing of note waits on a connection, or it has ended."""
        held = self._held.get(sender, {})
        self._bytes[sender] -= held.pop(connection, 0)
        if not held:
            self._held.pop(sender, None)
            del self._bytes[sender]
