"""Answers that wait in memory for their readers: how much there may be of them in all."""

from collections import Counter, defaultdict

from mastery_engine.http.connection_limits import OpenConnection

MOST_UNREAD = 64 * 1024 * 1024


class UnreadAnswers:
    """Counts the bytes that wait on the connections of this process, by sender.

    Where they are too many, the sender who has most of them loses the connection that has read nothing for longest.
    """

    def __init__(self, most: int = MOST_UNREAD) -> None:
        self._most = most
        self._bytes: Counter[str] = Counter()
        self._held: defaultdict[str, dict[OpenConnection, int]] = defaultdict(dict)  # the longest waiting first

    def hold(self, sender: str, connection: OpenConnection, size: int) -> None:
        """So many bytes wait on a connection from now on. A single answer may be larger than all may be."""
        self.let_go(sender, connection)
        self._held[sender][connection] = size
        self._bytes[sender] += size
        while self._bytes.total() > self._most:
            most, _ = self._bytes.most_common(1)[0]
            longest = next(iter(self._held[most]))
            if longest is connection:
                break
            self.let_go(most, longest)
            longest.give_way()

    def let_go(self, sender: str, connection: OpenConnection) -> None:
        """Nothing of note waits on a connection, or it has ended."""
        held = self._held.get(sender, {})
        self._bytes[sender] -= held.pop(connection, 0)
        if not held:
            self._held.pop(sender, None)
            del self._bytes[sender]
