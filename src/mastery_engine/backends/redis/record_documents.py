"""Documents of a learning record store in Redis: a hash for each scope, and a set of a person's scopes."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.domain.moments import Micros
from mastery_engine.ports.record_documents import RecordDocument, RecordDocumentKey

# The document's hash and its person's set; the field, the etag that is expected and the new one (both empty: none),
# the document, the member of the set, and their life in ms (0: for good). A value is led by its etag and a blank.
SAVE = """
local there = redis.call('HGET', KEYS[1], ARGV[1])
local etag = there and string.match(there, '^(%S+) ') or ''
if etag ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return 1
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3] .. ' ' .. ARGV[4])
if ARGV[6] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  redis.call('SADD', KEYS[2], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
return 1
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RecordDocument).decode
_decode_field = msgspec.msgpack.Decoder(tuple[str, str]).decode


class RedisRecordDocuments:
    """See ``RecordDocumentStore``. ``life_ms`` is the life of a person's documents after the last write in a scope."""

    def __init__(self, client: Client, *, life_ms: int) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async
        self._life_ms = life_ms

    @or_unavailable
    async def load(self, key: RecordDocumentKey) -> RecordDocument | None:
        value = await self._client.hget(names.record_documents(key.tenant, key.scope), _field(key))
        return None if value is None else _document(value)

    @or_unavailable
    async def save(self, key: RecordDocumentKey, document: RecordDocument | None, *, over: str | None) -> bool:
        person = b"" if document is None else document.person
        written = names.record_documents(key.tenant, key.scope), names.record_person(key.tenant, person)
        values = [
            _field(key),
            over or "",
            "" if document is None else document.etag,
            b"" if document is None else _encode(document),
            key.scope,
            self._life_ms if person else 0,
        ]
        return bool(await self._client.execute_command("EVAL", SAVE, len(written), *written, *values))

    @or_unavailable
    async def names(
        self, tenant: str, scope: bytes, *, registration: str | None, since: Micros | None
    ) -> list[tuple[RecordDocumentKey, Micros]]:
        found = [
            (key, document.updated)
            async for key, document in self._of(tenant, scope)
            if registration in (None, key.registration) and (since is None or document.updated > since)
        ]
        return sorted(found, key=lambda one: (one[0].name, one[0].registration))

    async def _of(self, tenant: str, scope: bytes) -> AsyncIterator[tuple[RecordDocumentKey, RecordDocument]]:
        for field, value in (await self._client.hgetall(names.record_documents(tenant, scope))).items():
            name, registration = _decode_field(field)
            yield RecordDocumentKey(tenant, scope, name, registration), _document(value)

    @or_unavailable
    async def remove_all(self, tenant: str, scope: bytes, *, registration: str | None) -> int:
        keys = [key async for key, _ in self._of(tenant, scope) if registration in (None, key.registration)]
        if not keys:
            return 0
        return int(await self._client.hdel(names.record_documents(tenant, scope), *map(_field, keys)))

    @or_unavailable
    async def of_person(self, tenant: str, person: bytes) -> list[tuple[RecordDocumentKey, RecordDocument]]:
        scopes = await self._client.smembers(names.record_person(tenant, person))
        return [one for scope in scopes async for one in self._of(tenant, scope) if one[1].person == person]

    @or_unavailable
    async def purge(self, before: Micros) -> int:
        removed = 0
        async for name in self._client.scan_iter(match=names.RECORD_DOCUMENTS, count=PAGE):
            values = await self._client.hgetall(name)
            found = [(field, _document(value)) for field, value in values.items()]
            old = [field for field, document in found if document.person and document.updated < before]
            if old:
                removed += await self._client.hdel(name, *old)
        return removed


def _field(key: RecordDocumentKey) -> bytes:
    return _encode((key.name, key.registration))


def _document(value: bytes) -> RecordDocument:
    return _decode(value.partition(b" ")[2])
