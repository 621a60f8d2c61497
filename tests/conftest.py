"""How hard hypothesis tries, and what a run says at its end about the real servers: which it used, which it had not."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.nodeid import NodeId
from hypothesis import settings

from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis, RedisCluster, RedisSentinel
from tests.support.real_servers import RealServers

if TYPE_CHECKING:
    from scripts.class_at_work import ClassAtWork
    from tests.support.calls import Api

SERVERS = "mastery_real_servers"  # under which an xdist worker hands its list over

NOTED = pytest.StashKey[RealServers]()


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("fast", deadline=None, max_examples=40)
    settings.register_profile("thorough", deadline=None, max_examples=500)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
    config.stash[NOTED] = RealServers()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Tests that share what their module makes run in one of xdist's processes: the others would make it once more."""
    for item in items:
        module = item.nodeid.partition("::")[0]
        made = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
        shared = [
            name
            for name, (*_, fixture) in made.items()
            if fixture.scope in ("module", "class") and fixture.baseid.partition("::")[0] == module
        ]
        if item.get_closest_marker("xdist_group") is None and any(not name.startswith("_xunit") for name in shared):
            item.add_marker(pytest.mark.xdist_group(module))
    yield
    if config.getoption("loadgroup", False):
        _name_by_group(items)


def _name_by_group(items: list[pytest.Item]) -> None:
    """As xdist names them for its scheduler: xdist 3.8 sets what pytest 9.2 no longer reads, and groups nothing."""
    for item in items:
        group = "_".join(sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")}))
        if group and not item.nodeid.endswith(f"@{group}"):
            item._id = NodeId.parse(f"{item.nodeid}@{group}")  # type: ignore[misc]


@pytest.fixture
def cold_after_a_week(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids become cold after a week, however few they are, as those of a student with many do."""
    monkeypatch.setattr("mastery_engine.domain.events.seen.MOST_HELD", 0)


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
def class_at_work(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ClassAtWork]":
    """The demo's class at a fixed moment; nobody changes it. Who uses it is of the xdist group of that name."""
    from scripts.class_at_work import class_at_work as at_work

    with at_work(tmp_path_factory.mktemp("class")) as class_:
        yield class_


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


# ---- the service in this process, on a data folder of each test's own


@pytest.fixture(autouse=True)
def _quick_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has nothing to do looks up once in a while, and sees then that it is to stop."""
    monkeypatch.setattr("mastery_engine.backends.sqlite.event_log.IDLE_S", 0.05)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator["Api"]:
    from tests.support.calls import serving

    async with serving(tmp_path) as started:
        yield started


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
