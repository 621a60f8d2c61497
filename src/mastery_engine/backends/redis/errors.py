"""Redis's own errors as the engine's: in words that name no command and no host."""

import logging
import re
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from mastery_engine.errors import Unavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

AWAY = (exceptions.RedisError, exceptions.RedisClusterException, OSError)  # a Cluster's errors are of another tree

CREDENTIALS = (
    "Redis refuses the credentials: put the user and password into REDIS_HOST, as in redis://USER:PASSWORD@host:port."
)
# The first that fits counts: by the error's kind, or by what Redis puts into its text.
_WORDS: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((exceptions.AuthenticationError, exceptions.AuthorizationError), "NOAUTH|WRONGPASS", CREDENTIALS),
    (
        (),
        "CERTIFICATE_VERIFY_FAILED",
        "Redis shows a certificate that is not trusted: put ?ssl_ca_certs=FILE into REDIS_HOST.",
    ),
    (
        (exceptions.NoPermissionError,),
        "NOPERM",
        "Redis does not permit its user what the engine needs: give the user all commands on the keys mastery:*.",
    ),
    (
        (exceptions.OutOfMemoryError,),
        "OOM",
        "Redis is full and takes no writes: give it more memory (maxmemory). Nothing was lost.",
    ),
    (
        (exceptions.ReadOnlyError,),
        "READONLY",
        "Redis is a replica and takes no writes: set REDIS_HOST to its master. Nothing was lost.",
    ),
    (
        (),
        "MISCONF",
        "Redis cannot save to its disk, and takes no writes until it can: free some room there. Nothing was lost.",
    ),
    (
        (),
        "NOREPLICAS",
        "Redis has fewer good replicas than min-replicas-to-write asks for, and takes no writes. Nothing was lost.",
    ),
    (
        (exceptions.InvalidResponse,),
        "",
        "What answers at REDIS_HOST does not speak as Redis does: look at host and port, and at rediss:// for TLS.",
    ),
    ((exceptions.BusyLoadingError,), "LOADING", "Redis still loads its data: wait until it has. Nothing was lost."),
    (
        (exceptions.ClusterError, exceptions.SlotNotCoveredError),
        "CLUSTERDOWN",
        "A part of the Redis Cluster is down: start its masters again. Nothing was lost.",
    ),
    (
        (),
        "MASTERDOWN",
        "Redis has lost its master: start it again, or make another server the master. Nothing was lost.",
    ),
    (
        (MasterNotFoundError,),
        "",
        "The Sentinels know no master of the name in REDIS_HOST: correct the name. Nothing was lost.",
    ),
    (
        (exceptions.MaxConnectionsError,),
        "max number of clients reached",
        "Redis takes no more connections: raise its maxclients. Nothing was lost.",
    ),
    (
        (exceptions.TimeoutError, TimeoutError),
        "No connection available",
        "Redis has not answered in time: nothing was lost. If it should be there, look at its load and at REDIS_HOST.",
    ),
    (
        (exceptions.ConnectionError, exceptions.RedisClusterException, OSError),
        "",
        "Redis is away: nothing was lost. If it should be there, look at REDIS_HOST.",
    ),
)
_KNOWN = [(kinds, re.compile(rf"\b(?:{text})\b") if text else None, words) for kinds, text, words in _WORDS]


def away(error: Exception) -> Unavailable:
    """Redis's own error as the engine's, with what to do where that is known; what is not known is logged."""
    text = str(error)
    for kinds, pattern, words in _KNOWN:
        if isinstance(error, kinds) or (pattern is not None and pattern.search(text)):
            return Unavailable(words)
    logger.warning("Redis answers %s: %s", type(error).__name__, text)
    return Unavailable("Redis refuses what the engine asks of it: nothing was lost. The engine's log has its words.")


def or_unavailable(call: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Redis's own errors as Unavailable."""

    @wraps(call)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(*args, **kwargs)
        except AWAY as error:
            raise away(error) from error

    return guarded
