"""Redis's own errors as the engine's."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from redis.exceptions import RedisClusterException, RedisError

from mastery_engine.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

AWAY = (RedisError, RedisClusterException, OSError)  # a Cluster's errors are of a tree of their own


def or_unavailable(call: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Redis's own errors as Unavailable."""

    @wraps(call)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(*args, **kwargs)
        except AWAY as error:
            raise Unavailable(f"Redis is away ({type(error).__name__}: {error}): nothing was lost.") from error

    return guarded
