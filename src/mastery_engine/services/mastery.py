"""``Mastery``: every call of the engine, whichever face it comes through.

Each method checks what the caller may do, leaves an audit record, and answers with a type of ``answers``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from functools import partial

import msgspec

from mastery_engine.auth.access import Act, Caller, check_act, check_student, may_record
from mastery_engine.domain.advice.guidance import NO_GUIDANCE, Guidance
from mastery_engine.domain.courses.curriculum import NO_CURRICULUM, Curriculum
from mastery_engine.domain.events.envelope import peek, unknown_fields
from mastery_engine.domain.events.event import LearningEvent, Logged, check_times, decode
from mastery_engine.domain.events.kinds import CalculationRequested, ComponentValues
from mastery_engine.domain.events.seen import holds
from mastery_engine.domain.evidence.history import Point, average, trend
from mastery_engine.domain.evidence.periods import Aggregation, periods
from mastery_engine.domain.evidence.score import MasteryScore, components, mastery, score_of
from mastery_engine.domain.ids import derived_id, id_hash
from mastery_engine.domain.moments import Day, day_of, day_of_date, iso_date, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.student import NOBODY, Student, StudentKey, key_of
from mastery_engine.errors import Conflict, Forbidden, InvalidInput, MasteryError, NotFound, Unavailable
from mastery_engine.ports.clock import Clock
from mastery_engine.ports.documents import DocumentCache, Store
from mastery_engine.ports.event_log import EventLog
from mastery_engine.ports.result_cache import Kept, KeptInMemory
from mastery_engine.responses.advice import path_ahead
from mastery_engine.responses.scores import (
    Calculated,
    CurrentMastery,
    EventStatus,
    HistoryPoint,
    IngestAnswer,
    MasteryHistory,
    Problem,
    Receipt,
    StudentMastery,
    current_mastery,
    history_summary,
)
from mastery_engine.services.audit import Trail
from mastery_engine.services.consents import REFUSED, Consents
from mastery_engine.services.folding import Folding
from mastery_engine.services.wording import Wording
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.tracing import Tracing, carried

NOTHING_GIVEN = ComponentValues()
QUERY_S = 2.0
CONSENT_S = 5.0


@asynccontextmanager
async def _promptly(whom: str, seconds: float) -> AsyncIterator[None]:
    """A call that store or log keep waiting is answered all the same. Raises Unavailable."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unavailable(f"The {whom} has not answered within {seconds:g} s: ask again later.") from None


def check_same(event_id: str, given: ComponentValues, student: Student) -> None:
    """Raises Conflict where the event of this id, which came before, set other values than those given now."""
    for value, known in zip(given.values(), student.evidence.direct, strict=True):
        if known is not None and known.event_id == event_id and known.value != value:
            raise Conflict(
                "This Idempotency-Key was used for another calculation: take a new one.", field="Idempotency-Key"
            )


class Mastery:
    """The engine. ``new_id`` makes an id that nobody has yet."""

    def __init__(
        self,
        store: Store,
        log: EventLog,
        rules: Rules,
        clock: Clock,
        metrics: Metrics,
        new_id: Callable[[], str],
        documents: DocumentCache | None = None,
        kept: Kept | None = None,
        skill_model: SkillModel = DEFAULT_SKILLS,
        curriculum: Curriculum = NO_CURRICULUM,
        tracing: Tracing | None = None,
        consents: Consents | None = None,
    ) -> None:
        """``documents``, where they are given, answer queries; folds load from the store.

        ``kept`` holds what costs more than a read, for all replicas; of this process alone where it is not given.
        Without ``consents`` they are kept in the log under a key that anybody may know: for tests and benches alone.
        """
        self.store = store
        self.log = log
        self.rules = rules
        self.clock = clock
        self.metrics = metrics
        self.new_id = new_id
        self.kept: Kept = kept or KeptInMemory(clock)
        self._documents = documents
        self.skill_model = skill_model
        self.curriculum = curriculum
        self.wording = Wording(curriculum)
        self.tracing = tracing or Tracing()
        self.consents = consents or Consents(log, clock, b"", default=True)
        self.folding = Folding(store, rules, clock, metrics, self.consents, documents, skill_model, curriculum)
        self.trail = Trail(store, clock, self.consents.name)

    def take(self, model: SkillModel) -> None:
        """Trace skills by another model from now on."""
        self.skill_model = self.folding.skills = model

    async def close(self) -> None:
        """Write what waits, and let go of store and log."""
        await self.trail.flush()
        await self.log.close()
        await self.kept.close()
        if self._documents is not None:
            await self._documents.close()
        await self.store.close()
        self.tracing.close()

    async def ingest(
        self,
        caller: Caller,
        values: Sequence[bytes],
        key: str | None = None,
        *,
        call: str = "ingest",
        event_id: str | None = None,
    ) -> IngestAnswer:
        """Take events, each a JSON document, each accepted or refused on its own; the accepted are durable on return.

        ``key`` is the caller's Idempotency-Key: events without an id get the same one in the same call again.
        ``event_id`` is the id of one event that has none of its own, where its messenger gave it one.
        """
        self.check_act(caller, Act.RECORD, "ingest")
        receipts: list[Receipt] = []
        events: list[LearningEvent] = []
        async with _promptly("log", CONSENT_S):  # who waits for it waits behind all others who do
            await self.consents.refresh()
        for place, value in enumerate(values):
            try:
                made = partial(self.derived, caller, call, key, place) if event_id is None else partial(str, event_id)
                event = self._event(caller, value, made)
            except MasteryError as error:
                self.metrics.events.labels("unknown", "refused").inc()
                receipts.append(Receipt(peek(value)[1], "refused", Problem(error.code, error.message, error.field)))
            else:
                self.metrics.events.labels(event.event_type, "accepted").inc()
                events.append(event)
                receipts.append(Receipt(event.event_id, "queued", ignored=unknown_fields(value) or None))
        await self.submit(caller, events, "ingest")
        return IngestAnswer(len(events), len(values) - len(events), receipts)

    def _event(self, caller: Caller, value: bytes, event_id: Callable[[], str]) -> LearningEvent:
        event = decode(value, received=self.clock(), tenant=caller.tenant, event_id=event_id)
        self.consents.check_known_processing(key_of(event))
        return check_times(event, retention_days=self.rules.retention_days)

    def derived(self, caller: Caller, call: str, key: str | None, place: int) -> str:
        """The id of an event that came without one: the same for the same Idempotency-Key, caller, call and place."""
        if key is None:
            return self.new_id()
        return derived_id("idempotency-key", caller.tenant, caller.subject, call, str(place), key)

    async def submit(self, caller: Caller, events: Sequence[LearningEvent], call: str) -> list[Logged]:
        """Put the change on record, then the events into the log; both are durable on return."""
        if not events:
            return []
        await self.trail.write(caller, call, {event.student_id: None for event in events})
        with self.tracing.step("append"):
            positions = await self.log.append(events, carried() or caller.traceparent)
            self.tracing.remember(positions)
        return [
            Logged(event, position.partition, position.offset)
            for event, position in zip(events, positions, strict=True)
        ]

    async def calculate(
        self,
        caller: Caller,
        student_id: str,
        given: ComponentValues = NOTHING_GIVEN,
        *,
        record: bool | None = None,
        key: str | None = None,
    ) -> Calculated:
        """The score with the components given, the others from the evidence; recorded by default where one may.

        Raises NotFound where nothing is given and nothing is known.
        """
        record = may_record(caller) if record is None else record
        self.check_student(caller, Act.RECORD if record else Act.TRY, student_id, "calculate", given=given)
        if given == NOTHING_GIVEN:
            student = await self.known(caller, student_id)
        elif record:
            event_id = self.derived(caller, "calculate", key, 0)
            student = (await self.record(caller, [(event_id, student_id, given)]))[0]
            check_same(event_id, given, student)
        else:
            student = (await self.students(caller, [student_id]))[0]
        shown = self.with_given(student, given)
        guidance = await self._shown_guidance(caller, student_id, student)
        advice = self.wording(StudentKey(caller.tenant, student_id), guidance, self.clock())
        return Calculated(student_id, msgspec.structs.replace(shown, recommendations=advice))

    async def _shown_guidance(self, caller: Caller, student_id: str, student: Student) -> Guidance:
        """The student's advice; none where they allow no profile."""
        known = await self.consents.refresh_lately()
        allowed = known and self.consents.state(StudentKey(caller.tenant, student_id)).profiling
        return student.guidance if allowed else NO_GUIDANCE

    async def record(self, caller: Caller, rows: Sequence[tuple[str, str, ComponentValues]]) -> list[Student]:
        """Log calculation requests (event id, student, components) and fold them at once; the documents after it."""
        async with _promptly("log", CONSENT_S):
            await self.consents.check_processing([StudentKey(caller.tenant, student_id) for _, student_id, _ in rows])
        now = self.clock()
        events = [
            LearningEvent(
                event_id, student_id, now + place, now, CalculationRequested(given), caller.tenant, "mastery-engine"
            )
            for place, (event_id, student_id, given) in enumerate(rows)  # of two for one student the later row holds
        ]
        logged = await self.submit(caller, events, "calculate")
        with self.tracing.step("fold"):
            folded = await self.folding.fold(logged)
        for _, error in folded.failed:
            raise error
        if folded.refused:
            raise Forbidden(REFUSED, field="student_id")  # it was withdrawn meanwhile
        return [folded.students[StudentKey(caller.tenant, student_id)] for _, student_id, _ in rows]

    def with_given(self, student: Student, given: ComponentValues) -> CurrentMastery:
        """The score of a student, the components given standing for what the evidence says."""
        now = self.clock()
        known = components(student.evidence, now, self.rules)
        completion, quiz, quality, consistency = (
            found if value is None else value for value, found in zip(given.values(), known, strict=True)
        )
        score = score_of((completion, quiz, quality, consistency), self.rules)
        return current_mastery(score, rfc3339(now), self.rules)

    async def query(
        self, caller: Caller, student_id: str, *, on: date | None = None, with_components: bool = True
    ) -> StudentMastery:
        """A student's mastery now, or as it was known on a day: the newest daily point on or before it.

        Raises NotFound where the student, or a point so early, is not known.
        """
        self.check_student(caller, Act.READ, student_id, "query")
        student = await self.known(caller, student_id)
        now = self.clock()
        today = day_of(now) if on is None else day_of_date(on)
        scores = self.scores(student, last=today)
        if on is None:
            score = mastery(student.evidence, now, self.rules)
            guidance = await self._shown_guidance(caller, student_id, student)
            advice = self.wording(StudentKey(caller.tenant, student_id), guidance, now)
            shown = current_mastery(score, rfc3339(now), self.rules, with_components=with_components, advice=advice)
            updated, ahead = rfc3339(student.updated), path_ahead(guidance.path)
        else:
            points = self.points(student, last=today)
            if not points:
                raise NotFound(f"Nothing is known of this student on or before {on}.", field="date")
            updated, ahead = iso_date(points[-1].day), None
            shown = current_mastery(self._score_of(points[-1]), updated, self.rules, with_components=with_components)
        mean = average(scores)
        return StudentMastery(
            student_id, shown, None if mean is None else round(mean, 4), trend(scores, today), updated, ahead
        )

    def _score_of(self, point: Point) -> MasteryScore:
        """A daily point as a score; its level is the one that was known then."""
        rank = min(point.rank, len(self.rules.levels) - 1)
        coverage = score_of(point.components, self.rules).coverage
        return MasteryScore(point.score, self.rules.levels[rank].name, rank, point.components, coverage)

    async def history(
        self,
        caller: Caller,
        student_id: str,
        start: date | None = None,
        end: date | None = None,
        aggregation: Aggregation = "daily",
    ) -> MasteryHistory:
        """The scores of a range of days (both ends included; the whole retention where left out)."""
        self.check_student(caller, Act.READ, student_id, "mastery-history")
        today = day_of(self.clock())
        first = today - self.rules.retention_days + 1 if start is None else day_of_date(start)
        last = today if end is None else day_of_date(end)
        if last < first:
            raise InvalidInput("end_date lies before start_date.", field="end_date")
        student = await self.known(caller, student_id)
        points = self.points(student, first=first, last=last)
        shown = [
            HistoryPoint(iso_date(period.start), round(period.score, 4), period.level)
            for period in periods(points, aggregation, self.rules)
        ]
        return MasteryHistory(student_id, iso_date(first), iso_date(last), aggregation, shown, history_summary(points))

    async def event_status(self, caller: Caller, student_id: str, event_id: str) -> EventStatus:
        """Whether an event has been folded, dead-lettered, or neither so far."""
        self.check_student(caller, Act.READ, student_id, "event-status")
        key = StudentKey(caller.tenant, student_id)
        async with _promptly("store", QUERY_S):
            if await self._has_seen(key, id_hash(event_id)):
                return EventStatus(event_id, "processed")
            refusal = await self.store.refusal(key, event_id)
        if refusal is not None:
            return EventStatus(event_id, "dead_lettered", Problem(refusal.code, refusal.message))
        return EventStatus(event_id, "not_processed")

    async def _has_seen(self, key: StudentKey, known_by: bytes) -> bool:
        (held,) = await self.store.load([key])
        if held is None:
            return False
        seen = held.student.seen
        return seen.holds(known_by) or (
            seen.may_be_cold(known_by) and holds((await self.store.load_cold([key]))[0], known_by)
        )

    async def check_profiling(self, tenant: str, student_id: str) -> None:
        """Raises Conflict, with the reason, where no profile may be made of this student."""
        await self.consents.check_profiling(StudentKey(tenant, student_id))

    def check_act(self, caller: Caller, act: Act, call: str) -> None:
        """Raises Forbidden, on record, where the caller's role may do this to nobody."""
        try:
            check_act(caller, act)
        except Forbidden:
            self.trail.note(caller, call, None, allowed=False)
            raise

    def check_student(
        self,
        caller: Caller,
        act: Act,
        student_id: str,
        call: str,
        *,
        given: ComponentValues = NOTHING_GIVEN,
        changes: bool = False,
    ) -> None:
        """Raises Forbidden where the caller may not do this to this student; on record either way.

        What records the components ``given``, or ``changes`` something else, goes on record with the change itself.
        """
        try:
            check_student(caller, act, student_id)
        except Forbidden:
            self.trail.note(caller, call, student_id, allowed=False)
            raise
        if not changes and (act is not Act.RECORD or given == NOTHING_GIVEN):
            self.trail.note(caller, call, student_id, allowed=True)

    async def known(self, caller: Caller, student_id: str) -> Student:
        """The student's document. Raises NotFound where nothing counts any more, or ever did."""
        (student,) = await self.students(caller, [student_id])
        if not student.is_known(self.clock(), self.rules):
            raise NotFound("Nothing is known of this student yet.", field="student_id")
        return student

    async def students(self, caller: Caller, student_ids: Sequence[str]) -> list[Student]:
        keys = [StudentKey(caller.tenant, student_id) for student_id in student_ids]
        if self._documents is None:
            held = await self.store.load(keys)
        else:
            async with _promptly("store", QUERY_S):
                held = await self._documents.load(keys)
        return [NOBODY if one is None else one.student for one in held]

    def points(self, student: Student, *, first: Day = 0, last: Day) -> list[Point]:
        """The daily points kept in a range of days."""
        return list(student.history.points(first=max(first, self._floor()), last=last))

    def scores(self, student: Student, *, first: Day = 0, last: Day) -> list[tuple[Day, float]]:
        """The same as days and scores alone."""
        return student.history.scores(first=max(first, self._floor()), last=last)

    def _floor(self) -> Day:
        return day_of(self.clock()) - self.rules.retention_days + 1
