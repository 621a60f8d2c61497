"""Which documents changed, as Redis tells it: client tracking in broadcast mode, on a connection of its own.

The connection is its own redirection's target, since RESP2 tells invalidations as messages of a channel.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

from redis.asyncio import Redis

from mastery_engine.backends.redis.document_cache import Invalidation
from mastery_engine.backends.redis.errors import AWAY, away
from mastery_engine.backends.redis.keys import STUDENT_KEYS, document_of
from mastery_engine.errors import Unavailable

CHANNEL = "__redis__:invalidate"
PING_S = 0.25
PATIENCE_S = 2.0


async def changes(client: Redis, now: Callable[[], float]) -> AsyncIterator[Invalidation]:
    """What Redis tells, without end. Raises Unavailable once it is away, or where it cannot track (before 6.0)."""
    pool = client.connection_pool
    connection: Any = pool.connection_class(**{**pool.connection_kwargs, "protocol": 2})
    try:
        await connection.connect()
        me = await _ask(connection, "CLIENT", "ID")
        await _ask(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", me, "BCAST", "PREFIX", STUDENT_KEYS)
        await _ask(connection, "SUBSCRIBE", CHANNEL)
        yield Invalidation(None)
        async for invalidation in _invalidations(connection, now):
            yield invalidation
    except AWAY as error:
        raise away(error) from error
    finally:
        await connection.disconnect(nowait=True)


async def _ask(connection: Any, *words: Any) -> Any:
    await connection.send_command(*words, check_health=False)
    return await connection.read_response()


async def _invalidations(connection: Any, now: Callable[[], float]) -> AsyncIterator[Invalidation]:
    """Messages as they come, and pings: whatever was told before a ping's answer has been heard by then."""
    asked, is_waiting = now() - PING_S, False
    while True:
        if not is_waiting and now() >= asked + PING_S:
            asked, is_waiting = now(), True
            await connection.send_command("PING", check_health=False)
        answer = await connection.read_response(timeout=PING_S)
        if answer is None:
            if is_waiting and now() > asked + PATIENCE_S:
                raise Unavailable("Redis does not answer.")
        elif answer[0] == b"pong":
            is_waiting = False
            yield Invalidation(up_to=asked)
        elif answer[2] is None:
            yield Invalidation(None)
        else:
            yield Invalidation(tuple(key for name in answer[2] if (key := document_of(name)) is not None))
