"""Profiles: names for who may see a student, and who a person of another platform is here."""

from collections.abc import Iterable, Sequence

import msgspec

from mastery_engine.domain.people.identity import Identity, external_student_id
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Conflict, Forbidden, MasteryError, Unavailable
from mastery_engine.ports.documents import DocumentStore
from mastery_engine.ports.people import PeopleStore, ProfileOutcome, ProfileWrite, StoredProfile
from mastery_engine.services.consents import Consents

MAX_ROUNDS = 20
CHANGED = "Others changed this profile at the same time: try again."
TAKEN = "Another student has one of these identities: take it from them first."
HAS_EVIDENCE = (
    "One of these identities has evidence already, under an id of its own, which cannot be moved to this student yet: "
    "nothing was changed. Leave that identity out."
)
ERASED = (
    "The student was erased: record their consent first, by PUT /compliance/students/{student_id}/consent. Nothing of "
    "them is kept until then."
)


class Written(msgspec.Struct, frozen=True):
    """What became of a write: ``error`` says why nothing was written; ``is_late`` where another try may do it."""

    error: MasteryError | None = None
    is_late: bool = False


DONE = Written()


class Profiles:
    """Reads and writes profiles, whoever asks: ``People`` and rosters check who may."""

    def __init__(self, store: PeopleStore, documents: DocumentStore, consents: Consents, secret: bytes) -> None:
        """``secret`` is PSEUDONYM_KEY."""
        self._store = store
        self._documents = documents
        self._consents = consents
        self._secret = secret

    def derived_id(self, tenant: str, person: Identity) -> str:
        """The student_id of a person whom no profile names."""
        return external_student_id(self._secret, tenant, person)

    async def students_of(self, tenant: str, people: Sequence[Identity]) -> list[str]:
        """Who each person is here: the student whose profile names them, else their derived id. Raises Unavailable."""
        holders = await self._store.holders(tenant, people)
        return [holder or self.derived_id(tenant, one) for one, holder in zip(people, holders, strict=True)]

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

        An identity is refused that another student has, or whose own id has evidence, and so is a student who was
        erased and has not consented since. Raises Unavailable.
        """
        await self._consents.refresh()
        refused = {write.key: ERASED for write in writes if self._consents.state(write.key).erased}
        written = [write for write in writes if write.key not in refused]
        with_evidence = await self._with_evidence(written)
        written = [write for write in written if write.key not in with_evidence]
        outcomes = dict(zip([write.key for write in written], await self._store.write(written), strict=True))
        await self._consents.refresh()
        for key in outcomes:
            if self._consents.state(key).erased:  # while it was written
                await self.remove(key)
                refused[key] = ERASED
        return [
            (
                Written(Forbidden(ERASED, field="student_id"))
                if write.key in refused
                else (
                    Written(Conflict(HAS_EVIDENCE, field="external"))
                    if write.key in with_evidence
                    else _written(outcomes[write.key])
                )
            )
            for write in writes
        ]

    async def _with_evidence(self, writes: Sequence[ProfileWrite]) -> set[StudentKey]:
        """Those to whom an identity would be linked whose derived id has evidence that is not theirs."""
        linked: dict[StudentKey, StudentKey] = {}
        for write in writes:
            for one in write.added:
                derived = StudentKey(write.key.tenant, self.derived_id(write.key.tenant, one))
                if derived != write.key:
                    linked[derived] = write.key
        found = await self._documents.of_students(list(linked)) if linked else []
        return {key for key, courses in zip(linked.values(), found, strict=True) if courses}

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


def _written(outcome: ProfileOutcome) -> Written:
    match outcome:
        case ProfileOutcome.DONE:
            return DONE
        case ProfileOutcome.LOST:
            return Written(Conflict(CHANGED, field="student_id"), is_late=True)
        case ProfileOutcome.TAKEN:
            return Written(Conflict(TAKEN, field="external"))
