"""The methods of the sync client.

Made by `make contracts` from the OpenAPI document; don't edit.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from mastery_client import calls
from mastery_client.answers import (
    AtRisk,
    AuditEntry,
    AuditTrail,
    BadgeEntry,
    BadgeList,
    BatchResponse,
    BatchState,
    Calculated,
    Changes,
    CohortFigures,
    CohortRecord,
    Comparison,
    Consent,
    CourseEntry,
    CourseItem,
    CourseList,
    CourseRecord,
    DeliveryEntry,
    DeliveryList,
    DoorResults,
    Erasure,
    EventStatus,
    Export,
    FoundStudent,
    Health,
    Identity,
    ImportedRoster,
    IngestResponse,
    ItemToAnswer,
    LearningPath,
    MasteryHistory,
    NextAnswer,
    NoteList,
    NoteRecord,
    Outcome,
    Prediction,
    ProfileRecord,
    ReadinessReport,
    Receipt,
    Recommended,
    RemovedNote,
    RemovedWebhook,
    ServiceInfo,
    SetWebhook,
    StudentList,
    StudentMastery,
    StudentPatterns,
    StudentSkills,
    Subscription,
    Trajectory,
    TriedWebhook,
    WebhookList,
    WebhookRecord,
)
from mastery_client.events import EventData, LearningEvent
from mastery_client.pages import Pages
from mastery_client.requests import (
    Advise,
    AskedItem,
    BatchCalculate,
    Calculate,
    ChangedNote,
    ChangeRange,
    ChooseItems,
    CohortAnalytics,
    Compare,
    ConsentChanged,
    CourseChange,
    CourseRules,
    DaysBack,
    DueWork,
    FindPath,
    GivenComponents,
    HistoryRange,
    ManyItems,
    MasteryQuery,
    NewNote,
    NextWeek,
    OfferedItem,
    OfStudent,
    Outline,
    ProcessBody,
    ProfileChange,
    PutCohort,
    RowBody,
    Rows,
    SecurityContext,
    ShownName,
    WebhookChange,
)
from mastery_client.response import RowList
from mastery_client.sending import Sender
from mastery_client.words import (
    Aggregation,
    BatchPriority,
    DeliveryState,
    EventType,
    Goal,
    Metric,
    Priority,
    WebhookChangeTypes,
)


class SyncCalls(Sender):
    """A method for each call, named as its operation id."""

    def query(
        self,
        student_id: str,
        *,
        course_id: str | None = None,
        date: datetime.date | None = None,
        include_components: bool = True,
    ) -> StudentMastery:
        """Ask how well a student masters the course, now or as it was known on a day.

        A student's mastery now, or as it was known on a day.
        """
        return self._call(
            calls.QUERY,
            body=MasteryQuery(
                student_id=student_id, course_id=course_id, date=date, include_components=include_components
            ),
        )

    def calculate(
        self,
        student_id: str,
        components: GivenComponents | Mapping[str, Any] | None = None,
        *,
        course_id: str | None = None,
        record: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Calculated:
        """Calculate the score that given components come to, and record it unless you say otherwise.

        The score with the given components, the others from the evidence; recorded unless ``record`` is false.
        """
        return self._call(
            calls.CALCULATE,
            body=Calculate(student_id=student_id, course_id=course_id, components=components, record=record),
            key=idempotency_key,
        )

    def calculate_batch(
        self,
        requests: Sequence[RowBody | Mapping[str, Any]],
        *,
        record: bool | None = None,
        priority: BatchPriority = "normal",
        idempotency_key: str | None = None,
    ) -> BatchResponse | BatchState:
        """Calculate for many students at once; more than 100 rows are answered later, under a batch_id.

        Calculate many: up to 100 rows are answered at once, up to 1,000 later, under a batch_id.
        """
        return self._call(
            calls.CALCULATE_BATCH,
            body=BatchCalculate(requests=requests, record=record, priority=priority),
            key=idempotency_key,
        )

    def batch_status(self, batch_id: str) -> BatchState:
        """Ask how far a batch is, and for its answer once there is one.

        The state of a batch, with its answer once there is one.
        """
        return self._call(calls.BATCH_STATUS, path=(batch_id,))

    def ingest(
        self,
        event_type: EventType,
        student_id: str,
        data: EventData | Mapping[str, Any],
        *,
        event_id: str | None = None,
        timestamp: datetime.datetime | int | None = None,
        source: str | None = None,
        metadata: Mapping[str, str | int | float | bool | None] | None = None,
        course_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Send one event; it is durable once this answers.

        Take one event; it is durable once this answers.
        """
        return self._call(
            calls.INGEST,
            body=LearningEvent(
                event_type=event_type,
                student_id=student_id,
                data=data,
                event_id=event_id,
                timestamp=timestamp,
                source=source,
                metadata=metadata,
                course_id=course_id,
            ),
            key=idempotency_key,
        )

    def ingest_batch(
        self, events: Sequence[LearningEvent | Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> IngestResponse:
        """Send up to 1,000 events, of which each is accepted or refused on its own.

        Take up to 1,000 events, each accepted or refused on its own; accepted ones are durable once this answers.
        """
        return self._call(calls.INGEST_BATCH, body=Rows(events=events), key=idempotency_key)

    def event_status(self, student_id: str, event_id: str, *, course_id: str | None = None) -> EventStatus:
        """Ask whether an event was processed, dead-lettered, or neither so far.

        Whether an event was processed, dead-lettered, or neither so far; without a course, of any of the student's.
        """
        return self._call(calls.EVENT_STATUS, path=(student_id, event_id), query={"course_id": course_id})

    def changes(
        self,
        student_id: str,
        *,
        course_id: str | None = None,
        from_: datetime.date | None = None,
        to: datetime.date | None = None,
    ) -> Changes:
        """Ask what changed in a student's score between two days, and why.

        What changed in a student's score between two days, and why: by component, and of the last 14 days by cause.
        """
        return self._call(
            calls.CHANGES, body=ChangeRange(student_id=student_id, course_id=course_id, from_=from_, to=to)
        )

    def history(
        self,
        student_id: str,
        *,
        course_id: str | None = None,
        start_date: datetime.date | None = None,
        end_date: datetime.date | None = None,
        aggregation: Aggregation = "daily",
    ) -> MasteryHistory:
        """Daily, weekly or monthly scores of a range of days."""
        return self._call(
            calls.HISTORY,
            body=HistoryRange(
                student_id=student_id,
                course_id=course_id,
                start_date=start_date,
                end_date=end_date,
                aggregation=aggregation,
            ),
        )

    def skills(self, student_id: str, *, course_id: str | None = None) -> StudentSkills:
        """Ask how well a student knows each skill, and how much is forgotten.

        For each skill: the chance that the next answer is right, its uncertainty, what is forgotten, last practised.
        """
        return self._call(calls.SKILLS, body=OfStudent(student_id=student_id, course_id=course_id))

    def stream(self, student_id: str, *, course_id: str | None = None) -> Iterator[StudentMastery]:
        """Follow a student's mastery as server-sent events, now and after each change.

        The student's mastery now and after each change, as server-sent events, with heartbeats between.

        The iterator opens the stream again where it ends; close it to end it.
        """
        return self._stream(calls.STREAM, path=(student_id,), query={"course_id": course_id}, of=StudentMastery)

    def next_week(self, student_id: str, *, course_id: str | None = None, timeframe_days: int = 7) -> Prediction:
        """Ask where a student's score will be on each of the next days.

        The forecast of a student's score for each of the next days, with its confidence.
        """
        return self._call(
            calls.NEXT_WEEK, body=NextWeek(student_id=student_id, course_id=course_id, timeframe_days=timeframe_days)
        )

    def trajectory(self, student_id: str, *, course_id: str | None = None, days: int = 30) -> Trajectory:
        """Ask for a student's past scores, their trend, and the next seven days.

        A student's past scores, their trend, and the forecast for the next 7 days.
        """
        return self._call(calls.TRAJECTORY, body=DaysBack(student_id=student_id, course_id=course_id, days=days))

    def next_answer(
        self,
        student_id: str,
        items: Sequence[AskedItem | Mapping[str, Any]],
        *,
        course_id: str | None = None,
        at: datetime.datetime | int | None = None,
    ) -> RowList[NextAnswer]:
        """Ask how likely a student's next answer to each item is right.

        How likely a student's next answer to each item is right; who has answered nothing gets what the items say.
        """
        return self._call(
            calls.NEXT_ANSWER, body=ManyItems(student_id=student_id, items=items, course_id=course_id, at=at)
        )

    def set_cohort(
        self,
        cohort_id: str,
        name: str,
        members: Sequence[str],
        *,
        calendar: Sequence[DueWork | Mapping[str, Any]] | None = None,
        course_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> CohortRecord:
        """Set the members of a cohort, its name and its calendar.

        Set the members of a cohort; students left out stay out, whatever events say, until they are put in again.
        """
        return self._call(
            calls.SET_COHORT,
            path=(cohort_id,),
            body=PutCohort(name=name, members=members, calendar=calendar, course_id=course_id),
            key=idempotency_key,
        )

    def cohort_members(self, cohort_id: str, *, limit: int = 1000, cursor: str | None = None) -> CohortRecord:
        """Ask who is in a cohort, and when its work is due.

        A cohort's name, members and calendar.

        ``iter_cohort_members`` goes through all pages.
        """
        return self._call(calls.COHORT_MEMBERS, path=(cohort_id,), query={"limit": limit, "cursor": cursor})

    def iter_cohort_members(self, cohort_id: str, *, limit: int = 1000, cursor: str | None = None) -> Pages[str]:
        """The ``members`` of ``cohort_members``, from page to page; ``cursor`` is where to start."""

        def page(cursor: str | None) -> CohortRecord:
            return self.cohort_members(cohort_id, limit=limit, cursor=cursor)

        return Pages(page, lambda page: page.members, str, cursor)

    def compare(self, student_id: str, cohort_id: str, *, metric: Metric = "overall") -> Comparison:
        """Ask where a student stands in a cohort, overall or by component.

        Where a student stands in a cohort: percentile and rank, overall or by component.
        """
        return self._call(calls.COMPARE, body=Compare(student_id=student_id, cohort_id=cohort_id, metric=metric))

    def cohort(self, cohort_id: str, *, limit: int = 50, cursor: str | None = None) -> CohortFigures:
        """Ask how a cohort fares, who needs help there, and why.

        The figures of a cohort: levels, component means, and who needs help and why.

        ``iter_cohort`` goes through all pages.
        """
        return self._call(calls.COHORT, body=CohortAnalytics(cohort_id=cohort_id, limit=limit, cursor=cursor))

    def iter_cohort(self, cohort_id: str, *, limit: int = 50, cursor: str | None = None) -> Pages[AtRisk]:
        """The ``at_risk`` of ``cohort``, from page to page; ``cursor`` is where to start."""

        def page(cursor: str | None) -> CohortFigures:
            return self.cohort(cohort_id, limit=limit, cursor=cursor)

        return Pages(page, lambda page: page.at_risk, AtRisk, cursor)

    def set_course(
        self,
        course_id: str,
        *,
        title: str | None = None,
        time_zone: str | None = None,
        language: str | None = None,
        rules: CourseRules | Mapping[str, Any] | None = None,
        curriculum: Outline | Mapping[str, Any] | None = None,
        items: Sequence[CourseItem | Mapping[str, Any]] | None = None,
        badges: str | UnsetType | None = UNSET,
        idempotency_key: str | None = None,
    ) -> CourseRecord:
        """Set parts of a course, such as its title, its items and its rules.

        Set parts of a course: its title, time zone, language, rules, curriculum, items and badges.

        What is left out stays. It counts for what is folded and asked from then on, everywhere within 5 seconds.
        """
        return self._call(
            calls.SET_COURSE,
            path=(course_id,),
            body=CourseChange(
                title=title,
                time_zone=time_zone,
                language=language,
                rules=rules,
                curriculum=curriculum,
                items=items,
                badges=badges,
            ),
            key=idempotency_key,
        )

    def course(self, course_id: str) -> CourseRecord:
        """Ask for a course as it holds now.

        A course as it holds now, with what nobody set by default.
        """
        return self._call(calls.COURSE, path=(course_id,))

    def courses(self, *, limit: int = 100, cursor: str | None = None) -> CourseList:
        """List the courses of your school.

        The tenant's courses: those that were set, and those that events have named.

        ``iter_courses`` goes through all pages.
        """
        return self._call(calls.COURSES, query={"limit": limit, "cursor": cursor})

    def iter_courses(self, *, limit: int = 100, cursor: str | None = None) -> Pages[CourseEntry]:
        """The ``courses`` of ``courses``, from page to page; ``cursor`` is where to start."""

        def page(cursor: str | None) -> CourseList:
            return self.courses(limit=limit, cursor=cursor)

        return Pages(page, lambda page: page.courses, CourseEntry, cursor)

    def set_profile(
        self,
        student_id: str,
        *,
        display_name: str | UnsetType | None = UNSET,
        language: str | UnsetType | None = UNSET,
        external: Sequence[Identity | Mapping[str, Any]] | None = None,
        idempotency_key: str | None = None,
    ) -> ProfileRecord:
        """Set a student's name, language, and ids on other platforms.

        Set parts of a student's profile: the name, the language, and all ids on other platforms.

        What is left out stays. An identity that another student has, or that has evidence under an id of its own, is
        409.
        """
        return self._call(
            calls.SET_PROFILE,
            path=(student_id,),
            body=ProfileChange(display_name=display_name, language=language, external=external),
            key=idempotency_key,
        )

    def profile(self, student_id: str) -> ProfileRecord:
        """Ask for a student's name, language, and ids on other platforms.

        A student's name, language, and ids on other platforms; 404 where nobody has put a profile.
        """
        return self._call(calls.PROFILE, path=(student_id,))

    def students(
        self,
        *,
        query: str = "",
        cohort_id: str | None = None,
        course_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> StudentList:
        """Find the students whom you may see, by name or id.

        The students whom the caller may see, in pages by id: those whose name or id has all words of ``query``.

        Services and admins may also ask for a person as another platform knows them: its system, a space, and the id
        there.

        ``cohort_id`` leaves the members of a cohort, ``course_id`` those with evidence in a course.

        ``iter_students`` goes through all pages.
        """
        return self._call(
            calls.STUDENTS,
            query={"query": query, "cohort_id": cohort_id, "course_id": course_id, "limit": limit, "cursor": cursor},
        )

    def iter_students(
        self,
        *,
        query: str = "",
        cohort_id: str | None = None,
        course_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Pages[FoundStudent]:
        """The ``students`` of ``students``, from page to page; ``cursor`` is where to start."""

        def page(cursor: str | None) -> StudentList:
            return self.students(query=query, cohort_id=cohort_id, course_id=course_id, limit=limit, cursor=cursor)

        return Pages(page, lambda page: page.students, FoundStudent, cursor)

    def import_roster(
        self, archive: bytes, *, dry_run: bool = False, idempotency_key: str | None = None
    ) -> ImportedRoster:
        """Import a roster from a OneRoster zip, or say what it would change.

        Import a OneRoster zip (1.1 or 1.2, up to 64 MiB): users become profiles, classes cohorts with their teachers.

        It may be repeated: what is as the zip says stays as it is.
        """
        return self._call(calls.IMPORT_ROSTER, query={"dry_run": dry_run}, body=archive, key=idempotency_key)

    def send_caliper(self, envelope: object, *, idempotency_key: str | None = None) -> DoorResults:
        """Send Caliper events, of which each becomes evidence, or is ignored or refused with its reason.

        Take Caliper events (1.1 and 1.2): each becomes evidence, or is ignored or refused with its reason.

        The learner of a grade is its assignee. A platform shows its key and secret by Basic authentication, or its
        secret as a bearer token.
        """
        return self._call(calls.SEND_CALIPER, body=envelope, key=idempotency_key)

    def send_canvas(self, message: object, *, idempotency_key: str | None = None) -> DoorResults:
        """Send Canvas's Live Events, of which grades, outcomes and quizzes become evidence.

        Take Canvas's Live Events: grades, outcomes and submitted quizzes become evidence, others are ignored by name.

        A signed body is checked by the keys that Canvas publishes (CANVAS_JWKS_URL). Signed or not, the school is that
        of the key and secret that the call shows by Basic authentication, or by its secret as a bearer token.
        """
        return self._call(calls.SEND_CANVAS, body=message, key=idempotency_key)

    def recommendations(
        self, student_id: str, *, course_id: str | None = None, limit: int = 5, priority: Priority = "low"
    ) -> RowList[Recommended]:
        """Ask what a student should do next, best first.

        What to do next, ranked by the gain of mastery per minute; a student without events is advised where to start.
        """
        return self._call(
            calls.RECOMMENDATIONS,
            body=Advise(student_id=student_id, course_id=course_id, limit=limit, priority=priority),
        )

    def learning_path(
        self, student_id: str, *, course_id: str | None = None, goal: Goal = "improve_mastery", topic: str | None = None
    ) -> LearningPath:
        """Ask for the shortest path to a goal, with a schedule by day.

        The shortest path to a goal, with minutes, a schedule by day and the estimated completion.
        """
        return self._call(
            calls.LEARNING_PATH, body=FindPath(student_id=student_id, course_id=course_id, goal=goal, topic=topic)
        )

    def next_items(
        self,
        student_id: str,
        *,
        course_id: str | None = None,
        items: Sequence[OfferedItem | Mapping[str, Any]] | None = None,
        skill: str | None = None,
        limit: int = 5,
        target: float = 0.75,
    ) -> RowList[ItemToAnswer]:
        """Ask which items a student should answer next, best first.

        Which items to answer next, best first: ready, near the wanted chance of a right answer, due ones first.
        """
        return self._call(
            calls.NEXT_ITEMS,
            body=ChooseItems(
                student_id=student_id, course_id=course_id, items=items, skill=skill, limit=limit, target=target
            ),
        )

    def patterns(self, student_id: str, *, course_id: str | None = None) -> StudentPatterns:
        """Ask what a tutor would notice in a student's history, and where the student is stuck.

        The patterns that a tutor would notice in a student's history, with their evidence, and the open struggles.
        """
        return self._call(calls.PATTERNS, body=OfStudent(student_id=student_id, course_id=course_id))

    def badges(self, student_id: str) -> BadgeList:
        """List a student's badges, with the link of each.

        A student's badges, with the link of each, by which anybody may see and verify it.
        """
        return self._call(calls.BADGES, path=(student_id,))

    def set_badge_name(
        self, student_id: str, badge_id: str, shown: bool, *, idempotency_key: str | None = None
    ) -> BadgeEntry:
        """Have a badge of your own show your name, or none again.

        Have a badge of your own show your name, as your school has set it, or none again. Only you may.
        """
        return self._call(
            calls.SET_BADGE_NAME, path=(student_id, badge_id), body=ShownName(shown=shown), key=idempotency_key
        )

    def badge_status_list(self, number: int) -> dict[str, Any]:
        """Look up which badges were revoked, in a signed list.

        Which badges were revoked, as a BitstringStatusListCredential: a bit for each, at a place that tells nothing.
        """
        return self._call(calls.BADGE_STATUS_LIST, path=(str(number),))

    def badge_svg(self, badge_id: str) -> str:
        """Look at a badge as SVG, with its signed credential baked in.

        The badge's picture, with its signed credential baked in.
        """
        return self._call(calls.BADGE_SVG, path=(badge_id,))

    def badge_png(self, badge_id: str) -> bytes:
        """Look at a badge as PNG, with its signed credential baked in.

        The badge's picture, with its signed credential baked in.
        """
        return self._call(calls.BADGE_PNG, path=(badge_id,))

    def badge_json(self, badge_id: str) -> dict[str, Any]:
        """Read the signed credential of a badge as JSON.

        The badge's signed credential as JSON, whatever the caller accepts.
        """
        return self._call(calls.BADGE_JSON, path=(badge_id,))

    def badge_jwt(self, badge_id: str) -> str:
        """Read the signed credential of a badge as a token.

        The badge's signed credential as a token (VC-JWT), whatever the caller accepts.
        """
        return self._call(calls.BADGE_JWT, path=(badge_id,))

    def badge(self, badge_id: str) -> dict[str, Any]:
        """Read a badge by its link, as a credential or as a page.

        A badge, for whoever has its link: the signed credential for programs, a page for browsers.
        """
        return self._call(calls.BADGE, path=(badge_id,))

    def revoke_badge(self, badge_id: str) -> BadgeEntry:
        """Revoke a badge, which its status list says from then on.

        Revoke a badge: its status list says so from now on, and so does its page. It stays readable.
        """
        return self._call(calls.REVOKE_BADGE, path=(badge_id,))

    def did_document(self) -> dict[str, Any]:
        """Look up the keys that ever signed a badge of this service.

        The DID document of this service (did:web): all keys that ever signed a badge.
        """
        return self._call(calls.DID_DOCUMENT)

    def notes(self, student_id: str) -> NoteList:
        """List the notes of teachers on a student.

        The notes of teachers on a student, those written last first: for their teachers and for admins.
        """
        return self._call(calls.NOTES, path=(student_id,))

    def add_note(
        self, student_id: str, text: str, *, course_id: str | None = None, idempotency_key: str | None = None
    ) -> NoteRecord:
        """Write a note on a student, which their other teachers see.

        Write a note on a student: up to 2,000 characters of plain text, up to 100 notes.

        The student's other teachers see it; the student does not, but has it in the export of their data.
        """
        return self._call(
            calls.ADD_NOTE, path=(student_id,), body=NewNote(text=text, course_id=course_id), key=idempotency_key
        )

    def change_note(
        self, student_id: str, note_id: str, text: str, *, idempotency_key: str | None = None
    ) -> NoteRecord:
        """Change what a note of your own says. The time of its writing stays."""
        return self._call(
            calls.CHANGE_NOTE, path=(student_id, note_id), body=ChangedNote(text=text), key=idempotency_key
        )

    def delete_note(self, student_id: str, note_id: str) -> RemovedNote:
        """Remove a note of your own, or as an admin any.

        Remove a note of your own; an admin may remove any.
        """
        return self._call(calls.DELETE_NOTE, path=(student_id, note_id))

    def health(self) -> Health:
        """Ask whether this process is alive.

        Alive.
        """
        return self._call(calls.HEALTH)

    def ready(self) -> ReadinessReport:
        """Ask whether each server that the service needs answers and takes writes.

        Each dependency with its latency; 503 if one does not answer.
        """
        return self._call(calls.READY)

    def service(self) -> ServiceInfo:
        """Ask for the name, the version and the environment of the service.

        The name, version and environment of the service; a browser is led to the pages.
        """
        return self._call(calls.SERVICE)

    def metrics(self) -> str:
        """Read the metrics in Prometheus's text format.

        The metrics in Prometheus's text format; 404 for calls through a proxy, since they are not for the public.
        """
        return self._call(calls.METRICS)

    def process(
        self,
        intent: str,
        payload: Mapping[str, Any],
        *,
        security_context: SecurityContext | Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Make one of the other calls by its intent, as the sidecar or as the bearer of a token.

        Make the call that the intent stands for, as the sidecar or as the bearer whose token it sends.
        """
        return self._call(
            calls.PROCESS,
            body=ProcessBody(intent=intent, payload=payload, security_context=security_context),
            key=idempotency_key,
        )

    def dapr_subscriptions(self) -> RowList[Subscription]:
        """Ask which topics Dapr should deliver here.

        The topics that Dapr should deliver: none if the log is Kafka, since the worker then reads the topic itself.
        """
        return self._call(calls.DAPR_SUBSCRIPTIONS)

    def dapr_event(self, delivery: object) -> Outcome:
        """Deliver an event as Dapr does, bare or inside a CloudEvent.

        Take an event that Dapr delivers, inside a CloudEvent or bare.
        """
        return self._call(calls.DAPR_EVENT, body=delivery)

    def consent(self, student_id: str) -> Consent:
        """Ask what a student allows, and since when.

        What the student allows, and since when.
        """
        return self._call(calls.CONSENT, path=(student_id,))

    def set_consent(
        self,
        student_id: str,
        *,
        processing: bool | None = None,
        profiling: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Consent:
        """Give or withdraw a student's consent.

        Give or withdraw consent; it holds for what is received from now on.
        """
        return self._call(
            calls.SET_CONSENT,
            path=(student_id,),
            body=ConsentChanged(processing=processing, profiling=profiling),
            key=idempotency_key,
        )

    def erase(self, student_id: str) -> Erasure:
        """Erase a student, and learn what stays elsewhere until when.

        Erase the student; answers what was removed, and what stays elsewhere until when.
        """
        return self._call(calls.ERASE, path=(student_id,))

    def export(self, student_id: str) -> Export:
        """Ask for everything that is held about a student.

        Everything that is held about the student, as one document.
        """
        return self._call(calls.EXPORT, path=(student_id,))

    def audit(
        self,
        student: str | None = None,
        *,
        subject: str | None = None,
        call: str | None = None,
        from_: datetime.datetime | None = None,
        to: datetime.datetime | None = None,
        allowed: bool | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> AuditTrail:
        """Ask who did what to whom, newest first.

        Who did what to whom, newest first; ``from`` is included, ``to`` is not.

        ``iter_audit`` goes through all pages.
        """
        return self._call(
            calls.AUDIT,
            query={
                "student": student,
                "subject": subject,
                "call": call,
                "from": from_,
                "to": to,
                "allowed": allowed,
                "limit": limit,
                "cursor": cursor,
            },
        )

    def iter_audit(
        self,
        student: str | None = None,
        *,
        subject: str | None = None,
        call: str | None = None,
        from_: datetime.datetime | None = None,
        to: datetime.datetime | None = None,
        allowed: bool | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Pages[AuditEntry]:
        """The ``records`` of ``audit``, from page to page; ``cursor`` is where to start."""

        def page(cursor: str | None) -> AuditTrail:
            return self.audit(
                student=student,
                subject=subject,
                call=call,
                from_=from_,
                to=to,
                allowed=allowed,
                limit=limit,
                cursor=cursor,
            )

        return Pages(page, lambda page: page.records, AuditEntry, cursor)

    def set_webhook(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        types: Sequence[WebhookChangeTypes] | None = None,
        description: str | None = None,
        rotate_secret: bool = False,
        active: bool = True,
        idempotency_key: str | None = None,
    ) -> SetWebhook:
        """Set where your school's results are sent, and which.

        Set parts of a webhook: its url, types and description. What is left out stays.

        A new one is answered with its secret, which is never shown again. It counts for what happens from then on, in
        all processes within 2 seconds.
        """
        return self._call(
            calls.SET_WEBHOOK,
            path=(webhook_id,),
            body=WebhookChange(
                url=url, types=types, description=description, rotate_secret=rotate_secret, active=active
            ),
            key=idempotency_key,
        )

    def webhook(self, webhook_id: str) -> WebhookRecord:
        """Ask for a webhook, without its secret.

        A webhook, without its secret.
        """
        return self._call(calls.WEBHOOK, path=(webhook_id,))

    def delete_webhook(self, webhook_id: str) -> RemovedWebhook:
        """Remove a webhook, with all that waits for it.

        Remove a webhook, with all that was sent to it and what waits for it.
        """
        return self._call(calls.DELETE_WEBHOOK, path=(webhook_id,))

    def webhooks(self) -> WebhookList:
        """List your school's webhooks.

        The tenant's webhooks, without their secrets.
        """
        return self._call(calls.WEBHOOKS)

    def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None = None, limit: int = 100, cursor: str | None = None
    ) -> DeliveryList:
        """List what was sent to a webhook, or waits for it.

        What was sent to a webhook or waits for it, newest first: what became of each, and when it is tried again.

        ``iter_deliveries`` goes through all pages.
        """
        return self._call(
            calls.DELIVERIES, path=(webhook_id,), query={"state": state, "limit": limit, "cursor": cursor}
        )

    def iter_deliveries(
        self, webhook_id: str, *, state: DeliveryState | None = None, limit: int = 100, cursor: str | None = None
    ) -> Pages[DeliveryEntry]:
        """The ``deliveries`` of ``deliveries``, from page to page; ``cursor`` is where to start."""

        def page(cursor: str | None) -> DeliveryList:
            return self.deliveries(webhook_id, state=state, limit=limit, cursor=cursor)

        return Pages(page, lambda page: page.deliveries, DeliveryEntry, cursor)

    def resend_delivery(self, webhook_id: str, delivery_id: str) -> DeliveryEntry:
        """Send a message to a webhook again, at once.

        Send a message again under its webhook-id, at once, and with new attempts if it fails.
        """
        return self._call(calls.RESEND_DELIVERY, path=(webhook_id, delivery_id))

    def try_webhook(self, webhook_id: str) -> TriedWebhook:
        """Send a message to a webhook to see whether it arrives.

        Send a message of the type `webhook.test` now and once, and say what the receiver answered.
        """
        return self._call(calls.TRY_WEBHOOK, path=(webhook_id,))
