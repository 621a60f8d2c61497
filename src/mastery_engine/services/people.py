"""People: their profiles, and finding them by name."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

from mastery_engine.auth.access import TABLE, Act, Caller, Reach, check_student
from mastery_engine.clock import Clock
from mastery_engine.domain.given_ids import is_student_id
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.people.identity import identity
from mastery_engine.domain.people.profile import NO_PROFILE, ProfileChange, Words, has_words, words_of
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import Conflict, Forbidden, InvalidInput, NotFound
from mastery_engine.ports.documents import DocumentStore
from mastery_engine.ports.people import PeopleStore, ProfileWrite, searched_in
from mastery_engine.responses.cursors import make_cursor, read_cursor
from mastery_engine.responses.people import ProfileRecord, StudentList, found_student, profile_record
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.profiles import CHANGED, MAX_ROUNDS, Profiles

PAGE = 100
LOOKED_AT = 500  # students who are looked at in one go
LOOKED_AT_FOR_WORDS = 10_000  # where only those with certain words are wanted
MOST_PAGES = 20  # of these that one call looks at


class Looked(NamedTuple):
    """Those of a page of students who are wanted, and the last whom was looked at."""

    found: list[str]
    reached: str


class People:
    """Profiles for who may read and put them, and the search by name."""

    def __init__(
        self,
        store: PeopleStore,
        documents: DocumentStore,
        profiles: Profiles,
        cohorts: Cohorts,
        consents: Consents,
        access: AccessControl,
        audit: Audit,
        idempotency: Idempotency,
        clock: Clock,
    ) -> None:
        self._store = store
        self._consents = consents
        self._documents = documents
        self._profiles = profiles
        self._cohorts = cohorts
        self._access = access
        self._audit = audit
        self._idempotency = idempotency
        self._clock = clock

    async def names_for(self, caller: Caller, student_ids: Iterable[str]) -> dict[str, str]:
        """The names of those of these students whom the caller may read, and who have one. Raises Unavailable."""
        return await self._profiles.names(caller.tenant, [one for one in student_ids if _may_read(caller, one)])

    async def names_by_token(self, caller: Caller, subjects: Iterable[str]) -> dict[str, str]:
        """The names of people by what their tokens call them (``sub``), of those who have one. Raises Unavailable.

        It is for whoever sees what these people did as teachers or admins, or is one of them.
        """
        wanted = frozenset(subjects)
        profiles = {one: one for one in wanted if is_student_id(one)}
        teachers = await self._cohorts.teachers_of(caller, caller.moment(self._clock))
        profiles |= {name: student_id for name, student_id in teachers.items() if name in wanted}
        names = await self._profiles.names(caller.tenant, sorted(set(profiles.values())))
        return {one: names[student_id] for one, student_id in profiles.items() if student_id in names}

    async def put(
        self, caller: Caller, student_id: str, change: ProfileChange, *, key: IdempotencyKey | None = None
    ) -> ProfileRecord:
        """Set parts of a student's profile, whether or not the student is known; it is recorded before it counts.

        What came under the ids that the identities have of their own is the student's from now on. Raises Forbidden,
        also for a student who was erased; InvalidInput; and Conflict where another student has one of the identities,
        where its person withdrew what this student allows, where the student's own evidence moved to another, where
        ``key`` was used with another body, or where others keep changing the profile at the same time.
        """
        self._access.check_student(caller, Act.SET_PROFILE, student_id, "put-profile", changes=True)
        NO_PROFILE.changed(change)  # what is wrong in itself uses no key up
        await self._idempotency.claim(caller, f"put-profile {student_id}", key)
        student = StudentKey(caller.tenant, student_id)
        for _ in range(MAX_ROUNDS):
            (before,) = await self._profiles.load([student])
            after = before.profile.changed(change)
            await self._audit.write(caller, "put-profile", [student_id])
            (written,) = await self._profiles.write([ProfileWrite(student, before, after)])
            if written.error is None:
                await self._cohorts.rename_teacher(
                    caller,
                    student_id,
                    "put-profile",
                    added=[one.id for one in written.profile.external],
                    dropped=[one.id for one in before.profile.external if one not in written.profile.external],
                )
                return profile_record(student_id, written.profile)
            if not written.is_late:
                raise written.error
        raise Conflict(CHANGED, field="student_id")

    async def show(self, caller: Caller, student_id: str) -> ProfileRecord:
        """A student's profile. Raises Forbidden, and NotFound where nobody has put one."""
        self._access.check_student(caller, Act.READ_PROFILE, student_id, "profile")
        (stored,) = await self._profiles.load([StudentKey(caller.tenant, student_id)])
        if not stored.version:
            raise NotFound("This student has no profile: nobody has put one.", field="student_id")
        return profile_record(student_id, stored.profile)

    async def find(
        self,
        caller: Caller,
        *,
        query: str = "",
        cohort_id: str | None = None,
        course_id: str | None = None,
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> StudentList:
        """A page of the students whom the caller may see, by id: those whose name or id has all words of ``query``.

        Who may read profiles may also ask for a person as another platform knows them, by ``system id``.

        ``cohort_id`` and ``course_id`` leave those who are in the cohort now, or have evidence in the course. Raises
        Forbidden, and NotFound where there is no such cohort. A call looks at so many students and no more: a page may
        have less than ``limit``, or nobody, and still lead to a next one.
        """
        if cohort_id is None:
            self._access.check_act(caller, Act.FIND, "students")
        else:
            self._access.check_cohort(caller, Act.FIND, cohort_id, "students")
        self._audit.note(caller, "students", None, allowed=True)
        now, after, words = caller.moment(self._clock), read_cursor(cursor, str) or "", words_of(query)
        found: list[str] = []
        pages, cut = 0, None
        person = await self._known_elsewhere(caller, query)
        async for page, reached in self._candidates(caller, cohort_id, words, after, now, person):
            found += page if course_id is None else await self._in_course(caller.tenant, page, course_id)
            pages += 1
            if len(found) > limit or pages == MOST_PAGES:
                cut = reached
                break
        shown = found[:limit]
        for student_id in shown:
            self._audit.note(caller, "students", student_id, allowed=True)
        stored = await self._profiles.load([StudentKey(caller.tenant, student_id) for student_id in shown])
        classes = await self._classes(caller, shown, now)
        return StudentList(
            [found_student(name, one.profile, classes[name]) for name, one in zip(shown, stored, strict=True)],
            _next_cursor(found, limit, cut),
        )

    async def courses_of(self, caller: Caller, *student_ids: str) -> list[str]:
        """The courses in which students have evidence, by id; without those of whom the caller may not read."""
        keys = [StudentKey(caller.tenant, one) for one in student_ids if _may_read(caller, one)]
        found = await self._documents.of_students(keys) if keys else []
        return sorted({course_id for of_one in found for course_id in of_one})

    async def _candidates(
        self, caller: Caller, cohort_id: str | None, words: Words, after: str, now: Micros, person: str | None
    ) -> AsyncIterator[Looked]:
        """Whom the caller may see, and whose name or id has all words, in pages by id; or this person alone."""
        is_own = TABLE[Act.FIND][caller.role] is Reach.OWN
        if cohort_id is not None:
            members = (await self._cohorts.known_roster(caller.tenant, cohort_id, now)).members
            pages = self._of_these(caller.tenant, members, words, after, person)
        elif person is not None:
            pages = self._of_these(caller.tenant, [person], words, after, person)
        elif is_own:
            pages = self._of_these(caller.tenant, caller.students, words, after)
        else:
            pages = self._of_tenant(caller.tenant, words, after, now)
        async for page in pages:
            yield page

    async def _of_these(
        self, tenant: str, student_ids: Iterable[str], words: Words, after: str, person: str | None = None
    ) -> AsyncIterator[Looked]:
        """Those of these students whose name or id has all words, in pages by id; or who is this person."""
        asked = sorted(student_id for student_id in student_ids if student_id > after)
        for start in range(0, len(asked), LOOKED_AT):
            keys = [StudentKey(tenant, student_id) for student_id in asked[start : start + LOOKED_AT]]
            stored = await self._profiles.load(keys)
            texts = [searched_in(key, one.profile) for key, one in zip(keys, stored, strict=True)]
            found = [
                key.student_id
                for key, text in zip(keys, texts, strict=True)
                if (has_words(text, words) if person is None else key.student_id == person)
            ]
            yield Looked(found, keys[-1].student_id)

    async def _known_elsewhere(self, caller: Caller, query: str) -> str | None:
        """The student whom another platform knows as ``system id``, where there is one and the caller may know it."""
        system, _, id_there = query.strip().partition(" ")
        if not id_there or TABLE[Act.READ_PROFILE][caller.role] is not Reach.TENANT:
            return None
        try:
            person = identity(system, id_there, "query")
        except InvalidInput:
            return None
        (student_id,) = await self._profiles.students_of(caller.tenant, [person])
        key = StudentKey(caller.tenant, student_id)
        (stored,) = await self._profiles.load([key])
        is_known = person in stored.profile.external or any(await self._documents.of_students([key]))
        return student_id if is_known else None

    async def _of_tenant(self, tenant: str, words: Words, after: str, now: Micros) -> AsyncIterator[Looked]:
        """Those of a tenant who have a profile or evidence."""
        await self._consents.refresh_lately(now)
        limit = LOOKED_AT_FOR_WORDS if words else LOOKED_AT
        while True:
            named = await self._store.search(tenant, words, after=after, limit=limit)
            others = await self._documents.students_of(tenant, after=after, limit=limit)
            page = sorted({*named, *others})[:limit]
            if not page:
                return
            have_words = frozenset(named)
            found = [
                name
                for name in page
                if name in have_words
                or (has_words(name.lower(), words) and not self._consents.is_linked(StudentKey(tenant, name)))
            ]
            after = page[-1]
            yield Looked(found, after)

    async def _in_course(self, tenant: str, student_ids: Sequence[str], course_id: str) -> list[str]:
        versions = await self._documents.versions([DocumentKey(tenant, name, course_id) for name in student_ids])
        return [name for name, version in zip(student_ids, versions, strict=True) if version]

    async def _classes(self, caller: Caller, student_ids: Sequence[str], now: Micros) -> dict[str, list[str]]:
        """By student the cohorts that they are in now, of those that the caller may see."""
        cohorts = await self._cohorts.of_many([StudentKey(caller.tenant, name) for name in student_ids], now)
        if TABLE[Act.FIND][caller.role] is not Reach.OWN:
            return cohorts
        return {name: [one for one in own if one in caller.cohorts] for name, own in cohorts.items()}


def _next_cursor(found: Sequence[str], limit: int, cut: str | None) -> str | None:
    """What leads on: from the last who is shown, or where there are no more of them, from the last looked at."""
    if len(found) > limit:
        return make_cursor(found[limit - 1])
    return None if cut is None else make_cursor(cut)


def _may_read(caller: Caller, student_id: str) -> bool:
    try:
        check_student(caller, Act.READ, student_id)
    except Forbidden:
        return False
    return True
