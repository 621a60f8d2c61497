"""Rosters: a school's own lists of people and classes become profiles and cohorts."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.cohort import NO_COHORT, Cohort, Teacher
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.people.identity import Identity, identity
from mastery_engine.domain.people.profile import Profile
from mastery_engine.domain.student import StudentKey
from mastery_engine.doors.oneroster.classes import ClassChange, changes_of, nothing_of
from mastery_engine.doors.oneroster.people import ONEROSTER, USERS, RosterPerson, holder_of, people_of, without_others
from mastery_engine.doors.oneroster.roster import Ignored, RosterFile, roster_from
from mastery_engine.doors.oneroster.zipped_tables import RowFault, RowList
from mastery_engine.errors import Conflict, Forbidden, InvalidInput
from mastery_engine.ports.cohorts import Roster
from mastery_engine.ports.people import PeopleStore, ProfileWrite
from mastery_engine.responses.rosters import ImportedRoster, RosterChanges, RosterRow
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.courses import Courses
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.profiles import MAX_ROUNDS, Profiles

CALL = "import-roster"
PAGE = 250  # users who are looked up and written in one go: some 50 ms of work
CLASSES_AT_ONCE = 64
ADDED, CHANGED, REMOVED, UNCHANGED = "added", "changed", "removed", "unchanged"


class Rosters:
    """Imports rosters. It erases nobody: who is gone leaves their classes, and keeps profile and evidence."""

    def __init__(
        self,
        people: PeopleStore,
        profiles: Profiles,
        cohorts: Cohorts,
        courses: Courses,
        access: AccessControl,
        audit: Audit,
        idempotency: Idempotency,
        clock: Clock,
    ) -> None:
        self._people = people
        self._profiles = profiles
        self._cohorts = cohorts
        self._courses = courses
        self._access = access
        self._audit = audit
        self._idempotency = idempotency
        self._clock = clock

    def check(self, caller: Caller) -> None:
        """Raises Forbidden if the caller may import no roster; to be asked before a large body is read."""
        self._access.check_act(caller, Act.SET_ROSTER, CALL)

    async def import_oneroster(
        self, caller: Caller, source: bytes, *, dry_run: bool = False, key: IdempotencyKey | None = None
    ) -> ImportedRoster:
        """Import a zip of OneRoster 1.1 or 1.2. It can be repeated: what is as the zip says stays as it is.

        Each change is recorded before it counts. With ``dry_run`` nothing is changed. Raises Forbidden, InvalidInput
        where it is no such zip, Conflict if ``key`` was used with another zip, and Unavailable, when a
        part may have been imported.
        """
        self.check(caller)
        one = _Import(caller, dry_run)
        file, people = await asyncio.to_thread(_read, source, one)
        if not dry_run:
            await self._idempotency.claim(caller, CALL, key)
        users = list(people.values())
        for start in range(0, len(users), PAGE):
            await self._import_people(one, users[start : start + PAGE])
        await self._look_up_others(one, file)
        await self._import_classes(one, file)
        return one.answer(file.version)

    async def _import_people(self, one: "_Import", users: Sequence[RosterPerson]) -> None:
        left = list(users)
        for _ in range(MAX_ROUNDS):
            left = await self._written(one, left)
            if not left:
                return
        for person in left:
            one.fault(person, "Others keep changing this profile at the same time: import the roster again.")

    async def _written(self, one: "_Import", users: Sequence[RosterPerson]) -> list[RosterPerson]:
        """Those whose profiles others changed at the same time."""
        asked = [name for person in users for name in person.identities]
        holders = dict(zip(asked, await self._people.holders(one.caller.tenant, asked), strict=True))
        own = await self._profiles.own_ids(one.caller.tenant, [person.identities[0] for person in users])
        found: dict[StudentKey, RosterPerson] = {}
        for person, own_id in zip(users, own, strict=True):
            student_id = one.holder(person, holders, own_id)
            if student_id is not None:
                found[StudentKey(one.caller.tenant, student_id)] = without_others(
                    person, student_id, holders, one.ignored
                )
        stored = await self._profiles.load(list(found))
        writes, written = [], []
        for (key, person), before in zip(found.items(), stored, strict=True):
            after = before.profile if person.user.is_gone else person.profile(before.profile)
            one.take(person, key.student_id, after)
            if person.user.is_gone:
                continue
            if after == before.profile:
                one.users[UNCHANGED] += 1
            else:
                writes.append(ProfileWrite(key, before, after))
                written.append(person)
        if one.dry_run or not writes:
            one.users.update(ADDED if not write.before.version else CHANGED for write in writes)
            return []
        await self._audit.write(one.caller, CALL, [write.key.student_id for write in writes])
        late = []
        for person, write, done in zip(written, writes, await self._profiles.write(writes), strict=True):
            if done.error is None:
                one.users[CHANGED if write.before.version else ADDED] += 1
            elif done.is_late:
                late.append(person)
            else:
                one.fault(person, done.error.message)
                if isinstance(done.error, Forbidden):
                    one.leave_out(person)
        return late

    async def _look_up_others(self, one: "_Import", file: RosterFile) -> None:
        """Who is enrolled by a file of changes alone, and so not described by it."""
        named = await asyncio.to_thread(lambda: _named(file.undescribed()))
        holders = await self._people.holders(one.caller.tenant, list(named.values()))
        found = {user_id: held for user_id, held in zip(named, holders, strict=True) if held is not None}
        stored = await self._profiles.load([StudentKey(one.caller.tenant, held) for held in found.values()])
        for (user_id, student_id), profile in zip(found.items(), stored, strict=True):
            one.ids[user_id] = student_id
            names = {student_id, *(linked.id for linked in profile.profile.external)}
            one.known[student_id] = Teacher(student_id, tuple(sorted(names)))

    async def _import_classes(self, one: "_Import", file: RosterFile) -> None:
        unsure = await self._unsure(one, file)
        changes = await asyncio.to_thread(  # of a large school it takes most of a second
            changes_of,
            file.classes,
            file.enrolments,
            one.ids,
            frozenset(one.gone),
            one.known,
            one.faults,
            is_all=file.has_all_enrolments,
            unsure=unsure,
        )
        changes |= await self._elsewhere(one, changes)
        if not one.dry_run:
            given = [change.given for change in changes.values() if change.given is not None]
            courses = {described.course_id for described in given if not described.is_gone}
            await self._courses.note([CourseKey(one.caller.tenant, course_id) for course_id in sorted(courses)])
        todo = list(changes.items())
        for start in range(0, len(todo), CLASSES_AT_ONCE):
            await asyncio.gather(*(self._import_class(one, *item) for item in todo[start : start + CLASSES_AT_ONCE]))

    async def _unsure(self, one: "_Import", file: RosterFile) -> dict[str, frozenset[str]]:
        """By class the students whom a row names that could not be taken: a fault takes nobody out of a class."""
        enrolled = await asyncio.to_thread(file.enrolled_but, one.ids)
        named = _named({user_id for _, user_id in enrolled | file.unsure})
        holders = await self._people.holders(one.caller.tenant, list(named.values()))
        ids = {
            user_id: held or self._profiles.derived_id(one.caller.tenant, name)
            for (user_id, name), held in zip(named.items(), holders, strict=True)
        }
        unsure: dict[str, set[str]] = defaultdict(set)
        for class_id, user_id in enrolled | file.unsure:
            if user_id in ids:
                unsure[class_id].add(ids[user_id])
        return {class_id: frozenset(students) for class_id, students in unsure.items()}

    async def _elsewhere(self, one: "_Import", changes: Mapping[str, ClassChange]) -> dict[str, ClassChange]:
        """What changes of the classes of those who are gone, and of teachers, whether or not the file enrols them."""
        left: dict[str, set[str]] = defaultdict(set)
        gone = set(one.gone.values())
        people = sorted(gone.union(one.teachers))
        for start in range(0, len(people), CLASSES_AT_ONCE):
            page = people[start : start + CLASSES_AT_ONCE]
            keys = [StudentKey(one.caller.tenant, student_id) for student_id in page]
            for student_id, named in zip(page, await asyncio.gather(*map(self._cohorts.named_for, keys)), strict=True):
                one.users[REMOVED] += bool(named) and student_id in gone
                for cohort_id in named:
                    left[cohort_id] |= {student_id} & gone
        nothing = nothing_of(one.known)
        return {name: changes.get(name, nothing).without(frozenset(names)) for name, names in left.items()}

    async def _import_class(self, one: "_Import", cohort_id: str, change: ClassChange) -> None:
        def revised(roster: Roster) -> Cohort:
            is_known = roster.version or change.given is not None
            return change.of(roster.cohort) if is_known else roster.cohort

        if one.dry_run:
            roster = await self._cohorts.roster(one.caller.tenant, cohort_id, one.caller.moment(self._clock))
            before, after = roster.cohort, revised(roster)
        else:
            try:
                before, after = await self._cohorts.revise(one.caller, cohort_id, CALL, revised)
            except Conflict as error:
                one.faults.append(RowFault("classes.csv", 0, cohort_id, error.message))
                return
        if change.given is None and after == NO_COHORT:
            one.faults.append(RowFault("classes.csv", 0, cohort_id, "There is no such class, here or in the file."))
            return
        one.count(before, after, is_over=change.given is not None and change.given.is_gone)


class _Import:
    """What one import has found and done so far."""

    def __init__(self, caller: Caller, dry_run: bool) -> None:
        self.caller = caller
        self.dry_run = dry_run
        self.ignored = RowList[Ignored]()
        self.faults = RowList[RowFault]()
        self.ids: dict[str, str] = {}  # student_id by user
        self.gone: dict[str, str] = {}  # those of them who are gone
        self.known: dict[str, Teacher] = {}  # by student_id, all who may teach
        self.teachers: set[str] = set()  # the student_ids of users who teach, or might
        self.enrolled_teachers: frozenset[str] = frozenset()
        self.users: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.students: Counter[str] = Counter()
        self.teaching: Counter[str] = Counter()
        self._taken: dict[str, str] = {}  # user by student_id

    def holder(self, person: RosterPerson, holders: Mapping[Identity, str | None], derived: str) -> str | None:
        """Who a user is here; None, and a fault, where that cannot be told."""
        try:
            student_id = holder_of(person, holders, derived)
        except InvalidInput as error:
            self.fault(person, error.message)
            return None
        if self._taken.setdefault(student_id, person.user.sourced_id) != person.user.sourced_id:
            self.fault(person, "Another user of the file is linked to the same student.")
            return None
        return student_id

    def take(self, person: RosterPerson, student_id: str, profile: Profile) -> None:
        self.ids[person.user.sourced_id] = student_id
        if person.user.is_gone:
            self.gone[person.user.sourced_id] = student_id
        if person.user.sourced_id in self.enrolled_teachers or person.user.roles - {"student"}:
            self.known[student_id] = person.teacher(student_id, profile.external)
            self.teachers.add(student_id)

    def leave_out(self, person: RosterPerson) -> None:
        """The user was erased, and is in no class."""
        student_id = self.ids.pop(person.user.sourced_id)
        self.known.pop(student_id, None)
        self.teachers.discard(student_id)

    def fault(self, person: RosterPerson, reason: str) -> None:
        self.faults.append(RowFault(USERS, person.user.line, person.user.sourced_id, reason))

    def count(self, before: Cohort, after: Cohort, *, is_over: bool) -> None:
        if before == after:
            self.classes[UNCHANGED] += 1
        else:
            self.classes[REMOVED if is_over else ADDED if before == NO_COHORT else CHANGED] += 1
        _count(self.students, before.put, after.put)
        _count(self.teaching, _ids(before), _ids(after))
        renamed = sum(one.student_id in _ids(before) for one in set(after.teachers) - set(before.teachers))
        self.teaching[CHANGED] += renamed
        self.teaching[UNCHANGED] -= renamed

    def answer(self, version: str) -> ImportedRoster:
        return ImportedRoster(
            version,
            self.dry_run,
            RosterChanges(**self.users),
            RosterChanges(**self.classes),
            RosterChanges(**self.students),
            RosterChanges(**self.teaching),
            self.ignored.total,
            self.faults.total,
            _rows(self.ignored),
            _rows(self.faults),
        )


def _read(source: bytes, one: _Import) -> tuple[RosterFile, dict[str, RosterPerson]]:
    file = roster_from(source)
    one.ignored, one.faults = file.ignored, file.faults
    one.enrolled_teachers = frozenset(item.user_id for item in file.enrolments if item.role == "teacher")
    return file, people_of(file.users.values(), one.ignored, one.faults)


def _named(user_ids: Iterable[str]) -> dict[str, Identity]:
    """The identities of users, but for those whom nobody can be called."""
    named: dict[str, Identity] = {}
    for user_id in user_ids:
        with suppress(InvalidInput):
            named[user_id] = identity(ONEROSTER, user_id)
    return named


def _ids(cohort: Cohort) -> frozenset[str]:
    return frozenset(teacher.student_id for teacher in cohort.teachers)


def _count(counts: Counter[str], before: Iterable[str], after: Iterable[str]) -> None:
    had, has = frozenset(before), frozenset(after)
    counts.update({ADDED: len(has - had), REMOVED: len(had - has), UNCHANGED: len(had & has)})


def _rows(rows: Collection[Ignored | RowFault]) -> list[RosterRow]:
    return [msgspec.convert(one, RosterRow, from_attributes=True) for one in rows]
