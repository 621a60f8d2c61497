"""Profiles of people: their names, and who they are on other platforms."""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

import msgspec

from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.people.profile import NO_PROFILE, Profile, Words, searched
from mastery_engine.domain.student import StudentKey


class StoredProfile(msgspec.Struct, frozen=True):
    """A profile with the number of its writes: 0, and an empty one, where there is none."""

    version: int = 0
    profile: Profile = NO_PROFILE


NO_STORED_PROFILE = StoredProfile()


class ProfileWrite(msgspec.Struct, frozen=True):
    """A profile to be written over ``before``, which was read; without an ``after`` it is removed."""

    key: StudentKey
    before: StoredProfile
    after: Profile | None

    @property
    def added(self) -> list[Identity]:
        """The identities that the person did not have before."""
        after = () if self.after is None else self.after.external
        return [one for one in after if one not in self.before.profile.external]

    @property
    def dropped(self) -> list[Identity]:
        """The identities that the person has no more."""
        after = () if self.after is None else self.after.external
        return [one for one in self.before.profile.external if one not in after]


class ProfileOutcome(Enum):
    """What became of a write."""

    DONE = "done"
    LOST = "lost"  # the profile is another one by now: read it again
    TAKEN = "taken"  # another student has one of the identities


class PeopleStore(Protocol):
    """Profiles by tenant and student, for good. All calls raise Unavailable when the store is away.

    An identity belongs to one student of a tenant at most.
    """

    async def load(self, students: Sequence[StudentKey]) -> list[StoredProfile]:
        """The profiles, in the order of the students."""
        ...

    async def holders(self, tenant: str, identities: Sequence[Identity]) -> list[str | None]:
        """The students whose profiles have these identities, in their order; None where no profile has one."""
        ...

    async def write(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        """Write profiles, one after the other, each wholly or not at all; durable on return. Students do not repeat."""
        ...

    async def search(self, tenant: str, words: Words, *, after: str, limit: int) -> list[str]:
        """The first ``limit`` students by id, after that of ``after``, whose name or id has all words."""
        ...


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Profile).decode


def pack_profile(profile: Profile) -> bytes:
    """A profile as stores keep it. A later engine may add fields: they are passed over here."""
    return _encode(profile)


def unpack_profile(packed: bytes) -> Profile:
    return _decode(packed)


def searched_in(key: StudentKey, profile: Profile) -> str:
    """What a search looks for words in."""
    return searched(key.student_id, profile.display_name)
