"""Profiles in Dapr's state: a value for each, a claim for each identity, and the names of a tenant in an index.

Several keys cannot be written at once, so whoever links an identity claims it first and then writes the profile, each
at the ETag that was read. A claim counts only where the holder's profile has the identity. Where it has not, the holder
may be about to write it, or have ended before: whoever wants the identity writes the holder's profile again as it is,
so that a late write of it loses, and then takes the claim over. The claims are read after the profile, and every link
writes its claim anew, so that of two who want the same one loses.
"""

import asyncio
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.backends.dapr.index import SHARDS, TOMBSTONE_S, DaprIndex, listed, pair_from
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

AT_ONCE = 32
PAGE = 100
NOBODY = ""


class _Person(msgspec.Struct, frozen=True):
    """A profile with the number of its writes; the text is MessagePack in Base64."""

    version: int
    profile: str


class DaprPeople:
    """See ``PeopleStore``."""

    def __init__(self, state: DaprState) -> None:
        self._state = state

    async def load(self, students: Sequence[StudentKey]) -> list[StoredProfile]:
        return [_stored(value) for value in await self._state.read([keys.person(key) for key in students])]

    async def holders(self, tenant: str, identities: Sequence[Identity]) -> list[str | None]:
        values = await self._state.read([keys.identity(tenant, one) for one in identities])
        claimed = [_claimant(value) for value in values]
        profiles = await self.load([StudentKey(tenant, student_id) for student_id in claimed])
        return [
            student_id if one in stored.profile.external else None
            for one, student_id, stored in zip(identities, claimed, profiles, strict=True)
        ]

    async def write(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        """Those that do not touch each other's identities go side by side."""
        await self._list(writes)
        outcomes: list[ProfileOutcome] = []
        for page in _apart(writes):
            people = await self._state.read([keys.person(write.key) for write in page])
            names = [keys.identity(write.key.tenant, one) for write in page for one in (*write.added, *write.dropped)]
            claims = dict(zip(names, await self._state.read(names), strict=True))
            parts = [self._write(write, value, claims) for write, value in zip(page, people, strict=True)]
            outcomes += await asyncio.gather(*parts)
        return outcomes

    async def _list(self, writes: Sequence[ProfileWrite]) -> None:
        """A name is in the index before the profile is written: none is ever missing."""
        texts: dict[str, list[str]] = defaultdict(list)
        for write in writes:
            if write.after is not None:
                texts[write.key.tenant].append(listed(write.key.student_id, searched_in(write.key, write.after)))
        for tenant, texts_of_tenant in texts.items():
            await self._names(tenant).add(texts_of_tenant)

    async def _write(
        self, write: ProfileWrite, value: Value | None, claims: Mapping[str, Value | None]
    ) -> ProfileOutcome:
        tenant, student_id = write.key
        if _stored(value).version != write.before.version:
            return ProfileOutcome.LOST
        added = [keys.identity(tenant, one) for one in write.added]
        dropped = [keys.identity(tenant, one) for one in write.dropped]
        for one, claimed in zip(write.added, added, strict=True):
            outcome = await self._free(write.key, one, claims[claimed])
            if outcome is not ProfileOutcome.DONE:
                return outcome
        wanted = [Write(claimed, student_id, _etag(claims[claimed]), None) for claimed in added]
        if not await self._state.write(wanted) or not await self._put(write, value):
            return ProfileOutcome.LOST
        for claimed in dropped:
            if _claimant(claims[claimed]) == student_id:  # where it loses, somebody has linked it again
                await self._state.write([Write(claimed, NOBODY, _etag(claims[claimed]), TOMBSTONE_S)])
        return ProfileOutcome.DONE

    async def _free(self, key: StudentKey, one: Identity, claim: Value | None) -> ProfileOutcome:
        """Make sure that nobody but this student has an identity, or is about to."""
        holder = StudentKey(key.tenant, _claimant(claim))
        if holder.student_id in (NOBODY, key.student_id):
            return ProfileOutcome.DONE
        (value,) = await self._state.read([keys.person(holder)])
        stored = _stored(value)
        if one in stored.profile.external:
            return ProfileOutcome.TAKEN
        fence = Write(keys.person(holder), _person(stored), _etag(value), None if stored.version else TOMBSTONE_S)
        return ProfileOutcome.DONE if await self._state.write([fence]) else ProfileOutcome.LOST

    async def _put(self, write: ProfileWrite, value: Value | None) -> bool:
        """Write or remove the profile at the ETag that was read; the text by which it was found goes after it."""
        before = searched_in(write.key, write.before.profile)
        if write.after is None:
            await self._state.change([], [keys.person(write.key)])
            await self._names(write.key.tenant).discard([listed(write.key.student_id, before)])
            return True
        after = StoredProfile(write.before.version, write.after)
        won = await self._state.write([Write(keys.person(write.key), _person(after), _etag(value), None)])
        if won and write.before.version and before != searched_in(write.key, write.after):
            await self._names(write.key.tenant).discard([listed(write.key.student_id, before)])
        return won

    async def search(self, tenant: str, words: Words, *, after: str, limit: int) -> list[str]:
        """What the index says is held against the profiles, since a write may have ended between the two."""
        listing = [pair_from(name) for name in await self._names(tenant).members()]
        hits = sorted(pair for pair in listing if pair[0] > after and has_words(pair[1], words))
        found: list[str] = []
        for start in range(0, len(hits), PAGE):
            page = hits[start : start + PAGE]
            students = [StudentKey(tenant, student_id) for student_id, _ in page]
            for (student_id, text), key, stored in zip(page, students, await self.load(students), strict=True):
                if stored.version and searched_in(key, stored.profile) == text:
                    found.append(student_id)
            if len(found) >= limit:
                break
        return found[:limit]

    def _names(self, tenant: str) -> DaprIndex:
        return DaprIndex(self._state, f"people:{tenant}", shards=SHARDS)


def _apart(writes: Sequence[ProfileWrite]) -> list[list[ProfileWrite]]:
    """The writes in parts, in their order, in each of which no identity is named twice."""
    parts: list[list[ProfileWrite]] = []
    named: set[tuple[str, Identity]] = set()
    for write in writes:
        own = {(write.key.tenant, one) for one in (*write.added, *write.dropped)}
        if not parts or len(parts[-1]) == AT_ONCE or named & own:
            parts.append([])
            named = set()
        parts[-1].append(write)
        named |= own
    return parts


def _stored(value: Value | None) -> StoredProfile:
    if value is None:
        return NO_STORED_PROFILE
    person = msgspec.convert(value.data, _Person)
    return StoredProfile(person.version, unpack_profile(b64decode(person.profile)))


def _person(stored: StoredProfile) -> _Person:
    """A profile as it is written next."""
    return _Person(stored.version + 1, b64encode(pack_profile(stored.profile)).decode())


def _claimant(claim: Value | None) -> str:
    return NOBODY if claim is None else str(claim.data)


def _etag(value: Value | None) -> str | None:
    return None if value is None else value.etag
