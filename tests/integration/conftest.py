"""Real servers for the integration tests, each started when first asked for and kept for the run.

They are shared, but not by xdist's workers: a test uses topics and keys of its own, and brings back what it
killed. With other settings: `with real_servers.started("Redis", lambda: Redis(password="x")) as server`.
"""

from collections.abc import Iterator

import pytest

from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis, RedisCluster
from tests.conftest import RealServers


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
def redis_cluster(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    home = tmp_path_factory.mktemp("redis-cluster")
    with real_servers.started("Redis Cluster", lambda: RedisCluster(home=home)) as server:
        yield server
