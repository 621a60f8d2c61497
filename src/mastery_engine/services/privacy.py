"""Privacy: consent, erasure, export, and reading the audit trail."""

from collections.abc import Sequence
from operator import attrgetter

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.consent import erased_at, without_repeats
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.evidence.shown import shown_points
from mastery_engine.domain.moments import Micros, iso_date, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import Student, StudentKey
from mastery_engine.errors import NotFound
from mastery_engine.ports.deliveries import DeliveryQueue
from mastery_engine.ports.documents import DocumentStore
from mastery_engine.ports.event_log import EventLog, Record
from mastery_engine.ports.jobs import JobStore
from mastery_engine.ports.registry import RegistryStore
from mastery_engine.ports.result_cache import ResultCache
from mastery_engine.ports.result_log import ResultLog
from mastery_engine.responses.people import profile_record
from mastery_engine.responses.privacy import (
    AuditEntry,
    AuditTrail,
    Consent,
    ConsentPoint,
    ErasedBefore,
    Erasure,
    Export,
    HeldCourse,
    HeldDay,
    StaysUntil,
    held_delivery,
    held_document,
    held_entry,
    held_event,
    held_resource,
)
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit, AuditQuery
from mastery_engine.services.batch_requests import rows_of
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.dead_letters import DeadLetters
from mastery_engine.services.erasing import Erasing
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.moving import Moving
from mastery_engine.services.notes import TABLE as NOTES
from mastery_engine.services.notes import Notes
from mastery_engine.services.profiles import Profiles
from mastery_engine.services.record_documents import RecordDocuments
from mastery_engine.services.record_store import RecordStore
from mastery_engine.services.retention import Retention

LOOKS = 200
ELSEWHERE = ("process logs, which have student ids", "backups, until they are overwritten")


class Privacy:
    """The rights of students over their data: consent, erasure, export and an audit trail."""

    def __init__(
        self,
        *,
        documents: DocumentStore,
        jobs: JobStore,
        registry: RegistryStore,
        deliveries: DeliveryQueue,
        events: EventLog,
        result_log: ResultLog,
        result_cache: ResultCache,
        cohorts: Cohorts,
        consents: Consents,
        erasing: Erasing,
        profiles: Profiles,
        notes: Notes,
        moving: Moving,
        record_store: RecordStore,
        record_documents: RecordDocuments,
        dead_letters: DeadLetters,
        retention: Retention,
        access: AccessControl,
        audit: Audit,
        idempotency: Idempotency,
        courses: Courses,
        clock: Clock,
    ) -> None:
        self._documents = documents
        self._jobs = jobs
        self._registry = registry
        self._deliveries = deliveries
        self._events = events
        self._result_log = result_log
        self._result_cache = result_cache
        self._cohorts = cohorts
        self._consents = consents
        self._erasing = erasing
        self._profiles = profiles
        self._notes = notes
        self._moving = moving
        self._record_store = record_store
        self._record_documents = record_documents
        self._dead_letters = dead_letters
        self._retention = retention
        self._access = access
        self._audit = audit
        self._idempotency = idempotency
        self._courses = courses
        self._clock = clock

    async def consent(self, caller: Caller, student_id: str) -> Consent:
        """What a student allows, whether or not the student is known.

        Raises Forbidden, and NotFound for a derived id that was linked to a student.
        """
        self._access.check_student(caller, Act.OWN_DATA, student_id, "consent")
        await self._consents.refresh()
        await self._consents.check_reads(caller.tenant, student_id, caller.moment(self._clock))
        return self._consent(StudentKey(caller.tenant, student_id))

    async def change_consent(
        self,
        caller: Caller,
        student_id: str,
        processing: bool | None,
        profiling: bool | None,
        *,
        key: IdempotencyKey | None = None,
    ) -> Consent:
        """Change what a student allows; None leaves it as it is. It holds for events received from now on.

        A call that changes nothing is audited, and adds nothing to the history. Raises Conflict if ``key`` was used
        with another body, and for a derived id that was linked to a student.
        """
        student = StudentKey(caller.tenant, student_id)
        self._access.check_student(caller, Act.OWN_DATA, student_id, "consent-change", changes=True)
        await self._consents.refresh()
        self._consents.check_changes(student)
        await self._idempotency.claim(caller, f"consent-change {student_id}", key)
        await self._audit.write(caller, "consent-change", [student_id])
        await self._consents.change(student, processing, profiling)
        return self._consent(student)

    def _consent(self, key: StudentKey) -> Consent:
        now = self._consents.state(key)
        history = [
            ConsentPoint(rfc3339(change.at), change.processing, change.profiling, change.erased)
            for change in without_repeats(self._consents.history(key))
        ]
        return Consent(key.student_id, now.processing, now.profiling, history)

    async def erase(self, caller: Caller, student_id: str) -> Erasure:
        """Remove all that stores and logs hold about a student; events received before no longer count.

        Unknown students are erased too, since events of theirs may be under way. It is safe to call again. What was
        under ids that were linked to the student goes, too, and so do the links. Raises Conflict for such an id itself.
        """
        key = StudentKey(caller.tenant, student_id)
        self._access.check_student(caller, Act.GOVERN, student_id, "erase", changes=True)
        now = caller.moment(self._clock)
        await self._consents.refresh()
        self._consents.check_changes(key)
        await self._audit.write(caller, "erase", [student_id])
        await self._retention.erasure_begins(key.tenant, self._consents.pseudonym(key), now)
        at = await self._consents.erase(key)
        stored = logged = 0
        for one in self._ids_of(key):
            cohort_ids = await self._cohorts.forget(one, now)
            stored += await self._erasing.remove_counted(one)
            for subject in (one.student_id, *cohort_ids):  # the cached standings of a cohort include the student's
                await self._result_cache.drop(key.tenant, subject)
            logged += await self._result_log.erase(one) + await self._dead_letters.erase(one)
            logged += await self._events.erase(one)  # last, since it also scrubs a file that all of them may share
        await self._consents.unlink(key)  # once all is gone: who calls again finds these ids until then
        elsewhere = await self._elsewhere(now)
        stays = max((one.until for one in elsewhere if one.until is not None), default=None)
        await self._retention.erasure_ended(key.tenant, self._consents.pseudonym(key), now, stays)
        return Erasure(
            self._consents.pseudonym(key),
            rfc3339(at),
            stored,
            logged,
            elsewhere,
            self._consents.proof(key, at),
        )

    async def erasure(self, caller: Caller, student_id: str) -> ErasedBefore | None:
        """The student's last erasure, and where it did not reach what still lies there; None if there was none.

        Raises Forbidden.
        """
        self._access.check_student(caller, Act.OWN_DATA, student_id, "consent")
        now = caller.moment(self._clock)
        at = erased_at(self._consents.history(StudentKey(caller.tenant, student_id)))
        if at is None:
            return None
        stays = [one for one in await self._elsewhere(at) if one.until is None or one.until > rfc3339(now)]
        return ErasedBefore(rfc3339(at), stays)

    def _ids_of(self, key: StudentKey) -> list[StudentKey]:
        """The student's ids: those that were linked to them, and their own, which is the last."""
        return [*sorted(self._consents.links.sources(key)), key]

    async def _elsewhere(self, now: Micros) -> list[StaysUntil]:
        retained = await self._events.retained_until(now)
        topics = [StaysUntil(place.where, None if place.until is None else rfc3339(place.until)) for place in retained]
        return [*topics, *(StaysUntil(where, None) for where in ELSEWHERE)]

    async def looks(self, caller: Caller, student_id: str) -> list[AuditEntry]:
        """Who saw a student's data, newest first: the last 200 calls about them, without the student's own."""
        self._access.check_student(caller, Act.OWN_DATA, student_id, "looks")
        query = AuditQuery(student_id=student_id, allowed=True, limit=LOOKS)
        records = (await self._audit.page(caller.tenant, query)).records
        return [entry for entry in records if entry.role != "student"]

    async def export(self, caller: Caller, student_id: str, *, scan: bool = False) -> Export:
        """Everything that is held about a student. Raises NotFound if that is nothing, or if they were erased.

        What came under ids that were linked to the student is theirs; such an id itself is not found.

        ``scan`` reads the whole log for the student's events, if it cannot find them otherwise.
        """
        key = StudentKey(caller.tenant, student_id)
        self._access.check_student(caller, Act.OWN_DATA, student_id, "export")
        now = caller.moment(self._clock)
        await self._consents.refresh()
        await self._consents.check_reads(caller.tenant, student_id, now)
        await self._moving.finish([key])
        is_erased = self._consents.state(key).erased
        (courses,) = await self._documents.of_students([key])
        document = courses.get(DEFAULT_COURSE)
        ids = self._ids_of(key)
        records = None if is_erased else await self._records_of(ids, scan=scan)
        consent = self._consent(key)
        cohorts = [] if is_erased else await self._cohorts.memberships(key, now)
        jobs = [] if is_erased else [(one.student_id, job) for one in ids for job in await self._jobs.of(one)]
        (stored,) = await self._profiles.load([key])
        known_as = sorted({*[one.student_id for one in ids], *await self._profiles.known_as(key)})
        statements = await self._record_store.of_student(key.tenant, known_as)
        kept = await self._record_documents.of_student(key.tenant, known_as)
        deliveries = [delivery for one in ids for delivery in await self._deliveries.of_student(one)]
        entries = [entry for one in ids for entry in await self._registry.owned(one, now)]
        held = (courses, records, consent.history, cohorts, jobs, stored.version, statements, kept, deliveries, entries)
        if is_erased or not any(held):
            raise NotFound("Nothing is held about this student.", field="student_id")
        rules = {
            course.course_id: setup.rules
            for course, setup in (
                await self._courses.of_many([CourseKey(key.tenant, course_id) for course_id in courses], now)
            ).items()
        }
        return Export(
            student_id,
            caller.tenant,
            rfc3339(now),
            None if document is None else held_document(document.student),
            [] if document is None else _days(document.student, rules[DEFAULT_COURSE], now),
            consent,
            sorted([entry for one in ids for entry in await self._audit.entries_of(one)], key=attrgetter("at")),
            [letter for one in ids for letter in await self._dead_letters.of(one)],
            None if records is None else [held_event(record) for record in records],
            cohorts,
            [rows_of(job, named) for named, job in jobs],
            await self._elsewhere(now),
            [
                HeldCourse(course_id, held_document(other.student), _days(other.student, rules[course_id], now))
                for course_id, other in sorted(courses.items())
                if course_id != DEFAULT_COURSE
            ],
            profile_record(student_id, stored.profile) if stored.version else None,
            statements,
            [held_resource(*document) for document in kept],
            [held_delivery(delivery) for delivery in deliveries],
            [held_entry(table, entry) for table, entry in entries if table != NOTES],
            await self._notes.held(key, now),
        )

    async def _records_of(self, ids: Sequence[StudentKey], *, scan: bool) -> list[Record] | None:
        """The events in the log under these ids, in the order of their receipt; None where it does not find them."""
        found = [await self._events.events_of(one, scan=scan) for one in ids]
        records = [record for of_id in found if of_id is not None for record in of_id]
        return None if None in found else sorted(records, key=attrgetter("received", "partition", "offset"))

    async def audit(self, caller: Caller, query: AuditQuery) -> AuditTrail:
        """A page of the tenant's audit trail, newest first. Raises Forbidden, InvalidInput."""
        self._access.check_act(caller, Act.GOVERN, "audit")
        self._audit.note(caller, "audit", query.student_id, allowed=True)
        return await self._audit.page(caller.tenant, query)


def _days(student: Student, rules: Rules, now: Micros) -> list[HeldDay]:
    today = rules.day_of(now)
    return [
        HeldDay(iso_date(point.day), point.score, rules.levels[point.rank].name, *point.components)
        for point in shown_points(student.history, rules, first=rules.first_day(today), last=today)
    ]
