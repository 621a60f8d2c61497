"""The real servers of a run: which were used, and which could not be had."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from scripts.servers.cache import Unavailable
from scripts.servers.process import Group, Server

Real = TypeVar("Real", bound=Server | Group)
Had = TypeVar("Had")


@dataclass
class RealServers:
    """The real servers of a run."""

    used: set[str] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def started(self, name: str, make: Callable[[], Real]) -> Iterator[Real]:
        """The server while it runs; where it cannot be had the test is skipped loudly, in CI failed."""
        server = self.had(name, make)
        with server:
            self.used.add(str(server))
            yield server

    def had(self, name: str, get: Callable[[], Had]) -> Had:
        """What was got; where it cannot be had the test is skipped loudly, in CI failed."""
        try:
            return get()
        except Unavailable as unavailable:
            self.missing[name] = str(unavailable)
            must_be_there = os.environ.get("CI") == "true"
            give_up = pytest.fail.Exception if must_be_there else pytest.skip.Exception
            raise give_up(f"no real {name}: {unavailable}", pytrace=False) from None
