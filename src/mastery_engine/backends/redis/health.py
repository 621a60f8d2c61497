"""Whether a Redis takes writes, and what in its settings may lose what it holds: alone, behind Sentinels, a Cluster."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ResponseError

from mastery_engine.backends.redis.client import Client
from mastery_engine.backends.redis.keys import PROBE_MS, probe
from mastery_engine.ports.backend import Danger

MOST_NUMBERS = 500  # by then each of some 70 masters has had its number


async def try_write(client: Client) -> None:
    """Write to the server, or to each master of a Cluster. Raises what Redis raises."""
    if isinstance(client, Redis):
        await client.set(probe(0), b"", px=PROBE_MS)
        return
    _ = await client.initialize()
    pipeline: Any = client.pipeline(transaction=False)
    for number in _one_for_each_master(client):
        pipeline.set(probe(number), b"", px=PROBE_MS)
    await pipeline.execute()


def _one_for_each_master(client: RedisCluster) -> Iterator[int]:
    """Numbers of probes, of which each belongs to another master."""
    masters = {node.name for node in client.get_primaries()}
    for number in range(MOST_NUMBERS):
        if not masters:
            return
        master = client.get_node_from_key(probe(number))
        if master is not None and master.name in masters:
            masters.discard(master.name)
            yield number


async def dangers_of(client: Client) -> list[Danger]:
    """What in the settings of the server, or of a Cluster's masters, may lose data. Raises what Redis raises."""
    dangers = [danger async for who, info, saves in _settings(client) for danger in _dangers(who, info, saves)]
    return list(dict.fromkeys(dangers))


async def _settings(client: Any) -> AsyncIterator[tuple[str, Mapping[str, Any] | None, str | None]]:
    """How to call each server, its INFO and its save points; None for what it does not let this user read."""
    if isinstance(client, Redis):
        yield "Redis", await _info(client), await _save_points(client)
        return
    await client.initialize()
    for master in client.get_primaries():
        info = await _info(client, target_nodes=master)
        yield "A master of the Redis Cluster", info, await _save_points(client, target_nodes=master)


async def _info(client: Any, **which: Any) -> Mapping[str, Any] | None:
    try:
        info: Mapping[str, Any] = await client.info(**which)
    except ResponseError:
        return None
    return info


async def _save_points(client: Any, **which: Any) -> str | None:
    """The setting ``save``; managed servers often have no CONFIG."""
    try:
        settings: Mapping[str, str] = await client.config_get("save", **which)
    except ResponseError:
        return None
    return settings.get("save")


def _dangers(who: str, info: Mapping[str, Any] | None, saves: str | None) -> Iterator[Danger]:
    if info is None:
        yield Danger(
            f"{who} does not let this user read its settings (INFO): see for yourself that maxmemory-policy is "
            "noeviction, that it saves to disk, and that it is no replica.",
            is_certain=False,
        )
        return
    policy, evicted = info.get("maxmemory_policy", "noeviction"), info.get("evicted_keys", 0)
    if info.get("maxmemory", 0) > 0 and policy != "noeviction":
        already = f" It has removed {evicted:,} already." if evicted else ""
        yield Danger(
            f"{who} removes keys once its memory is full (maxmemory-policy {policy}): students would be gone without "
            f"a word.{already} Set maxmemory-policy to noeviction."
        )
    elif evicted:
        yield Danger(
            f"{who} has removed {evicted:,} keys since its start, because its memory was full: where students may be "
            "among them, run mastery-engine replay.",
            is_certain=False,
        )
    if not info.get("aof_enabled") and saves is None:
        yield Danger(
            f"{who} does not let this user read whether it saves to disk (CONFIG): see for yourself that appendonly "
            "is yes, or that it has save points.",
            is_certain=False,
        )
    elif not info.get("aof_enabled") and not saves:
        yield Danger(
            f"{who} saves nothing to disk (appendonly is no, and there are no save points): students, cohorts and "
            "audit records are gone when it stops. Set appendonly to yes."
        )
    if info.get("role") == "slave":
        yield Danger(
            f"{who} is a replica: it takes no writes, or loses them when it follows its master again. Set REDIS_HOST "
            "to the master."
        )
