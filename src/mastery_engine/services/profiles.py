"""Profiles: names for who may see a student, and who a person of another platform is here."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from cachetools import FIFOCache

from mastery_engine.domain.people.identity import Identity, external_student_id
from mastery_engine.domain.people.profile import MOST_IDENTITIES, NO_PROFILE, Profile
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Conflict, Forbidden, MasteryError, Unavailable
from mastery_engine.ports.people import PeopleStore, ProfileOutcome, ProfileWrite, StoredProfile
from mastery_engine.services.consents import Consents
from mastery_engine.services.moving import Moving

MAX_ROUNDS = 20
MOST_DERIVED = 20_000  # cached ids, since computing one costs more
CHANGED = "Others changed this profile at the same time: try again."
TAKEN = "Another student has one of these identities: take it from them first."
WITHDREW = (
    "The person whom one of these identities names has withdrawn consent under an id of its own, and this student has "
    "not: ask them, and record their answer by PUT /compliance/students/{student_id}/consent, for either id."
)
FULL = f"A profile lists at most {MOST_IDENTITIES} identities, with those of the ids that these identities had so far."
ERASED = (
    "The student was erased: record their consent first, by PUT /compliance/students/{student_id}/consent. Nothing of "
    "them is kept until then."
)


class Written(msgspec.Struct, frozen=True):
    """What became of a write: ``error`` says why nothing was written; ``is_late`` where another try may do it.

    ``profile`` is what was written: it has what was known of the person under an id of its own, too.
    """

    error: MasteryError | None = None
    is_late: bool = False
    profile: Profile = NO_PROFILE


class _Plan(msgspec.Struct, frozen=True):
    """A write, with the ids that are linked by it, and their own profiles, which go with it."""

    write: ProfileWrite
    derived: Sequence[StudentKey]
    taken: Sequence[ProfileWrite]


class Profiles:
    """Reads and writes profiles, whoever asks: ``People`` and rosters check who may."""

    def __init__(self, store: PeopleStore, moving: Moving, consents: Consents, secret: bytes) -> None:
        """``secret`` is PSEUDONYM_KEY."""
        self._store = store
        self._moving = moving
        self._consents = consents
        self._secret = secret
        self._derived_ids: FIFOCache[tuple[str, Identity], str] = FIFOCache(MOST_DERIVED)

    def derived_id(self, tenant: str, person: Identity) -> str:
        """The student_id of a person whom no profile names."""
        known = self._derived_ids.get((tenant, person))
        if known is None:
            known = self._derived_ids[tenant, person] = external_student_id(self._secret, tenant, person)
        return known

    async def students_of(self, tenant: str, people: Sequence[Identity]) -> list[str]:
        """Who each person is here: the student whose profile names them, else their derived id. Raises Unavailable."""
        holders = await self._store.holders(tenant, people)
        own = await self.own_ids(tenant, people)
        return [holder or one for one, holder in zip(own, holders, strict=True)]

    async def own_ids(self, tenant: str, people: Sequence[Identity]) -> list[str]:
        """Who each person is if no profile names them: whom their derived id was linked to before, else that id."""
        await self._consents.refresh()
        derived = [StudentKey(tenant, self.derived_id(tenant, one)) for one in people]
        return [self._consents.links.owner(one).student_id for one in derived]

    async def known_as(self, student: StudentKey) -> list[str]:
        """The ids that evidence about a student may have come under: their own, and those of their identities.

        Raises Unavailable.
        """
        (stored,) = await self._store.load([student])
        return [student.student_id, *[self.derived_id(student.tenant, one) for one in stored.profile.external]]

    async def load(self, students: Sequence[StudentKey]) -> list[StoredProfile]:
        """The profiles, in the order of the students. Raises Unavailable."""
        return await self._store.load(students)

    async def names(self, tenant: str, student_ids: Iterable[str]) -> dict[str, str]:
        """The names of those of these students who have one. Raises Unavailable."""
        asked = [StudentKey(tenant, student_id) for student_id in student_ids]
        stored = await self._store.load(asked) if asked else []
        return {
            key.student_id: one.profile.display_name
            for key, one in zip(asked, stored, strict=True)
            if one.profile.display_name is not None
        }

    async def write(self, writes: Sequence[ProfileWrite]) -> list[Written]:
        """Write profiles, many at once, each for itself; durable on return. Students do not repeat.

        The evidence under an identity's own id moves to the student who has the identity now, and a profile of that id
        goes with it. An identity is refused that another student has, or whose person withdrew what the student allows,
        and so is a student who was erased and has not consented since. Raises Unavailable.
        """
        await self._consents.refresh()
        done: dict[StudentKey, Written] = {}
        plans = []
        derived = {write.key: self._derived(write) for write in writes}
        linked = [one for of_write in derived.values() for one in of_write]
        profiles = dict(zip(linked, await self._store.load(linked), strict=True)) if linked else {}
        for write in writes:
            try:
                plans.append(self._planned(write, derived[write.key], profiles))
            except MasteryError as error:
                done[write.key] = Written(error)
        for plan in [plan for plan in plans if plan.taken]:
            if not await self._is_free(plan):  # before anything is taken for it
                plans.remove(plan)
                done[plan.write.key] = _written(ProfileOutcome.TAKEN, None)
        outcomes = iter(await self._store.write([one for plan in plans for one in (*plan.taken, plan.write)]))
        for plan in plans:
            of_plan = [next(outcomes) for _ in (*plan.taken, plan.write)]
            done[plan.write.key] = _written(max(of_plan, key=list(ProfileOutcome).index), plan.write.after)
        await self._link([plan for plan in plans if done[plan.write.key].error is None])
        await self._consents.refresh()
        for plan in plans:
            key = plan.write.key
            if self._consents.state(key).erased:  # while it was written
                await self.remove(key)
                done[key] = Written(Forbidden(ERASED, field="student_id"))
        return [done[write.key] for write in writes]

    async def _is_free(self, plan: _Plan) -> bool:
        """Whether no other student has one of the identities."""
        write = plan.write
        wanted = write.after.external if write.after is not None else ()
        own = {None, write.key.student_id, *(one.key.student_id for one in plan.taken)}
        return own.issuperset(await self._store.holders(write.key.tenant, wanted))

    def _derived(self, write: ProfileWrite) -> list[StudentKey]:
        """The ids that the identities of a profile have of their own, but for the student's."""
        external = () if write.after is None else write.after.external
        derived = [StudentKey(write.key.tenant, self.derived_id(write.key.tenant, one)) for one in external]
        return [one for one in derived if one != write.key]

    def _planned(
        self, write: ProfileWrite, own: Sequence[StudentKey], profiles: Mapping[StudentKey, StoredProfile]
    ) -> _Plan:
        """A write with what it links. Raises Forbidden and Conflict."""
        key, state = write.key, self._consents.state(write.key)
        if state.erased:
            raise Forbidden(ERASED, field="student_id")
        self._consents.check_changes(key)
        derived = [one for one in own if self._consents.links.owner(one) != key]
        for one in derived:
            theirs = self._consents.state(one)
            withdrew = (state.processing and not theirs.processing) or (state.profiling and not theirs.profiling)
            if withdrew and self._consents.history(one) and not theirs.erased:
                raise Conflict(WITHDREW, field="external")
        taken = [ProfileWrite(one, profiles[one], None) for one in derived if profiles[one].version]
        after = write.after
        if after is not None:
            for other in taken:
                after = after.joined(other.before.profile)
            if len(after.external) > MOST_IDENTITIES:
                raise Conflict(FULL, field="external")
        return _Plan(ProfileWrite(key, write.before, after), derived, taken)

    async def _link(self, plans: Sequence[_Plan]) -> None:
        """Record what is linked, then move the evidence: whoever meets a link meanwhile moves it, too."""
        links = {derived: plan.write.key for plan in plans for derived in plan.derived}
        if links:
            await self._consents.link(links)
        await self._moving.finish(plan.write.key for plan in plans)
        for taken in (one for plan in plans for one in plan.taken):  # they may be in a class, and have no evidence yet
            await self._moving.link_in_cohorts(taken.key)

    async def remove(self, key: StudentKey) -> int:
        """Remove a student's profile and identities; how many profiles there were. Raises Unavailable."""
        for _ in range(MAX_ROUNDS):
            (stored,) = await self._store.load([key])
            if not stored.version:
                return 0
            (outcome,) = await self._store.write([ProfileWrite(key, stored, None)])
            if outcome is ProfileOutcome.DONE:
                return 1
        raise Unavailable("Others keep changing this student's profile: try again.")


def _written(outcome: ProfileOutcome, profile: Profile | None) -> Written:
    match outcome:
        case ProfileOutcome.DONE:
            return Written(profile=profile or NO_PROFILE)
        case ProfileOutcome.LOST:
            return Written(Conflict(CHANGED, field="student_id"), is_late=True)
        case ProfileOutcome.TAKEN:
            return Written(Conflict(TAKEN, field="external"))
