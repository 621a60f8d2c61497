"""How hard hypothesis tries, and what a run says at its end about the real servers: which it used, which it had not."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from scripts.servers.cache import Unavailable
from scripts.servers.kafka import Kafka
from scripts.servers.process import Group, Server
from scripts.servers.redis import Redis, RedisCluster, RedisSentinel

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
            must_be_there = os.environ.get("CI") == "true"
            give_up = pytest.fail.Exception if must_be_there else pytest.skip.Exception
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


# Real servers, each started when first asked for and kept for the run. They are shared, but not by xdist's workers: a
# test uses topics and keys of its own, or empties them first, and brings back what it killed. With other settings:
# `with real_servers.started("Redis", lambda: Redis(password="x")) as server`.


@pytest.fixture(scope="session")
def kafka(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    home = tmp_path_factory.mktemp("kafka")
    with real_servers.started("Apache Kafka", lambda: Kafka(home=home)) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    home = tmp_path_factory.mktemp("redis")
    with real_servers.started("Redis", lambda: Redis(home=home)) as server:
        yield server


@pytest.fixture(scope="session")
def redis_sentinel(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisSentinel]:
    home = tmp_path_factory.mktemp("redis-sentinel")
    with real_servers.started("Redis Sentinel", lambda: RedisSentinel(home=home)) as group:
        yield group


@pytest.fixture(scope="session")
def redis_cluster(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    home = tmp_path_factory.mktemp("redis-cluster")
    with real_servers.started("Redis Cluster", lambda: RedisCluster(home=home)) as group:
        yield group


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
