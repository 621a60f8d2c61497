"""How many connections there may be at once, in all and of one address."""

import logging
import resource
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Protocol

from mastery_engine.auth.limits import neighbourhood
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import MINUTE, Micros

logger = logging.getLogger(__name__)

MOST = 1_000
MOST_OF_ONE_ADDRESS = 200
SPARE_DESCRIPTORS = 100  # for files, stores, logs, and connections that are being refused
LEAST = 16


def most_connections() -> int:
    """1,000, or what this process's limit of open descriptors allows less 100."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST
    return max(LEAST, min(MOST, descriptors - SPARE_DESCRIPTORS))


class OpenConnection(Protocol):
    """A connection that can be ended."""

    def give_way(self) -> None:
        """End at once, for another sender's connection."""
        ...


class ConnectionLimits:
    """Counts the open connections of this process, in all and by sender.

    A proxy carries many callers and has no limit of its own. Where all connections are in use, the sender who has most
    loses one that waits for that sender (for a request, or the rest of one), if the newcomer would still have fewer.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        is_proxy: Callable[[str], bool],
        most: int = MOST,
        most_of_one_address: int = MOST_OF_ONE_ADDRESS,
    ) -> None:
        self._clock = clock
        self._is_proxy = is_proxy
        self._most = most
        self._most_of_one_address = most_of_one_address
        self._by_sender: Counter[str] = Counter()
        self._waiting: defaultdict[str, dict[OpenConnection, None]] = defaultdict(dict)  # the longest waiting first
        self._said: dict[str, Micros] = {}
        self.open = 0

    def admit(self, address: str) -> str | None:
        """Count one more connection of the sender that ``neighbourhood`` names; or why it is refused, in words."""
        sender = neighbourhood(address)
        if self._by_sender[sender] >= self._most_of_one_address and not self._is_proxy(address):
            self._say(
                sender,
                f"{sender} has {self._most_of_one_address} open connections: further ones are refused. If this is a "
                "proxy, name it in FORWARDED_ALLOW_IPS",
            )
            return f"Your address has {self._most_of_one_address} open connections, the most there may be: close some."
        if self.open >= self._most and not self._has_made_way(sender):
            self._say("all", f"all {self._most:,} connections are in use: further ones are refused")
            return f"All {self._most:,} connections of this server are in use: try again in a second."
        self.open += 1
        self._by_sender[sender] += 1
        return None

    def _has_made_way(self, newcomer: str) -> bool:
        """Whether the sender who has most connections lost one, so that the newcomer may have it."""
        sender, count = max(
            ((name, len(waiting) and self._by_sender[name]) for name, waiting in self._waiting.items()),
            key=lambda each: each[1],
            default=("", 0),
        )
        if count <= self._by_sender[newcomer] + 1:
            return False
        next(iter(self._waiting[sender])).give_way()
        return True

    def waits(self, sender: str, connection: OpenConnection) -> None:
        """An admitted connection waits for its sender from now on."""
        self._waiting[sender][connection] = None

    def works(self, sender: str, connection: OpenConnection) -> None:
        """The engine works for a connection from now on."""
        self._waiting[sender].pop(connection, None)

    def leave(self, sender: str, connection: OpenConnection) -> None:
        """An admitted connection has ended."""
        self._waiting[sender].pop(connection, None)
        self.open -= 1
        self._by_sender[sender] -= 1
        if not self._by_sender[sender]:
            del self._by_sender[sender]
            del self._waiting[sender]

    def _say(self, about: str, words: str) -> None:
        """Log this once a minute: those whom it is about would else fill the log."""
        now = self._clock()
        self._said = {name: at for name, at in self._said.items() if now < at + MINUTE}
        if about not in self._said:
            self._said[about] = now
            logger.warning("%s.", words)
