"""How hard hypothesis tries, and what a run says at its end about the real servers: which it used, which it had not."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from scripts.servers.cache import Unavailable
from scripts.servers.process import Group, Server

SERVERS = "mastery_real_servers"  # under which an xdist worker hands its list over


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
            give_up = pytest.fail.Exception if os.environ.get("CI") == "true" else pytest.skip.Exception
            raise give_up(f"no real {name}: {unavailable}", pytrace=False) from None


NOTED = pytest.StashKey[RealServers]()


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("fast", deadline=None, max_examples=40)
    settings.register_profile("thorough", deadline=None, max_examples=500)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
    config.stash[NOTED] = RealServers()


@pytest.fixture(scope="session")
def real_servers(pytestconfig: pytest.Config) -> RealServers:
    return pytestconfig.stash[NOTED]


def pytest_sessionfinish(session: pytest.Session) -> None:
    handed_over: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if handed_over is not None:
        noted = session.config.stash[NOTED]
        handed_over[SERVERS] = (sorted(noted.used), noted.missing)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    used, missing = getattr(node, "workeroutput", {}).get(SERVERS, ([], {}))
    noted = node.config.stash[NOTED]
    noted.used.update(used)
    noted.missing.update(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    noted = config.stash[NOTED]
    if noted.used or noted.missing:
        terminalreporter.section("real servers")
        if noted.used:
            terminalreporter.write_line(f"used: {', '.join(sorted(noted.used))}")
        for name, reason in sorted(noted.missing.items()):
            terminalreporter.write_line(f"NOT TESTED WITH {name}: {reason}", red=True, bold=True)
