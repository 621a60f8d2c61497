"""The stores behind Dapr for the suites of their ports: behind a fake state API, and behind a real sidecar."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from mastery_engine.backends.dapr.stores import stores_on
from mastery_engine.ports.backend import Stores
from scripts.servers.dapr import Dapr
from scripts.servers.redis import Redis
from tests.support.fakes.dapr_state import FakeDaprState
from tests.support.real_servers import RealServers
from tests.support.samples import Clock
from tests.support.sidecars import redis_state, stores_behind

TOKEN = "shown-to-the-sidecar"
RETENTION_DAYS = 90

SIDECAR = pytest.StashKey[Dapr]()


@asynccontextmanager
async def dapr(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    stores = stores_on(FakeDaprState(Clock()).state(), retention_days=RETENTION_DAYS)
    yield stores
    await stores.connection.close()


@asynccontextmanager
async def daprd(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    server: Redis = request.getfixturevalue("redis_server")
    sidecar = running_sidecar(request)
    with server.client() as client:
        client.flushall()
    stores = stores_behind(sidecar, TOKEN, RETENTION_DAYS)
    yield stores
    await stores.connection.close()


def running_sidecar(request: pytest.FixtureRequest) -> Dapr:
    """A sidecar on the run's Redis, for the rest of the run."""
    stash = request.config.stash
    if SIDECAR not in stash:
        server: Redis = request.getfixturevalue("redis_server")
        real_servers: RealServers = request.getfixturevalue("real_servers")
        paths: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        home = paths.mktemp("dapr")
        running = ExitStack()
        stash[SIDECAR] = running.enter_context(
            real_servers.started("Dapr", lambda: Dapr([redis_state(server.port)], home=home, api_token=TOKEN))
        )
        request.config.add_cleanup(running.close)
    return stash[SIDECAR]
