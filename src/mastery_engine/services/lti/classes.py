"""The contexts of platforms as classes: each is a cohort here, in a course, with who was launched in it."""

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.cohort import Cohort
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Conflict
from mastery_engine.lti.claims import Launch, cohort_id_of
from mastery_engine.lti.contexts import (
    ContextRecord,
    PersonRecord,
    pack,
    person_key,
    record_of,
    unpack_context,
    unpack_person,
)
from mastery_engine.lti.memberships import class_after
from mastery_engine.lti.platforms import LtiPlatform
from mastery_engine.ports.cohorts import Roster
from mastery_engine.ports.registry import RegistryStore, RegistryWrite
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.courses import Courses
from mastery_engine.services.lti.people import KnownPerson

PAGE = 500
MAX_ROUNDS = 20
CALL = "lti-launch"


class ContextClasses:
    """Keeps what is known of contexts, and their classes."""

    def __init__(self, registry: RegistryStore, cohorts: Cohorts, courses: Courses, clock: Clock) -> None:
        self._registry = registry
        self._cohorts = cohorts
        self._courses = courses
        self._clock = clock

    async def enter(
        self, caller: Caller, platform: LtiPlatform, launch: Launch, person: KnownPerson
    ) -> tuple[ContextRecord, str] | None:
        """The context of a launch, and its course, with the person in its class; None where the launch names none.

        A class begins in the platform's course, and stays where an admin moved it. Raises Unavailable and Conflict.
        """
        if launch.context is None:
            return None
        cohort_id = cohort_id_of(platform, launch.deployment_id, launch.context.id)
        record = await self._noted(platform, cohort_id, launch, caller.moment(self._clock))
        course_id = platform.course_id or DEFAULT_COURSE
        title = launch.context.title

        def entered(roster: Roster) -> Cohort:
            before = roster.cohort
            named = msgspec.structs.replace(before, name=title)
            if before.course_id is None:
                named = msgspec.structs.replace(named, course_id=course_id)
            if launch.role == "instructor":
                return named
            return class_after(named, [person.student_id], (), (), roster.joined)

        _, after = await self._cohorts.revise(caller, cohort_id, CALL, entered)
        in_course = after.course_id or DEFAULT_COURSE
        await self._courses.note([CourseKey(platform.tenant, in_course)])
        await self.note_people(
            record, {person.student_id: PersonRecord(launch.sub, launch.role)}, caller.moment(self._clock)
        )
        return record, in_course

    async def of(self, tenant: str, cohort_id: str, now: Micros) -> ContextRecord | None:
        """The context of a class. Raises Unavailable."""
        (entry,) = await self._registry.find("lti-contexts", [f"{tenant}/{cohort_id}"], now)
        return None if entry is None else unpack_context(entry.value)

    async def page(self, after: str, now: Micros) -> list[ContextRecord]:
        """The next contexts of all tenants, by key. Raises Unavailable."""
        return [
            unpack_context(entry.value) for entry in await self._registry.page("lti-contexts", "", after, PAGE, now)
        ]

    async def people(self, record: ContextRecord, now: Micros) -> dict[str, PersonRecord]:
        """Who is in a context, by student_id. Raises Unavailable."""
        prefix = f"{record.key}/"
        found: dict[str, PersonRecord] = {}
        after = ""
        while True:
            page = await self._registry.page("lti-people", prefix, after, PAGE, now)
            found |= {entry.key.removeprefix(prefix): unpack_person(entry.value) for entry in page}
            if len(page) < PAGE:
                return found
            after = page[-1].key

    async def note_people(self, record: ContextRecord, people: dict[str, PersonRecord | None], now: Micros) -> None:
        """Keep who these people are in a context; None for who left it. Raises Unavailable."""
        writes = [
            RegistryWrite(
                person_key(record.tenant, record.cohort_id, student_id),
                None if person is None else pack(person),
                owner=StudentKey(record.tenant, student_id),
            )
            for student_id, person in people.items()
        ]
        for start in range(0, len(writes), PAGE):
            await self._registry.write("lti-people", writes[start : start + PAGE], now)

    async def revise(self, record: ContextRecord, now: Micros, **changes: object) -> bool:
        """Set parts of a context's record, if it is still as it was read; whether it was. Raises Unavailable."""
        (entry,) = await self._registry.find("lti-contexts", [record.key], now)
        if entry is None or unpack_context(entry.value) != record:
            return False
        after = msgspec.structs.replace(record, **changes)
        write = RegistryWrite(record.key, pack(after), expected=entry.version)
        (done,) = await self._registry.write("lti-contexts", [write], now)
        return done

    async def _noted(self, platform: LtiPlatform, cohort_id: str, launch: Launch, now: Micros) -> ContextRecord:
        """What is kept of a context, with what a launch says of it. Raises Conflict and Unavailable."""
        first = record_of(platform, cohort_id, launch)
        if first is None:
            raise TypeError("The launch has no context.")
        for _ in range(MAX_ROUNDS):
            (entry,) = await self._registry.find("lti-contexts", [first.key], now)
            before = None if entry is None else unpack_context(entry.value)
            after = first if before is None else before.after(launch)
            if after == before:
                return after
            write = RegistryWrite(first.key, pack(after), expected=0 if entry is None else entry.version)
            (done,) = await self._registry.write("lti-contexts", [write], now)
            if done:
                return after
        raise Conflict("Others keep changing what is known of this class: open the link in your course again.")
