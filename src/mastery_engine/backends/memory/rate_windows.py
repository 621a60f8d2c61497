"""The rate limits' windows in this process."""

from collections import OrderedDict, deque

from mastery_engine.domain.moments import MINUTE, Micros


class MemoryWindows:
    """See ``NearWindows``. Each call forgets the windows in which nobody called for a minute, which stand first."""

    def __init__(self) -> None:
        self._moments: OrderedDict[str, deque[Micros]] = OrderedDict()  # whoever called last is last

    def count(self, name: str, limit: int, now: Micros) -> tuple[bool, int, Micros]:
        since = now - MINUTE
        moments = self._moments.setdefault(name, deque())
        self._moments.move_to_end(name)
        while moments and moments[0] < since:
            moments.popleft()
        has_room = len(moments) < limit
        if has_room:
            moments.append(now)
        self._forget(since)
        return has_room, len(moments), moments[0] + MINUTE

    def _forget(self, since: Micros) -> None:
        while True:
            first = next(iter(self._moments))
            if self._moments[first][-1] >= since:
                return
            del self._moments[first]

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self._moments)
