"""The rate limits' windows in this process."""

from collections import OrderedDict

from limits.aio.storage.memory import Entry, MemoryStorage


class MemoryWindows(MemoryStorage):
    """See ``limits.aio.storage.Storage``: the library's own, with another way to forget what has expired.

    The library looks through the windows of all callers again and again, in a thread for each. Here each call forgets
    the windows in which nobody called for so long that they are empty; those stand first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.events: OrderedDict[str, list[Entry]] = OrderedDict()  # whoever called last is last

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Whether there was room for ``amount`` more in a window of ``expiry`` seconds; if so, they are counted."""
        entry = Entry(expiry)
        self._forget(entry.atime)
        entries = self.events.setdefault(key, [])
        self.events.move_to_end(key)
        if amount > limit or (len(entries) > limit - amount and entries[limit - amount].atime >= entry.atime - expiry):
            return False
        entries[:0] = [entry] * amount
        del entries[limit:]
        return True

    def _forget(self, now: float) -> None:
        while self.events:
            first = next(iter(self.events))
            entries = self.events[first]
            if entries and entries[0].expiry >= now:
                return
            del self.events[first]
