"""Credentials in Redis: one hash, by their keys, since a platform's key says nothing of its tenant."""

from typing import Any

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import Client
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.ports.credentials import Credential, in_order, pack_credential, unpack_credential


class RedisCredentials:
    """See ``CredentialStore``."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    @or_unavailable
    async def put(self, credential: Credential) -> None:
        await self._client.hset(names.CREDENTIALS, credential.key, pack_credential(credential))

    @or_unavailable
    async def find(self, key: str) -> Credential | None:
        packed = await self._client.hget(names.CREDENTIALS, key)
        return None if packed is None else unpack_credential(packed)

    @or_unavailable
    async def remove(self, key: str) -> bool:
        return bool(await self._client.hdel(names.CREDENTIALS, key))

    @or_unavailable
    async def all(self) -> list[Credential]:
        return in_order([unpack_credential(packed) for packed in await self._client.hvals(names.CREDENTIALS)])
