"""What every backend promises of idempotency keys."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mastery_engine.backends.dapr.stores import stores_on
from mastery_engine.domain.moments import DAY, SECOND
from mastery_engine.ports.backend import Stores
from scripts.servers.redis import Redis
from tests.support.dapr_stores import RETENTION_DAYS
from tests.support.fakes.dapr_state import REDIS, FakeDaprState
from tests.support.samples import NOW, Clock
from tests.support.stores import STORES, on, stores_fixture

stores = stores_fixture()


@pytest.fixture(params=on("memory", "sqlite"))
async def dated(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """Stores that go by the moment of the call; the others let keys expire by a clock of their own."""
    async with STORES[request.param](tmp_path, request) as opened:
        yield opened


async def test_a_key_stands_for_the_first_body(stores: Stores) -> None:
    keys = stores.idempotency
    assert await keys.claim("key-1", "body-1", NOW) == "body-1"
    assert await keys.claim("key-1", "body-1", NOW + 1) == "body-1"
    assert await keys.claim("key-1", "body-2", NOW + 2) == "body-1"
    assert await keys.claim("key-2", "body-2", NOW + 2) == "body-2"


async def test_of_many_at_once_one_is_the_first_for_all(stores: Stores) -> None:
    claimed = await asyncio.gather(*[stores.idempotency.claim("key", f"body-{place % 5}", NOW) for place in range(20)])
    assert len(set(claimed)) == 1
    assert await stores.idempotency.claim("key", "late", NOW) == claimed[0]


async def test_many_keys_are_claimed_at_once_and_others_only_looked_up(stores: Stores) -> None:
    keys = stores.idempotency
    await keys.claim("held", "first", NOW)
    asked: dict[str, str | None] = {"held": "second", "new": "third", "unknown": None}
    assert await keys.claim_all(asked, NOW) == {"held": "first", "new": "third", "unknown": None}
    assert await keys.claim_all({"held": None, "new": None, "unknown": "fourth"}, NOW) == {
        "held": "first",
        "new": "third",
        "unknown": "fourth",
    }
    assert await keys.claim("unknown", "fifth", NOW) == "fourth"
    assert await keys.claim_all({}, NOW) == {}
    many: dict[str, str | None] = {f"key-{number}": f"value-{number}" for number in range(1_000)}
    assert await keys.claim_all(many, NOW) == many
    assert await keys.claim_all(dict.fromkeys(many, "another"), NOW) == many


async def test_a_key_that_was_claimed_with_others_is_new_again_after_a_day(dated: Stores) -> None:
    keys = dated.idempotency
    await keys.claim_all({"key": "body-1"}, NOW)
    assert await keys.claim_all({"key": None}, NOW + DAY - 1) == {"key": "body-1"}
    assert await keys.claim_all({"key": None}, NOW + DAY) == {"key": None}
    assert await keys.claim_all({"key": "body-2"}, NOW + DAY) == {"key": "body-2"}


async def test_a_key_is_new_again_after_a_day(dated: Stores) -> None:
    keys = dated.idempotency
    await keys.claim("key", "body-1", NOW)
    assert await keys.claim("key", "body-2", NOW + DAY - 1) == "body-1"
    assert await keys.claim("key", "body-2", NOW + DAY) == "body-2"
    assert await keys.claim("key", "body-1", NOW + DAY) == "body-2"


async def test_a_purge_takes_those_from_before_a_moment(dated: Stores) -> None:
    keys = dated.idempotency
    for hour in range(3):
        await keys.claim(f"key-{hour}", "body-1", NOW + hour)
    assert await keys.purge(NOW + 2) == 2
    assert await keys.purge(NOW + 2) == 0
    assert await keys.claim("key-2", "body-2", NOW + 2) == "body-1"
    assert await keys.claim("key-0", "body-2", NOW + 2) == "body-2"


async def test_behind_dapr_a_key_lives_a_day_from_its_first_call() -> None:
    clock = Clock()
    sidecar = FakeDaprState(clock, component=REDIS)
    keys = stores_on(sidecar.state(), retention_days=RETENTION_DAYS).idempotency
    await keys.claim("key", "body-1", clock())
    clock.tick(DAY - SECOND)
    assert await keys.claim("key", "body-2", clock()) == "body-1"
    clock.tick(2 * SECOND)
    assert sidecar.keys_from("i:") == []
    assert await keys.claim("key", "body-2", clock()) == "body-2"


@pytest.mark.parametrize("stores", on("redis"), indirect=True)
async def test_in_redis_a_key_expires_after_a_day(stores: Stores, redis_server: Redis) -> None:
    await stores.idempotency.claim("key", "body-1", NOW)
    await stores.idempotency.claim("key", "body-2", NOW)
    with redis_server.client() as client:
        (name,) = client.keys("mastery:idempotency:*")
        assert 0 < client.pttl(name) <= DAY // 1_000
