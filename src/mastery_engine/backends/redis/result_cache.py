"""The result cache in Redis, which all replicas share."""

import logging
from typing import Any

import msgspec

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import Client
from mastery_engine.backends.redis.errors import AWAY, away
from mastery_engine.ports.result_cache import LIFE_S, ResultKey

logger = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, bytes]).decode


class RedisResultCache:
    """See ``ResultCache``. What an engine of another format cached is not found."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    async def get(self, key: ResultKey, version: str) -> bytes | None:
        try:
            packed: bytes | None = await self._client.get(_name(key))
        except AWAY as error:
            logger.debug("no result is cached: %s", error)
            return None
        if packed is None:
            return None
        try:
            cached, value = _decode(packed)
        except msgspec.DecodeError:
            return None
        return value if cached == version else None

    async def put(self, key: ResultKey, version: str, value: bytes) -> None:
        kinds = names.result_kinds(key.tenant, key.subject)
        pipeline = self._client.pipeline()
        pipeline.set(_name(key), _encode((version, value)), ex=LIFE_S)
        pipeline.sadd(kinds, key.kind)
        pipeline.expire(kinds, LIFE_S)
        try:
            await pipeline.execute()
        except AWAY as error:
            logger.debug("the result was not cached: %s", error)

    async def drop(self, tenant: str, subject: str) -> None:
        kinds = names.result_kinds(tenant, subject)
        try:
            known = await self._client.smembers(kinds)
            await self._client.delete(kinds, *[_name(ResultKey(tenant, subject, kind.decode())) for kind in known])
        except AWAY as error:
            raise away(error) from error


def _name(key: ResultKey) -> str:
    return f"{names.result_kinds(key.tenant, key.subject)}:{key.kind}"
