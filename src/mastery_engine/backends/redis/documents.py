"""Documents in Redis, and their cold ids beside them.

A document's value begins with its version, and one script compares and sets; every write renews the expiry.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis.asyncio import Redis

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client, remove_matching, values_of
from mastery_engine.backends.redis.errors import AWAY, away, or_unavailable
from mastery_engine.backends.redis.keys import VERSION_BYTES
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.ports.documents import DocumentChange, StoredDocument

COMMIT = """
local won = {}
for i = 1, #KEYS / 2 do
  local document, cold = KEYS[2 * i - 1], KEYS[2 * i]
  local expected, body, ids = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
  if redis.call('GETRANGE', document, 0, 7) == expected then
    if body == '' then
      redis.call('DEL', document, cold)
    else
      redis.call('SET', document, body, 'PX', ARGV[1])
      if ids == '' then
        redis.call('PEXPIRE', cold, ARGV[1])
      else
        redis.call('SET', cold, ids, 'PX', ARGV[1])
      end
    end
    won[i] = 1
  else
    won[i] = 0
  end
end
return won
"""
READ_VERSIONS = """
local versions = {}
for i = 1, #KEYS do versions[i] = redis.call('GETRANGE', KEYS[i], 0, 7) end
return versions
"""


class RedisDocuments:
    """See ``DocumentStore``. ``life_ms`` is the life of a key after its last write."""

    def __init__(self, client: Client, *, life_ms: int) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async
        self._life_ms = life_ms
        self._is_one_server = isinstance(client, Redis)

    @or_unavailable
    async def load(self, keys: Sequence[StudentKey]) -> list[StoredDocument | None]:
        values = await values_of(self._client, [names.document(key) for key in keys])
        return [
            (
                None
                if value is None
                else StoredDocument(int.from_bytes(value[:VERSION_BYTES], "big"), unpack(value[VERSION_BYTES:]))
            )
            for value in values
        ]

    @or_unavailable
    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        values = await values_of(self._client, [names.cold_ids(key) for key in keys])
        return [{} if value is None else unpack_ids(value) for value in values]

    @or_unavailable
    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        if not changes:
            return []
        size = PAGE if self._is_one_server else 1  # a Cluster runs a script over the keys of one student only
        pipeline = self._client.pipeline(transaction=False)
        for start in range(0, len(changes), size):
            page = changes[start : start + size]
            keys = [name for change in page for name in (names.document(change.key), names.cold_ids(change.key))]
            values = [value for change in page for value in _written(change)]
            pipeline.execute_command("EVAL", COMMIT, len(keys), *keys, self._life_ms, *values)
        return [bool(won) for page in await pipeline.execute() for won in page]

    @or_unavailable
    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        documents = [names.document(key) for key in keys]
        if not documents:
            return []
        if self._is_one_server:
            versions = await self._client.execute_command("EVAL", READ_VERSIONS, len(documents), *documents)
        else:
            pipeline = self._client.pipeline()
            for document in documents:
                pipeline.getrange(document, 0, VERSION_BYTES - 1)
            versions = await pipeline.execute()
        return [int.from_bytes(version, "big") for version in versions]

    async def students(self) -> AsyncIterator[StudentKey]:
        try:
            async for name in self._client.scan_iter(match=names.DOCUMENTS, count=PAGE):
                yield names.student_of(name)
        except AWAY as error:
            raise away(error) from error

    @or_unavailable
    async def erase(self, key: StudentKey) -> int:
        return int(await self._client.delete(names.document(key), names.cold_ids(key)))

    @or_unavailable
    async def clear(self) -> None:
        await remove_matching(self._client, names.DOCUMENTS, names.COLD_IDS)


def _written(change: DocumentChange) -> tuple[bytes, bytes, bytes]:
    """What the script is given for a change: the expected version, the value, the cold ids."""
    expected = change.version.to_bytes(VERSION_BYTES, "big") if change.version else b""
    if change.student is None:
        return expected, b"", b""
    value = (change.version + 1).to_bytes(VERSION_BYTES, "big") + pack(change.student)
    return expected, value, b"" if change.cold is None else pack_ids(change.cold)
