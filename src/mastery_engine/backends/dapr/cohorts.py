"""The part of the Dapr store that keeps cohorts: the admin's word under an ETag, and sets of who joined by events."""

import zlib
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from mastery_engine.backends.dapr.client import DaprState, Write
from mastery_engine.backends.dapr.index import DaprIndex
from mastery_engine.domain.cohorts.cohort import NO_COHORT, Cohort
from mastery_engine.domain.moments import Day
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.documents import Join, Roster

FOREVER_S = 100 * 365 * 24 * 3_600  # an admin's word does not expire

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cohort).decode


class _Word(msgspec.Struct, frozen=True):
    """An admin's word with the number of its writes; the text is the cohort in MessagePack and Base64."""

    version: int
    cohort: str


class DaprCohorts:
    """See ``Store``. Who joined is a set of ``day student_id``, and beside a student stand the cohorts of admins."""

    def __init__(self, state: DaprState, life_s: int, life_days: int) -> None:
        self._state = state
        self._life_s = life_s
        self._life_days = life_days
        self._all = DaprIndex(state, "joined-cohorts", life_s, shards=1)

    async def cohort(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        (word,) = await self._state.read([_record(tenant, cohort_id)])
        version, cohort = 0, NO_COHORT
        if word is not None:
            found = msgspec.convert(word.data, _Word)
            version, cohort = found.version, _decode(b64decode(found.cohort))
        joined = [one.split(" ", 1) for one in await self._joined(tenant, cohort_id).members()]
        return Roster(version, cohort, frozenset(student_id for day, student_id in joined if int(day) >= since))

    async def put_cohort(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        """Hints for whom is put in come before the record, those for whom is not go after it: none is ever missing."""
        name = _record(tenant, cohort_id)
        (before,) = await self._state.read([name])
        known = None if before is None else msgspec.convert(before.data, _Word)
        if (0 if known is None else known.version) != version:
            return False
        was = frozenset() if known is None else frozenset(_decode(b64decode(known.cohort)).put)
        for student_id in sorted(frozenset(cohort.put) - was):
            await self._of(StudentKey(tenant, student_id)).add([cohort_id])
        word = _Word(version + 1, b64encode(_encode(cohort)).decode())
        etag = None if before is None else before.etag
        if not await self._state.write([Write(name, msgspec.to_builtins(word), etag, FOREVER_S)]):
            return False
        for student_id in sorted(was.difference(cohort.put)):
            await self._of(StudentKey(tenant, student_id)).discard([cohort_id])
        return True

    async def cohorts_of(self, key: StudentKey) -> frozenset[str]:
        return frozenset(await self._of(key).members())

    async def join(self, joins: Sequence[Join]) -> None:
        days: dict[tuple[str, str], dict[str, Day]] = defaultdict(dict)
        for one in joins:
            own = days[one.key.tenant, one.cohort_id]
            own[one.key.student_id] = max(one.day, own.get(one.key.student_id, 0))
        await self._all.add([_named(*one) for one in days])
        for (tenant, cohort_id), own in days.items():
            joined = self._joined(tenant, cohort_id)
            held = [one.split(" ", 1) for one in await joined.members()]
            latest = {student_id: int(day) for day, student_id in held}
            new = {name: day for name, day in own.items() if latest.get(name, -1) < day}
            oldest = max(own.values()) - self._life_days
            old = [f"{day} {name}" for day, name in held if name in new or int(day) < oldest]
            await joined.add([f"{day} {name}" for name, day in new.items()])
            await joined.discard(old)

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        for cohort_id in cohort_ids:
            joined = self._joined(key.tenant, cohort_id)
            await joined.discard([one for one in await joined.members() if one.split(" ", 1)[1] == key.student_id])

    async def drop_joins(self, before: Day | None = None) -> None:
        """Take out all who joined by events, or those whose last one was before a day; an admin's word stays."""
        for name in await self._all.members():
            joined = self._joined(*msgspec.json.decode(name, type=tuple[str, str]))
            if before is None:
                await joined.clear()
            else:
                await joined.discard([one for one in await joined.members() if int(one.split(" ", 1)[0]) < before])
        if before is None:
            await self._all.clear()

    def _joined(self, tenant: str, cohort_id: str) -> DaprIndex:
        return DaprIndex(self._state, f"joined:{tenant}:{_shown(cohort_id)}", self._life_s, shards=1)

    def _of(self, key: StudentKey) -> DaprIndex:
        return DaprIndex(self._state, f"put:{key.tenant}:{key.student_id}", self._life_s, shards=1)


def _named(tenant: str, cohort_id: str) -> str:
    return msgspec.json.encode([tenant, cohort_id]).decode()


def _record(tenant: str, cohort_id: str) -> str:
    return f"cohort:{tenant}:{_shown(cohort_id)}"


def _shown(cohort_id: str) -> str:
    """A cohort's name for a key: as hexadecimal bytes, since it may be any text, or its checksum beside the length."""
    text = cohort_id.encode().hex()
    return text if len(text) <= 200 else f"{zlib.crc32(cohort_id.encode()):08x}{text[:190]}"
