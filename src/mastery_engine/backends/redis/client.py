"""A client for the Redis that ``REDIS_HOST`` names: alone, behind Sentinels, or a Cluster; TLS and password by URL."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialBackoff

from mastery_engine.errors import StartRefused

Client: TypeAlias = "Redis | RedisCluster"

CONNECT_S = 1.0
ANSWER_S = 5.0
MOST_CONNECTIONS = 64
REDIS_PORT, SENTINEL_PORT = 6379, 26379
RETRIES = 1
PAGE = 500


def connect(host: str) -> Client:
    """The client; it connects when it is first used. Raises StartRefused where the setting cannot be read.

    An IPv6 host is in brackets, unless it stands alone.

    ``host`` is host:port, or a URL: redis, rediss (TLS), redis+sentinel://host:port/MASTER,
    redis+cluster://host:port,host:port.
    """
    try:
        alone = f"[{host}]" if _is_ipv6(host) else host
        url = urlsplit(alone if "://" in alone else f"redis://{alone}")
        if url.scheme == "redis+cluster":
            return _cluster(url)
        if url.scheme == "redis+sentinel":
            return _behind_sentinels(url)
        if url.scheme not in ("redis", "rediss"):
            raise ValueError(url.scheme)
        if url.port == 0 or not url.hostname:
            raise ValueError(url.netloc)
        pool = BlockingConnectionPool.from_url(
            urlunsplit(url), max_connections=MOST_CONNECTIONS, timeout=ANSWER_S, **_patience()
        )
        return Redis.from_pool(pool)
    except (ValueError, KeyError):
        raise StartRefused(
            "REDIS_HOST cannot be read: give host:port (an IPv6 host in brackets, a port from 1 to 65535), or a URL: "
            "redis:// or rediss://HOST:PORT, redis+sentinel://HOST:PORT/MASTER, redis+cluster://HOST:PORT."
        ) from None


async def disconnect(client: Client) -> None:
    """Close the client, and what asks the Sentinels where it uses any."""
    pool = getattr(client, "connection_pool", None)
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()
    await client.aclose()


async def values_of(client: Any, names: Sequence[str]) -> list[bytes | None]:
    """The values of some keys, in their order; None where there is none."""
    if not names:
        return []
    is_one_server = isinstance(client, Redis)
    if is_one_server and len(names) <= PAGE:
        values: list[bytes | None] = await client.mget(names)
        return values
    pipeline = client.pipeline(transaction=False)
    if is_one_server:
        for start in range(0, len(names), PAGE):
            pipeline.mget(names[start : start + PAGE])
        return [value for page in await pipeline.execute() for value in page]
    for name in names:
        pipeline.get(name)
    return list(await pipeline.execute())


async def remove_matching(client: Any, *patterns: str) -> None:
    """Remove all keys whose names match."""
    for pattern in patterns:
        async for name in client.scan_iter(match=pattern, count=PAGE):
            await client.unlink(name)


def _patience() -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": ANSWER_S,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), RETRIES),
        "health_check_interval": 15,
    }


def _cluster(url: SplitResult) -> RedisCluster:
    """A slot that has moved is noted: to read the whole map anew, redis-py closes connections that others are using."""
    nodes = [ClusterNode(name, port) for name, port in _hosts(url, REDIS_PORT)]
    return RedisCluster(startup_nodes=nodes, reinitialize_steps=0, **_identity(url), **_patience())


def _behind_sentinels(url: SplitResult) -> Redis:
    """The master of that name, as the Sentinels know it at each connection; user and password are for it alone."""
    master = url.path.strip("/").partition("/")[0]
    if not master:
        raise ValueError("no name of a master")
    hosts = _hosts(url, SENTINEL_PORT)
    sentinel = Sentinel(hosts, sentinel_kwargs={"socket_timeout": CONNECT_S})  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(master, max_connections=MOST_CONNECTIONS, **_identity(url), **_patience())
    return client


def _hosts(url: SplitResult, default_port: int) -> list[tuple[str, int]]:
    """Several hosts with their ports. Raises ValueError."""
    hosts = []
    for host in url.netloc.rpartition("@")[2].split(","):
        each = urlsplit(f"//{f'[{host}]' if _is_ipv6(host) else host}")
        if not each.hostname or each.port == 0:
            raise ValueError(host)
        hosts.append((each.hostname, each.port or default_port))
    return hosts


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def _identity(url: SplitResult) -> dict[str, Any]:
    """User, password and TLS of a URL; ``?ssl=true&ssl_ca_certs=FILE`` for TLS."""
    user, _, password = url.netloc.rpartition("@")[0].partition(":")
    identity: dict[str, Any] = {name: value for name, value in parse_qsl(url.query) if name != "ssl"}
    if dict(parse_qsl(url.query)).get("ssl", "").lower() in ("1", "true", "yes"):
        identity["ssl"] = True
    if password:
        identity["password"] = unquote(password)
    if user:
        identity["username"] = unquote(user)
    return identity
