"""Cohorts in Redis.

A cohort's four keys share one hash tag: the admin's word, led by its version; the same by student, with calendar and
course, so that a question about one student reads no roster; who joined by events, each with the day of the last; and
the first event that named it.
Beside a student stand the cohorts that an admin put them in, and beside a teacher's name those that they teach: hints
of where to look, for the cohort's own keys decide.
An older engine writes the word alone: where the versions differ, the word is read wholly.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client, remove_matching
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.backends.redis.keys import VERSION_BYTES
from mastery_engine.domain.cohorts.cohort import (
    BEFORE_COURSES,
    MOST_MEMBERS,
    NO_COHORT,
    Cohort,
    Due,
    Naming,
    course_of_cohort,
)
from mastery_engine.domain.moments import DAY, Day
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.ports.cohorts import Join, Roster

# Fields that no student's id can be.
VERSION, CALENDAR, COURSE = ":version", ":calendar", ":course"
PUT, OUT, NOTHING = b"put", b"out", b""

# The word, and by student what has changed since the word before; all of it where that one was not told by student.
PUT_COHORT = """
if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[3] == '1' then redis.call('DEL', KEYS[2]) end
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[2], ARGV[i])
  else
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end
return 1
"""
# Students with their days: those who had joined, and others while there is room. Answers who found none. The first of
# the events that named the cohort stays beside them; whom an engine without courses noted, events of its course named.
JOIN = """
local first = redis.call('GET', KEYS[2])
if not first and redis.call('EXISTS', KEYS[1]) == 1 then first = ARGV[4] end
local function before(a, b)
  local at, other = tonumber(string.match(a, '^%S+')), tonumber(string.match(b, '^%S+'))
  return at < other or (at == other and a < b)
end
if not first or before(ARGV[3], first) then first = ARGV[3] end
redis.call('SET', KEYS[2], first, 'PX', ARGV[2])
local full = {}
for i = 5, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('ZADD', KEYS[1], 'GT', ARGV[i + 1], ARGV[i])
  else
    full[#full + 1] = ARGV[i]
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return full
"""
# Of one cohort and one student: day of the last joining event, first event, calendar, course, word on the student; or
# after the first two the whole word.
_ASK = """
local function ask(cohort, by_student, joined, first, student)
  local version = redis.call('GETRANGE', cohort, 0, 7)
  if version == '' then return false end
  local known = redis.call('HMGET', by_student, ':version', ':calendar', ':course', student)
  local day, named = redis.call('ZSCORE', joined, student), redis.call('GET', first)
  if known[1] == version then return {day, named, known[2], known[3], known[4]} end
  return {day, named, redis.call('GET', cohort)}
end
"""
ASK_COHORT = _ASK + "return ask(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1])"
# Of students of one tenant: all cohorts that each was put in, or that are named after the student and their number. One
# server may be asked for keys that a script makes up.
_ASK_ALL = """
local all, place = {}, 2
for number, put_into in ipairs(KEYS) do
  local student, named = ARGV[place], tonumber(ARGV[place + 1])
  local answers, seen = {}, {}
  local function add(id)
    if seen[id] then return end
    seen[id] = true
    local shown = string.gsub(string.gsub(id, '%%', '%%25'), '}', '%%7D')
    local cohort = 'mastery:cohort:{' .. ARGV[1] .. ':' .. shown .. '}'
    answers[#answers + 1] = {id, ask(cohort, cohort .. ':by', cohort .. ':in', cohort .. ':of', student)}
  end
  for _, id in ipairs(redis.call('SMEMBERS', put_into)) do add(id) end
  for i = place + 2, place + 1 + named do add(ARGV[i]) end
  place = place + 2 + named
  all[number] = answers
end
return all
"""
ASK_ALL = _ASK + _ASK_ALL

_KEYS = (names.cohort, names.cohort_by_student, names.joined, names.named_first)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cohort).decode
_decode_calendar = msgspec.msgpack.Decoder(tuple[Due, ...]).decode


class RedisCohorts:
    """See ``CohortStore``. ``life_ms`` is the life of what events say after the last of them."""

    def __init__(self, client: Client, *, life_ms: int) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async
        self._life_ms = life_ms
        self._is_one_server = isinstance(client, Redis)

    @or_unavailable
    async def roster(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        pipeline = self._client.pipeline()
        pipeline.get(names.cohort(tenant, cohort_id))
        pipeline.zrangebyscore(names.joined(tenant, cohort_id), since, "+inf")
        pipeline.get(names.named_first(tenant, cohort_id))
        word, joined, first = await pipeline.execute()
        version, cohort = _unpack(word)
        return Roster(version, cohort, frozenset(student_id.decode() for student_id in joined), _naming(first))

    @or_unavailable
    async def put(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        """Hints of whom the word has come before it, those of the others go after it: none is ever missing.

        They come once more after it, for the word before may just have been taking the same ones back.
        """
        name, by_student = names.cohort(tenant, cohort_id), names.cohort_by_student(tenant, cohort_id)
        pipeline = self._client.pipeline()
        pipeline.get(name)
        pipeline.hget(by_student, VERSION)
        word, told = await pipeline.execute()
        stored, before = _unpack(word)
        if stored != version:
            return False
        had, has = _hinted(tenant, before), _hinted(tenant, cohort)
        added, gone = has - had, had - has
        await self._hint("sadd", cohort_id, added)
        expected = version.to_bytes(VERSION_BYTES, "big") if version else b""
        lead = (version + 1).to_bytes(VERSION_BYTES, "big")
        is_told = told is not None and told == expected
        fields = {
            VERSION: lead,
            CALENDAR: _encode(cohort.calendar),
            COURSE: NOTHING if cohort.course_id is None else cohort.course_id.encode(),
            **_changes(before if is_told else NO_COHORT, cohort),
        }
        values = [part for field in fields.items() for part in field]
        keys = (name, by_student)
        has_won = await self._client.execute_command(
            "EVAL", PUT_COHORT, len(keys), *keys, expected, lead + _encode(cohort), int(not is_told), *values
        )
        if not has_won:
            await self._take_back(tenant, cohort_id, added)
            return False
        if version:
            await self._hint("sadd", cohort_id, added)
        await self._take_back(tenant, cohort_id, gone)
        return True

    async def _take_back(self, tenant: str, cohort_id: str, hints: frozenset[str]) -> None:
        """The hints of those whom no word has; they come back where one does that was written meanwhile."""
        if hints:
            stale = hints - await self._hinted_now(tenant, cohort_id)
            await self._hint("srem", cohort_id, stale)
            await self._hint("sadd", cohort_id, stale & await self._hinted_now(tenant, cohort_id))

    async def _hinted_now(self, tenant: str, cohort_id: str) -> frozenset[str]:
        _, cohort = _unpack(await self._client.get(names.cohort(tenant, cohort_id)))
        return _hinted(tenant, cohort)

    async def _hint(self, change: str, cohort_id: str, hints: Iterable[str]) -> None:
        pipeline = self._client.pipeline()
        for hint in hints:
            getattr(pipeline, change)(hint, cohort_id)
        await pipeline.execute()

    @or_unavailable
    async def put_into(self, key: StudentKey) -> frozenset[str]:
        return frozenset(cohort_id.decode() for cohort_id in await self._client.smembers(names.put_into(key)))

    @or_unavailable
    async def taught_by(self, tenant: str, name: str) -> frozenset[str]:
        found = await self._client.smembers(names.taught_by(tenant, name))
        return frozenset(cohort_id.decode() for cohort_id in found)

    @or_unavailable
    async def calendars(
        self, named: Mapping[DocumentKey, Sequence[str]], *, since: Day
    ) -> list[Mapping[str, Sequence[Due]]]:
        answers = await (self._ask_server(named) if self._is_one_server else self._ask_cluster(named))
        calendars: list[Mapping[str, Sequence[Due]]] = []
        for key, by_cohort in zip(named, answers, strict=True):
            found = {cohort_id: _calendar(key, answer, since) for cohort_id, answer in by_cohort.items()}
            calendars.append({cohort_id: calendar for cohort_id, calendar in found.items() if calendar})
        return calendars

    async def _ask_server(self, named: Mapping[DocumentKey, Sequence[str]]) -> list[dict[str, Any]]:
        """In one round trip for the students of a tenant."""
        by_tenant: dict[str, list[DocumentKey]] = defaultdict(list)
        for key in named:
            by_tenant[key.tenant].append(key)
        found: dict[DocumentKey, dict[str, Any]] = {}
        for tenant, students in by_tenant.items():
            keys = [names.put_into(key.student) for key in students]
            asked = [part for key in students for part in (key.student_id, len(named[key]), *named[key])]
            answered = await self._client.execute_command("EVAL", ASK_ALL, len(students), *keys, tenant, *asked)
            for key, answers in zip(students, answered, strict=True):
                found[key] = {cohort_id.decode(): answer for cohort_id, answer in answers}
        return [found[key] for key in named]

    async def _ask_cluster(self, named: Mapping[DocumentKey, Sequence[str]]) -> list[dict[str, Any]]:
        """In two round trips at most; in one where events name all that the students were put in."""
        pipeline = self._client.pipeline()
        for key in named:
            pipeline.smembers(names.put_into(key.student))
        put_into, first = await self._asked(pipeline, named)
        others = {
            key: sorted({cohort_id.decode() for cohort_id in own}.difference(named[key]))
            for key, own in zip(named, put_into, strict=True)
        }
        if not any(others.values()):
            return first
        _, second = await self._asked(self._client.pipeline(), others)
        return [by_cohort | more for by_cohort, more in zip(first, second, strict=True)]

    async def _asked(
        self, pipeline: Any, named: Mapping[DocumentKey, Sequence[str]]
    ) -> tuple[list[Any], list[dict[str, Any]]]:
        """What the pipeline answers to what is in it, and each cohort's answer about each student."""
        before = len(pipeline)
        for key, cohort_ids in named.items():
            for cohort_id in cohort_ids:
                keys = [name(key.tenant, cohort_id) for name in _KEYS]
                pipeline.execute_command("EVAL", ASK_COHORT, len(keys), *keys, key.student_id)
        answers = await pipeline.execute()
        asked = iter(answers[before:])
        return answers[:before], [{cohort_id: next(asked) for cohort_id in own} for own in named.values()]

    @or_unavailable
    async def join(self, joins: Sequence[Join]) -> Sequence[Join]:
        pipeline = self._client.pipeline()
        days_by_cohort: dict[tuple[str, str], dict[str, Day]] = defaultdict(dict)
        named: dict[tuple[str, str], Naming] = {}
        for join in joins:
            cohort = (join.key.tenant, join.cohort_id)
            named[cohort] = min(join.first, named.get(cohort, join.first))
            days = days_by_cohort[join.key.tenant, join.cohort_id]
            days[join.key.student_id] = max(join.day, days.get(join.key.student_id, join.day))
        for cohort, days in days_by_cohort.items():
            name, oldest = names.joined(*cohort), max(days.values()) - self._life_ms * 1_000 // DAY
            pipeline.zremrangebyscore(name, "-inf", f"({oldest}")
            students = [part for student in days.items() if student[1] >= oldest for part in student]
            keys, told = (name, names.named_first(*cohort)), (_told(named[cohort]), _told(BEFORE_COURSES))
            pipeline.execute_command("EVAL", JOIN, 2, *keys, MOST_MEMBERS, self._life_ms, *told, *students)
        answers = await pipeline.execute()
        full = {
            (cohort, student_id.decode())
            for cohort, student_ids in zip(days_by_cohort, answers[1::2], strict=True)
            for student_id in student_ids
        }
        return [join for join in joins if ((join.key.tenant, join.cohort_id), join.key.student_id) in full]

    @or_unavailable
    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        pipeline = self._client.pipeline()
        for cohort_id in cohort_ids:
            pipeline.zrem(names.joined(key.tenant, cohort_id), key.student_id)
        await pipeline.execute()

    @or_unavailable
    async def clear_joins(self) -> None:
        await remove_matching(self._client, names.JOINED)

    @or_unavailable
    async def purge(self, before: Day) -> None:
        async for name in self._client.scan_iter(match=names.JOINED, count=PAGE):
            await self._client.zremrangebyscore(name, "-inf", f"({before}")


def _unpack(word: bytes | None) -> tuple[int, Cohort]:
    if word is None:
        return 0, NO_COHORT
    return int.from_bytes(word[:VERSION_BYTES], "big"), _decode(word[VERSION_BYTES:])


def _told(first: Naming) -> str:
    return f"{first.received} {first.course_id}"


def _naming(told: bytes | None) -> Naming | None:
    if told is None:
        return None
    received, course_id = told.decode().split(" ", 1)
    return Naming(int(received), course_id)


def _hinted(tenant: str, cohort: Cohort) -> frozenset[str]:
    """The keys beside those whom a word puts in, and beside the names of teachers."""
    put = (names.put_into(StudentKey(tenant, student_id)) for student_id in cohort.put)
    return frozenset((*put, *(names.taught_by(tenant, name) for name in cohort.taught_by)))


def _changes(before: Cohort, after: Cohort) -> dict[str, bytes]:
    """By student what an admin's word says of them now and did not say before."""
    said, says = _by_student(before), _by_student(after)
    gone = dict.fromkeys(said.keys() - says.keys(), NOTHING)
    return gone | {student_id: word for student_id, word in says.items() if said.get(student_id) != word}


def _by_student(cohort: Cohort) -> dict[str, bytes]:
    """Whoever is taken out is out, even where the word puts them in too."""
    return dict.fromkeys(cohort.put, PUT) | dict.fromkeys(cohort.out, OUT)


def _calendar(key: DocumentKey, answer: Sequence[Any] | None, since: Day) -> Sequence[Due]:
    """A cohort's calendar where the student is in it, and it is of the document's course, by what ``_ask`` answers."""
    if answer is None:
        return ()
    day, first, *said = answer
    if len(said) == 1:
        _, cohort = _unpack(said[0])
    else:
        calendar, course_id, word = said
        cohort = Cohort(
            put=(key.student_id,) if word == PUT else (),
            out=(key.student_id,) if word == OUT else (),
            calendar=_decode_calendar(calendar),
            course_id=course_id.decode() if course_id else None,
        )
    if course_of_cohort(cohort, _naming(first)) != key.course_id:
        return ()
    joined = (key.student_id,) if day is not None and float(day) >= since else ()
    return cohort.calendar if key.student_id in cohort.members(joined) else ()
