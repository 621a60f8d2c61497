"""What was worked out and costs more than a read, in Redis for all replicas: see ``Kept``."""

import logging
from typing import Any

from mastery_engine.backends.redis.client import Client
from mastery_engine.backends.redis.errors import AWAY, away
from mastery_engine.backends.redis.keys import VERSION_BYTES
from mastery_engine.ports.result_cache import LIFE_S, KeptKey

logger = logging.getLogger(__name__)


class KeptInRedis:
    """See ``Kept``. The client is the store's, and is closed with it."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client

    async def kept(self, key: KeptKey, version: int) -> bytes | None:
        try:
            found: bytes | None = await self._client.get(_name(key))
        except AWAY as error:
            logger.debug("nothing is kept: %s", error)
            return None
        if found is None or int.from_bytes(found[:VERSION_BYTES], "big") != version:
            return None
        return found[VERSION_BYTES:]

    async def keep(self, key: KeptKey, version: int, value: bytes) -> None:
        pipeline = self._client.pipeline()
        pipeline.set(_name(key), version.to_bytes(VERSION_BYTES, "big") + value, ex=LIFE_S)
        pipeline.sadd(_kinds(key.tenant, key.subject), key.kind)
        pipeline.expire(_kinds(key.tenant, key.subject), LIFE_S)
        try:
            await pipeline.execute()
        except AWAY as error:
            logger.debug("not kept: %s", error)

    async def drop(self, tenant: str, subject: str) -> None:
        kinds = _kinds(tenant, subject)
        try:
            known = await self._client.smembers(kinds)
            names = [_name(KeptKey(tenant, subject, kind.decode())) for kind in known]
            await self._client.delete(kinds, *names)
        except AWAY as error:
            raise away(error) from error

    async def close(self) -> None:
        """The store closes the client."""


def _kinds(tenant: str, subject: str) -> str:
    return f"mastery:{{{tenant}:{subject}}}:k"


def _name(key: KeptKey) -> str:
    return f"{_kinds(key.tenant, key.subject)}:{key.kind}"
