"""Redis's own errors as the engine's."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from redis.exceptions import AuthenticationError, RedisClusterException, RedisError

from mastery_engine.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

AWAY = (RedisError, RedisClusterException, OSError)  # a Cluster's errors are of a tree of their own


def away(error: Exception) -> Unavailable:
    """Redis's own error as the engine's, with what to do where that is known."""
    if isinstance(error, AuthenticationError):
        return Unavailable(
            "Redis refuses the credentials: put the user and password into REDIS_HOST, as in "
            "redis://USER:PASSWORD@host:port."
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Unavailable("Redis shows a certificate that is not trusted: put ?ssl_ca_certs=FILE into REDIS_HOST.")
    return Unavailable(f"Redis is away ({type(error).__name__}: {error}): nothing was lost.")


def or_unavailable(call: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Redis's own errors as Unavailable."""

    @wraps(call)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(*args, **kwargs)
        except AWAY as error:
            raise away(error) from error

    return guarded
