"""Dumps: the events, scores, skills and forecasts of a school or a course for scientists, page by page.

Nobody is in a dump who was erased or who withdrew processing, and nobody in one of skills or forecasts who withdrew
profiling. Whose data a page holds is on the audit trail before it is given.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from operator import attrgetter

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.kinds import Consistency
from mastery_engine.domain.evidence.history import average, trend
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.evidence.shown import shown_scores
from mastery_engine.domain.moments import Micros, day_of_date
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import outlook_of
from mastery_engine.domain.student import DocumentKey, Student, StudentKey, document_key_of
from mastery_engine.ports.documents import DocumentStore
from mastery_engine.ports.event_log import EventLog, Record
from mastery_engine.responses.dumps import (
    DumpedEvent,
    DumpedForecast,
    DumpedScore,
    DumpedSkill,
    dumped_event,
    dumped_forecast,
    dumped_score,
    dumped_skill,
)
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.first_seen import FirstSeen
from mastery_engine.services.forecasts import Forecasts
from mastery_engine.services.models import Models
from mastery_engine.services.moving import Moving

PAGE = 200  # students


class DumpPart(msgspec.Struct, frozen=True):
    """What a dump is of: a caller's tenant, or one of its courses, at one moment."""

    caller: Caller
    course_id: str | None
    now: Micros

    @property
    def tenant(self) -> str:
        return self.caller.tenant


class DumpedDocument(msgspec.Struct, frozen=True):
    """A student in one course, about whom something is known there."""

    key: DocumentKey
    student: Student
    setup: CourseSetup


class Dumps:
    """Reads what a dump holds. Each method raises Forbidden, NotFound for a course that nobody knows, Unavailable."""

    def __init__(
        self,
        documents: DocumentStore,
        events: EventLog,
        decode: Callable[[Sequence[Record]], Sequence[Logged]],
        consents: Consents,
        courses: Courses,
        moving: Moving,
        cohorts: Cohorts,
        forecasts: Forecasts,
        models: Models,
        access: AccessControl,
        audit: Audit,
        clock: Clock,
    ) -> None:
        """``decode`` gives the events of records, without those that were refused."""
        self._documents = documents
        self._events = events
        self._decode = decode
        self._consents = consents
        self._courses = courses
        self._moving = moving
        self._cohorts = cohorts
        self._forecasts = forecasts
        self._models = models
        self._access = access
        self._audit = audit
        self._clock = clock

    async def events(
        self, caller: Caller, course_id: str | None, on_progress: Callable[[float], None]
    ) -> AsyncGenerator[list[DumpedEvent]]:
        """The events in the log that count, each once, as it was sent first, in the order of the log.

        ``on_progress`` gets the number of records that were read. What has aged out is not in it, nor what the log no
        longer has.
        """
        part = await self._begun(caller, course_id, "dump-events")
        await self._courses.learn_all(part.tenant, part.now)
        read = 0
        with FirstSeen() as events, FirstSeen() as students:
            async for records in self._events.pages():
                read += len(records)
                await self._consents.refresh_lately(self._clock())
                counting = self._counting(part, [record for record in records if record.tenant == part.tenant])
                page = events.new_of(counting, _name)
                subjects = dict.fromkeys(one.student_id for one in page)
                await self._audit.write(caller, "dump-events", students.new_of(subjects, str))
                on_progress(read)
                yield page

    def _counting(self, part: DumpPart, records: Sequence[Record]) -> list[DumpedEvent]:
        """The events of some records that count now, by the student to whom they belong."""
        by_student: dict[DocumentKey, list[Logged]] = {}
        for logged in self._decode(records):
            by_student.setdefault(document_key_of(logged.event), []).append(logged)
        allowed: list[Logged] = []
        for key, own in self._consents.filter_by_consent(self._consents.by_owner(by_student)).items():
            if part.course_id in (None, key.course_id) and self._may_be_in(key.student):
                rules = self._courses.at_hand(key.course)
                allowed += [logged for logged in own if _still_counts(logged.event, rules, part.now)]
        return [dumped_event(logged.event) for logged in sorted(allowed, key=attrgetter("partition", "offset"))]

    async def scores(self, caller: Caller, course_id: str | None) -> AsyncGenerator[list[DumpedScore]]:
        """Each student's score now in each course, by the ids of the students."""
        part = await self._begun(caller, course_id, "dump-scores")
        async for page in self._known(part, "dump-scores"):
            yield [_score(one, part.now) for one in page]

    async def skills(self, caller: Caller, course_id: str | None) -> AsyncGenerator[list[DumpedSkill]]:
        """How well each student knows each skill that they have evidence on, the best known first."""
        part = await self._begun(caller, course_id, "dump-skills")
        async for page in self._known(part, "dump-skills", profiled=True):
            yield [row for one in page for row in self._skills_of(one, part.now)]

    def _skills_of(self, of: DumpedDocument, now: Micros) -> list[DumpedSkill]:
        rules = of.setup.rules
        view = outlook_of(
            of.student.evidence,
            of.student.knowledge,
            of.setup.curriculum,
            rules.day_of(now),
            rules,
            self._models.skills,
        )
        found = sorted(view.estimates.items(), key=lambda item: (-item[1].probability, item[0]))
        return [dumped_skill(of.key, name, estimate) for name, estimate in found]

    async def forecasts(self, caller: Caller, course_id: str | None) -> AsyncGenerator[list[DumpedForecast]]:
        """The forecast for each student's next 7 days in each course."""
        part = await self._begun(caller, course_id, "dump-forecasts")
        async for page in self._known(part, "dump-forecasts", profiled=True):
            rows: list[DumpedForecast] = []
            by_course: dict[CourseKey, list[DumpedDocument]] = {}
            for one in page:
                by_course.setdefault(one.key.course, []).append(one)
            for course, own in by_course.items():
                known = await self._forecasts.calibration(course, part.now)
                named = {one.key.student_id: one.student.cohorts for one in own}
                due_days = await self._cohorts.due_days(course, named, part.now)
                for one in own:
                    due = due_days[one.key.student_id]
                    found = self._forecasts.make(one.student, part.now, one.setup.rules, due, known)
                    rows.append(dumped_forecast(one.key, found, known))
            yield sorted(rows, key=lambda row: (row.student_id, row.course_id))

    async def _begun(self, caller: Caller, course_id: str | None, call: str) -> DumpPart:
        self._access.check_act(caller, Act.DUMP, call)
        await self._consents.refresh()
        await self._moving.finish_all()
        if course_id is not None:
            await self._courses.known(caller, course_id)
        await self._audit.write(caller, call, [None])
        return DumpPart(caller, course_id, caller.moment(self._clock))

    async def _known(
        self, part: DumpPart, call: str, *, profiled: bool = False
    ) -> AsyncGenerator[list[DumpedDocument]]:
        """The documents of those about whom something is known, by the ids of the students and the courses."""
        after = ""
        while names := await self._documents.students_of(part.tenant, after=after, limit=PAGE):
            after = names[-1]
            await self._consents.refresh_lately(self._clock())
            students = [StudentKey(part.tenant, name) for name in names]
            found = await self._of_page(part, [key for key in students if self._may_be_in(key, profiled=profiled)])
            await self._audit.write(part.caller, call, dict.fromkeys(one.key.student_id for one in found))
            yield found

    async def _of_page(self, part: DumpPart, students: Sequence[StudentKey]) -> list[DumpedDocument]:
        stored = await self._documents.of_students(students)
        keys = [
            DocumentKey(*student, course_id)
            for student, courses in zip(students, stored, strict=True)
            for course_id in sorted(courses)
            if part.course_id in (None, course_id)
        ]
        held = dict(zip(students, stored, strict=True))
        setups = await self._courses.of_many(list(_courses(keys)), part.now)
        found = [DumpedDocument(key, held[key.student][key.course_id].student, setups[key.course]) for key in keys]
        return [one for one in found if one.student.is_known(part.now, one.setup.rules)]

    def _may_be_in(self, key: StudentKey, *, profiled: bool = False) -> bool:
        """Whether a student may be in a dump, as of the last look at the ledger; a linked id is nobody's own."""
        if self._consents.is_linked(key):
            return False
        state = self._consents.state(key)
        return state.processing and not state.erased and (state.profiling or not profiled)


def _name(event: DumpedEvent) -> str:
    """What an event is known by: its id belongs to its student and course."""
    return f"{event.student_id} {len(event.course_id)} {event.course_id} {event.event_id}"


def _still_counts(event: LearningEvent, rules: Rules, now: Micros) -> bool:
    """Whether an event counts at a moment: by its own day, or by later ones that it names."""
    first = rules.first_day(rules.day_of(now))
    if event.at >= rules.start_of(first):
        return True
    named = (isinstance(event.data, Consistency) and event.data.activity_dates) or ()
    return any(day_of_date(day) >= first for day in named)


def _courses(keys: Iterable[DocumentKey]) -> dict[CourseKey, None]:
    return dict.fromkeys(key.course for key in keys)


def _score(of: DumpedDocument, now: Micros) -> DumpedScore:
    rules, student = of.setup.rules, of.student
    today = rules.day_of(now)
    scores = shown_scores(student.history, rules, first=rules.first_day(today), last=today)
    found = mastery_score(student.evidence, now, rules)
    return dumped_score(of.key, found, average(scores), trend(scores, today), student.updated, now)
