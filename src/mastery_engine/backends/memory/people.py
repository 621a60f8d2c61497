"""Profiles in memory."""

from collections.abc import Sequence

from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.people.profile import Words, has_words
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.people import NO_STORED_PROFILE, ProfileOutcome, ProfileWrite, StoredProfile, searched_in


class MemoryPeople:
    """See ``PeopleStore``."""

    def __init__(self) -> None:
        self._profiles: dict[StudentKey, StoredProfile] = {}
        self._holders: dict[tuple[str, Identity], str] = {}

    async def load(self, students: Sequence[StudentKey]) -> list[StoredProfile]:
        return [self._profiles.get(key, NO_STORED_PROFILE) for key in students]

    async def holders(self, tenant: str, identities: Sequence[Identity]) -> list[str | None]:
        return [self._holders.get((tenant, one)) for one in identities]

    async def write(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        return [self._write(write) for write in writes]

    def _write(self, write: ProfileWrite) -> ProfileOutcome:
        tenant, student_id = write.key
        if self._profiles.get(write.key, NO_STORED_PROFILE).version != write.before.version:
            return ProfileOutcome.LOST
        if any((tenant, one) in self._holders for one in write.added):
            return ProfileOutcome.TAKEN
        for one in write.dropped:
            del self._holders[tenant, one]
        if write.after is None:
            self._profiles.pop(write.key, None)
            return ProfileOutcome.DONE
        self._holders |= dict.fromkeys([(tenant, one) for one in write.added], student_id)
        self._profiles[write.key] = StoredProfile(write.before.version + 1, write.after)
        return ProfileOutcome.DONE

    async def search(self, tenant: str, words: Words, *, after: str, limit: int) -> list[str]:
        found = [
            key.student_id
            for key, stored in self._profiles.items()
            if key.tenant == tenant and key.student_id > after and has_words(searched_in(key, stored.profile), words)
        ]
        return sorted(found)[:limit]
