"""Who a person of a platform is here: their student_id, by (issuer, sub), and what their profile says then."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.domain.cohorts.cohort import Teacher
from mastery_engine.domain.language import check_language
from mastery_engine.domain.people.identity import Identity, identity
from mastery_engine.domain.people.profile import MOST_IDENTITIES, Profile, ProfileChange
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Forbidden, InvalidInput, Unavailable
from mastery_engine.ports.people import ProfileWrite
from mastery_engine.services.audit import Audit
from mastery_engine.services.profiles import MAX_ROUNDS, Profiles


class LtiPerson(msgspec.Struct, frozen=True):
    """A person as a platform tells of them."""

    sub: str
    name: str | None
    language: str | None = None


class KnownPerson(msgspec.Struct, frozen=True):
    """A person with their id and profile here. Of who was erased nothing is kept."""

    student_id: str
    profile: Profile
    is_erased: bool = False

    def teacher(self, issuer: str) -> Teacher:
        """As a teacher: known by the id here and by what other systems call them.

        The platform's own ``sub`` is no name for a token: another provider may give the same to somebody else.
        """
        names = {one.id for one in self.profile.external if one.system != issuer}
        return Teacher(self.student_id, tuple(sorted({self.student_id, *names})))


class LtiPeople:
    """Looks up people of platforms, and keeps their names."""

    def __init__(self, profiles: Profiles, audit: Audit) -> None:
        self._profiles = profiles
        self._audit = audit

    async def known(self, caller: Caller, call: str, issuer: str, people: Sequence[LtiPerson]) -> list[KnownPerson]:
        """Who these people are here, in their order, with their names kept; each change is recorded before it counts.

        Raises InvalidInput where one cannot be named, and Unavailable.
        """
        named = [identity(issuer, one.sub, "sub") for one in people]
        ids = await self._profiles.students_of(caller.tenant, named)
        found: dict[str, KnownPerson] = {}
        # A person may be there twice, under two identities that a profile links; the first tells their name.
        left = {student_id: (person, one) for student_id, person, one in zip(ids, people, named, strict=True)}
        for _ in range(MAX_ROUNDS):
            late = await self._written(caller, call, left, found)
            if not late:
                return [found[student_id] for student_id in ids]
            left = late
        raise Unavailable("Others keep changing these people's profiles: try again.")

    async def _written(
        self,
        caller: Caller,
        call: str,
        people: dict[str, tuple[LtiPerson, Identity]],
        found: dict[str, KnownPerson],
    ) -> dict[str, tuple[LtiPerson, Identity]]:
        """Those whose profiles others changed at the same time."""
        keys = [StudentKey(caller.tenant, student_id) for student_id in people]
        writes = []
        for key, stored in zip(keys, await self._profiles.load(keys), strict=True):
            after = _after(stored.profile, *people[key.student_id])
            found[key.student_id] = KnownPerson(key.student_id, after)
            if after != stored.profile:
                writes.append(ProfileWrite(key, stored, after))
        if not writes:
            return {}
        await self._audit.write(caller, call, [write.key.student_id for write in writes])
        late = {}
        for write, done in zip(writes, await self._profiles.write(writes), strict=True):
            student_id = write.key.student_id
            if done.is_late:
                late[student_id] = people[student_id]
            elif done.error is not None:  # what it was stays: a name is not worth a launch
                found[student_id] = KnownPerson(student_id, write.before.profile, isinstance(done.error, Forbidden))
        return late


def _after(before: Profile, person: LtiPerson, known_as: Identity) -> Profile:
    """The profile with the platform's name and identity; a language that somebody chose stays."""
    external = before.external
    if known_as not in external and len(external) < MOST_IDENTITIES:
        external = tuple(sorted({*external, known_as}))
    after = msgspec.structs.replace(before, external=external)
    if person.name is not None:
        with suppress(InvalidInput):
            after = after.changed(ProfileChange(display_name=person.name))
    if person.language is not None and before.language is None:
        with suppress(InvalidInput):
            after = msgspec.structs.replace(after, language=check_language(person.language))
    return after
