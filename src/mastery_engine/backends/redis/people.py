"""Profiles in Redis: three keys for a tenant, which one script writes, so that no identity is ever two students'.

Each profile is led by its version. What a search looks for words in stands after the student's id in a sorted set,
which is in the order of the ids.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import Client
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.backends.redis.keys import VERSION_BYTES
from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.people.profile import Words, has_words
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.people import (
    NO_STORED_PROFILE,
    ProfileOutcome,
    ProfileWrite,
    StoredProfile,
    pack_profile,
    searched_in,
    unpack_profile,
)

PAGE = 500
PAGE_OF_NAMES = 2_000
END = "\0"  # of an id in the sorted set: no id and no name holds it, and nothing is sorted before it

# For each write: the student, the expected version, the value (empty: remove it), the searched text before and after
# it, the numbers of identities added and dropped, and these.
WRITE = """
local outcomes, place = {}, 1
while place <= #ARGV do
  local student, expected, value, before, after = unpack(ARGV, place, place + 4)
  local added, dropped = tonumber(ARGV[place + 5]), tonumber(ARGV[place + 6])
  local first = place + 7
  place = first + added + dropped
  local outcome = 0
  local stored = redis.call('HGET', KEYS[1], student) or ''
  if string.sub(stored, 1, 8) ~= expected then outcome = 1 end
  for number = first, first + added - 1 do
    if outcome == 0 and redis.call('HEXISTS', KEYS[3], ARGV[number]) == 1 then outcome = 2 end
  end
  if outcome == 0 then
    for number = first, first + added - 1 do redis.call('HSET', KEYS[3], ARGV[number], student) end
    for number = first + added, place - 1 do redis.call('HDEL', KEYS[3], ARGV[number]) end
    if before ~= after then redis.call('ZREM', KEYS[2], before) end
    if value == '' then
      redis.call('HDEL', KEYS[1], student)
    else
      redis.call('HSET', KEYS[1], student, value)
      redis.call('ZADD', KEYS[2], 0, after)
    end
  end
  table.insert(outcomes, outcome)
end
return outcomes
"""
OUTCOMES = (ProfileOutcome.DONE, ProfileOutcome.LOST, ProfileOutcome.TAKEN)

_encode = msgspec.json.Encoder().encode


class RedisPeople:
    """See ``PeopleStore``."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    @or_unavailable
    async def load(self, students: Sequence[StudentKey]) -> list[StoredProfile]:
        fields: dict[str, list[str]] = {}
        for key in students:
            fields.setdefault(key.tenant, []).append(key.student_id)
        found: dict[tuple[str, str], StoredProfile] = {}
        for tenant, student_ids in fields.items():
            values = await self._client.hmget(names.people(tenant), student_ids)
            found |= {
                (tenant, name): _stored(value)
                for name, value in zip(student_ids, values, strict=True)
                if value is not None
            }
        return [found.get(key, NO_STORED_PROFILE) for key in students]

    @or_unavailable
    async def holders(self, tenant: str, identities: Sequence[Identity]) -> list[str | None]:
        if not identities:
            return []
        found = await self._client.hmget(names.identities(tenant), [_field(one) for one in identities])
        return [None if student_id is None else student_id.decode() for student_id in found]

    @or_unavailable
    async def write(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        outcomes: list[ProfileOutcome] = []
        for start in range(0, len(writes), PAGE):
            outcomes += await self._write(writes[start : start + PAGE])
        return outcomes

    async def _write(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        """In one script for each tenant, in the order in which they come."""
        by_tenant: dict[str, list[int]] = {}
        for place, write in enumerate(writes):
            by_tenant.setdefault(write.key.tenant, []).append(place)
        outcomes = [ProfileOutcome.LOST] * len(writes)
        for tenant, places in by_tenant.items():
            written = names.people(tenant), names.names(tenant), names.identities(tenant)
            values = [value for place in places for value in _values(writes[place])]
            told = await self._client.execute_command("EVAL", WRITE, len(written), *written, *values)
            for place, outcome in zip(places, told, strict=True):
                outcomes[place] = OUTCOMES[outcome]
        return outcomes

    @or_unavailable
    async def search(self, tenant: str, words: Words, *, after: str, limit: int) -> list[str]:
        found: list[str] = []
        last = f"[{after}\1" if after else "-"
        while len(found) < limit:
            page = await self._client.zrangebylex(names.names(tenant), last, "+", start=0, num=PAGE_OF_NAMES)
            if not page:
                break
            for student_id, _, text in [member.decode().partition(END) for member in page]:
                if has_words(text, words):
                    found.append(student_id)
            last = b"(" + page[-1]
        return found[:limit]


def _stored(value: bytes) -> StoredProfile:
    return StoredProfile(int.from_bytes(value[:VERSION_BYTES], "big"), unpack_profile(value[VERSION_BYTES:]))


def _field(one: Identity) -> bytes:
    return _encode([one.system, one.id])


def _values(write: ProfileWrite) -> list[bytes | str | int]:
    """What the script is given for a write."""
    version, after = write.before.version, write.after
    return [
        write.key.student_id,
        version.to_bytes(VERSION_BYTES, "big") if version else b"",
        b"" if after is None else (version + 1).to_bytes(VERSION_BYTES, "big") + pack_profile(after),
        write.key.student_id + END + searched_in(write.key, write.before.profile),
        "" if after is None else write.key.student_id + END + searched_in(write.key, after),
        len(write.added),
        len(write.dropped),
        *map(_field, write.added),
        *map(_field, write.dropped),
    ]
