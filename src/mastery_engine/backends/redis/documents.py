"""Documents in Redis, and their cold ids beside them.

A document's value begins with its version, and a script compares and sets; every write renews the expiry. Where a
student has documents in other courses than the default one, a value beside them lists those: the same script writes it.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from typing import Any

from cachetools import LRUCache
from redis.asyncio import Redis

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client, remove_matching, values_of
from mastery_engine.backends.redis.errors import AWAY, away, or_unavailable
from mastery_engine.backends.redis.keys import VERSION_BYTES
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.student import DocumentKey, StudentKey, unpack_ids
from mastery_engine.ports.documents import Courses, DocumentChange, PackedDocument, StoredDocument, unpacked

LISTED_FOR_S = 10.0
MOST_LISTED = 16  # tenants
SCANNED = 5_000  # keys that the server looks at in one go: some milliseconds
STAY = b"="  # in the place of cold ids: they are left as they are

# All expected versions are one argument, 8 bytes each (zeros where there is no document), as the client's time goes by
# the number of arguments. The values follow, empty where the document is to go. The keys of cold ids come after those
# of the documents, and after the values two arguments for each of them: the place of its document, and the ids
# (nothing where none are left, "=" where they stay).
COMMIT = """
local won, life, versions, none, cold = {}, ARGV[1], ARGV[2], string.rep('\\0', 8), {}
local number = #versions / 8
for i = number + 1, #KEYS do
  local place = tonumber(ARGV[2 * i - number + 1])
  cold[place] = {KEYS[i], ARGV[2 * i - number + 2]}
end
for i = 1, number do
  local document, value, beside = KEYS[i], ARGV[i + 2], cold[i]
  local expected = string.sub(versions, 8 * i - 7, 8 * i)
  if expected == none then expected = '' end
  if redis.call('GETRANGE', document, 0, 7) == expected then
    if value == '' then
      redis.call('DEL', document)
    else
      redis.call('SET', document, value, 'PX', life)
    end
    if beside then
      if beside[2] == '' then
        redis.call('DEL', beside[1])
      elseif beside[2] == '=' then
        redis.call('PEXPIRE', beside[1], life)
      else
        redis.call('SET', beside[1], beside[2], 'PX', life)
      end
    end
    won[i] = 1
  else
    won[i] = 0
  end
end
return won
"""
# The same in courses that are not the default one. What lists them begins and ends with a line break, and has one
# between two ids, which hold none. A course is added with its first document, so that thousands cost no more than a
# few; where that document expired alone, it stands in the list twice. A few students have such courses, so that here
# each change has the same arguments.
COMMIT_IN_COURSES = """
local won = {}
for i = 1, #KEYS / 3 do
  local document, cold, others = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local expected, body, ids = ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  local course = '\\n' .. ARGV[4 * i + 1] .. '\\n'
  if redis.call('GETRANGE', document, 0, 7) == expected then
    if body == '' then
      redis.call('DEL', document, cold)
      local listed = redis.call('GET', others) or '\\n'
      local from, to = string.find(listed, course, 1, true)
      while from do
        listed = string.sub(listed, 1, from) .. string.sub(listed, to + 1)
        from, to = string.find(listed, course, 1, true)
      end
      if listed == '\\n' then
        redis.call('DEL', others)
      else
        redis.call('SET', others, listed, 'PX', ARGV[1])
      end
    else
      redis.call('SET', document, body, 'PX', ARGV[1])
      if ids == '' then
        redis.call('DEL', cold)
      elseif ids == '=' then
        redis.call('PEXPIRE', cold, ARGV[1])
      else
        redis.call('SET', cold, ids, 'PX', ARGV[1])
      end
      if redis.call('PEXPIRE', others, ARGV[1]) == 0 then
        redis.call('SET', others, course, 'PX', ARGV[1])
      elseif expected == '' then
        redis.call('APPEND', others, string.sub(course, 2))
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
        self._students: LRUCache[str, tuple[float, list[str]]] = LRUCache(MOST_LISTED)

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        return unpacked(await self.load_packed(keys))

    @or_unavailable
    async def load_packed(self, keys: Sequence[DocumentKey]) -> list[PackedDocument | None]:
        values = await values_of(self._client, [names.document(key) for key in keys])
        return [None if value is None else _packed(value) for value in values]

    @or_unavailable
    async def load_cold(self, keys: Sequence[DocumentKey]) -> list[IdsByDay]:
        values = await values_of(self._client, [names.cold_ids(key) for key in keys])
        return [{} if value is None else unpack_ids(value) for value in values]

    @or_unavailable
    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        if not changes:
            return []
        size = PAGE if self._is_one_server else 1  # a Cluster runs a script over the keys of one student only
        in_others = [change for change in changes if change.key.course_id != DEFAULT_COURSE]
        in_default = [change for change in changes if change.key.course_id == DEFAULT_COURSE] if in_others else changes
        pipeline = self._client.pipeline(transaction=False)
        for start in range(0, len(in_default), size):
            page = in_default[start : start + size]
            keys = [names.document(change.key) for change in page]
            versions = b"".join([change.version.to_bytes(VERSION_BYTES, "big") for change in page])
            beside: list[int | bytes] = []
            for place, change in enumerate(page, 1):
                if change.has_cold:
                    keys.append(names.cold_ids(change.key))
                    beside += (place, _cold(change))
            values = [_value(change) for change in page]
            pipeline.execute_command("EVAL", COMMIT, len(keys), *keys, self._life_ms, versions, *values, *beside)
        for start in range(0, len(in_others), size):
            page = in_others[start : start + size]
            keys = [name for change in page for name in _names(change.key)]
            values = [value for change in page for value in (*_written(change), change.key.course_id.encode())]
            pipeline.execute_command("EVAL", COMMIT_IN_COURSES, len(keys), *keys, self._life_ms, *values)
        won = [bool(won) for page in await pipeline.execute() for won in page]
        if not in_others:
            return won
        by_key = {change.key: took for change, took in zip([*in_default, *in_others], won, strict=True)}
        return [by_key[change.key] for change in changes]

    @or_unavailable
    async def versions(self, keys: Sequence[DocumentKey]) -> list[int]:
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

    @or_unavailable
    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        """In one round trip, and a second one for the documents in courses that are not the default one."""
        defaults = [DocumentKey(*student) for student in students]
        asked = [name for key in defaults for name in (names.document(key), names.other_courses(key.student))]
        values = await values_of(self._client, asked)
        listed = [_course_ids(value) for value in values[1::2]]
        others = [
            DocumentKey(*student, course_id)
            for student, course_ids in zip(students, listed, strict=True)
            for course_id in course_ids
        ]
        documents = dict(zip(others, await self.load(others), strict=True))
        found: list[Courses] = []
        for key, value, course_ids in zip(defaults, values[::2], listed, strict=True):
            own = {} if value is None else {DEFAULT_COURSE: _packed(value).unpacked()}
            for course_id in course_ids:
                document = documents[DocumentKey(*key.student, course_id)]
                if document is not None:
                    own[course_id] = document
            found.append(own)
        return found

    @or_unavailable
    async def students_of(self, tenant: str, *, after: str, limit: int) -> list[str]:
        """Keys have no order here: those of the tenant are gone through every ten seconds at most."""
        now = asyncio.get_running_loop().time()
        listed = self._students.get(tenant)
        if listed is None or now - listed[0] >= LISTED_FOR_S:
            found = set()
            for pattern in names.documents_of(tenant):
                async for name in self._client.scan_iter(match=pattern, count=SCANNED):
                    if (key := names.document_of(name)) is not None:
                        found.add(key.student_id)
            listed = self._students[tenant] = (now, sorted(found))
        start = bisect_right(listed[1], after)
        return listed[1][start : start + limit]

    async def all_keys(self) -> AsyncIterator[DocumentKey]:
        try:
            for pattern in names.DOCUMENTS:
                async for name in self._client.scan_iter(match=pattern, count=PAGE):
                    if (key := names.document_of(name)) is not None:
                        yield key
        except AWAY as error:
            raise away(error) from error

    @or_unavailable
    async def erase(self, student: StudentKey) -> int:
        listed = await self._client.get(names.other_courses(student))
        keys = [DocumentKey(*student, course_id) for course_id in (DEFAULT_COURSE, *_course_ids(listed))]
        own = [name for key in keys for name in (names.document(key), names.cold_ids(key))]
        removed = await self._client.delete(*own)
        await self._client.delete(names.other_courses(student))
        return int(removed)

    @or_unavailable
    async def clear(self) -> None:
        await remove_matching(self._client, *names.DOCUMENTS, *names.BESIDE_DOCUMENTS)


def _packed(value: bytes) -> PackedDocument:
    return PackedDocument(int.from_bytes(value[:VERSION_BYTES], "big"), value[VERSION_BYTES:])


def _course_ids(listed: bytes | None) -> list[str]:
    """The courses in what lists those that are not the default one, each once."""
    return [] if listed is None else list(dict.fromkeys(listed.decode().strip("\n").split("\n")))


def _names(key: DocumentKey) -> tuple[str, ...]:
    """The keys that the script of a change in another course than the default one is given."""
    return names.document(key), names.cold_ids(key), names.other_courses(key.student)


def _value(change: DocumentChange) -> bytes:
    """What the document's key is to hold: the new version and the document; nothing where it is to go."""
    packed = change.packed()
    return b"" if packed is None else (change.version + 1).to_bytes(VERSION_BYTES, "big") + packed


def _cold(change: DocumentChange) -> bytes:
    """What the key of the cold ids is to hold, as the scripts are told."""
    if change.student is None:
        return b""
    cold = change.packed_cold()
    return STAY if cold is None else cold


def _written(change: DocumentChange) -> tuple[bytes, bytes, bytes]:
    """What the script is given for a change: the expected version, the value, the cold ids."""
    expected = change.version.to_bytes(VERSION_BYTES, "big") if change.version else b""
    return expected, _value(change), _cold(change)
