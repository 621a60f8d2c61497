"""A dict that keeps the newest entries: for what is asked for with each call, where ``cachetools`` takes longer."""

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FifoCache(OrderedDict[K, V]):
    """At most ``most`` entries: a new one takes the place of that set longest ago. Looking one up is a dict's own."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
