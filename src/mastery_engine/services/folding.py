"""Folding: load, fold, commit. All events reach documents this way, by the worker and by calls that fold at once."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Container, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from operator import itemgetter
from time import perf_counter
from typing import Any

import msgspec

from mastery_engine.domain.cohorts.cohort import Naming
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.courses.naming import as_in_course
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.moments import DAY, Micros, day_of
from mastery_engine.domain.people.identity import DERIVED
from mastery_engine.domain.results import Pending
from mastery_engine.domain.student import NOBODY, DocumentKey, Student, document_key_of, pack, unpack
from mastery_engine.domain.transition import Transition, Turn, apply, apply_all, needs_cold
from mastery_engine.errors import Unavailable
from mastery_engine.ports.cohorts import CohortStore, Join
from mastery_engine.ports.documents import DocumentChange, DocumentReader, DocumentStore, PackedDocument
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.erasing import Erasing
from mastery_engine.services.known_cohorts import KnownCohorts
from mastery_engine.services.models import Models
from mastery_engine.services.moving import Moving
from mastery_engine.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

MAX_ROUNDS = 100
STUDENTS_AT_ONCE = 2_000  # in one round trip
# In memory a document takes several times its bytes, before the fold and after it: so many stay in a processor's own
# cache from being unpacked to being packed.
STUDENTS_IN_CACHE = 128
PATIENCE_S = 0.5
COURSE = itemgetter(0, 2)  # tenant and course of a document's key


class Folded(msgspec.Struct, frozen=True):
    """What a fold gave: documents, results, the events that failed, and the events that consent does not allow.

    ``students`` has a document for each student and course that the events named, those that they belong to: what came
    under a derived id is its student's. It is empty where the fold was to keep none. ``outbox`` are the results in
    these documents that may not be published yet.
    """

    students: dict[DocumentKey, Student]
    failed: list[tuple[Logged, Exception]]
    refused: list[Logged]
    outbox: list[Pending]


class FoldOutcome(msgspec.Struct, frozen=True, gc=False):
    """What is left of one document's fold once it is packed; ``student`` where documents are kept."""

    cohorts: tuple[str, ...]
    new: tuple[LearningEvent, ...]
    outbox: tuple[Pending, ...]
    student: Student | None


class FoldRound(msgspec.Struct, frozen=True):
    """What is the same for all documents that are folded at once, and what has become of them."""

    at: Micros
    settled: Mapping[int, int]
    is_busy: bool
    keeps_students: bool
    held: Mapping[DocumentKey, PackedDocument | None]
    events: Mapping[DocumentKey, Sequence[Logged]]
    setups: Mapping[CourseKey, CourseSetup]
    outcomes: dict[DocumentKey, FoldOutcome]
    changes: list[DocumentChange]
    joins: list[Join]
    failed: list[tuple[Logged, Exception]]


class Folding:
    """Folds batches of events into the store's documents."""

    def __init__(
        self,
        documents: DocumentStore,
        reader: DocumentReader,
        cohorts: CohortStore,
        known_cohorts: KnownCohorts,
        consents: Consents,
        erasing: Erasing,
        moving: Moving,
        courses: Courses,
        models: Models,
        metrics: Metrics,
    ) -> None:
        self._documents = documents
        self._reader = reader
        self._cohorts = cohorts
        self._known_cohorts = known_cohorts
        self._consents = consents
        self._erasing = erasing
        self._moving = moving
        self._courses = courses
        self._models = models
        self._metrics = metrics
        self._last_turn: dict[DocumentKey, asyncio.Future[None]] = {}

    async def fold(
        self,
        events: Sequence[Logged],
        at: Micros,
        settled: Mapping[int, int] | None = None,
        *,
        keeps_students: bool = True,
    ) -> Folded:
        """Fold events, in order, at a moment. After a lost race for a document it is read and folded again.

        ``settled`` gives for each partition the offset below which all results were published. Whoever folds many may
        do without their documents, by ``keeps_students``. Raises Unavailable.
        """
        named: dict[str, dict[str, dict[str, list[Logged]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for logged in events:
            event = logged.event
            named[event.tenant][event.course_id][event.student_id].append(logged)
        pending = {
            DocumentKey(tenant, student_id, course_id): own
            for tenant, courses in named.items()
            for course_id, students in courses.items()
            for student_id, own in students.items()
        }
        folded, keys = Folded({}, [], [], []), list(pending)
        is_busy = len(keys) > STUDENTS_AT_ONCE
        for start in range(0, len(keys), STUDENTS_AT_ONCE):
            own = {key: pending[key] for key in keys[start : start + STUDENTS_AT_ONCE]}
            async with self._turn(list(own)):
                await self._fold(own, at, settled or {}, folded, is_busy=is_busy, keeps_students=keeps_students)
        return folded

    async def _fold(
        self,
        pending: Mapping[DocumentKey, Sequence[Logged]],
        at: Micros,
        settled: Mapping[int, int],
        folded: Folded,
        *,
        is_busy: bool,
        keeps_students: bool,
    ) -> None:
        for _ in range(MAX_ROUNDS):
            pending = await self._round(pending, at, settled, folded, is_busy=is_busy, keeps_students=keeps_students)
            if not pending:
                return
            self._metrics.conflicts.inc(len(pending))
        raise Unavailable("Too many writers change the same students at once: not all events were folded. Try again.")

    @asynccontextmanager
    async def _turn(self, keys: Sequence[DocumentKey]) -> AsyncIterator[None]:
        """Wait for earlier folds of the same students in this process, for at most half a second.

        This only saves work: the worker and a call that folds at once meet the same event, and would fold it twice.
        The versions of the documents keep both correct. A call waits for the whole batch that has its student.
        """
        before = {self._last_turn[key] for key in keys if key in self._last_turn}
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last_turn |= dict.fromkeys(keys, turn)
        try:
            if before:
                await asyncio.wait(before, timeout=PATIENCE_S)
            yield
        finally:
            turn.set_result(None)
            for key in keys:
                if self._last_turn.get(key) is turn:
                    del self._last_turn[key]

    async def _round(
        self,
        pending: Mapping[DocumentKey, Sequence[Logged]],
        at: Micros,
        settled: Mapping[int, int],
        folded: Folded,
        *,
        is_busy: bool,
        keeps_students: bool,
    ) -> dict[DocumentKey, Sequence[Logged]]:
        """Fold the pending events that count; returns those of students whose commit lost a race, to be tried again.

        Consent is read after the documents. If an erasure is not known by then, either the commit fails since the
        document is gone, or the erasure is seen when consent is read again right after the commit. So it is with a link
        of a derived id; and nothing is folded into a student's document before all that was linked to them is in it.
        """
        pending, sent = self._consents.by_owner(pending), pending
        derived = {key: own for key, own in pending.items() if _is_under_a_derived_id(key, own, sent)}
        await self._moving.finish(key.student for key in pending)
        stored = dict(zip(pending, await self._documents.load_packed(list(pending)), strict=True))
        await self._consents.refresh()
        late = self._consents.misplaced(derived) | self._moving.due(pending)
        again = {key: pending[key] for key in late}
        if late:
            pending = {key: own for key, own in pending.items() if key not in late}
        erased = self._consents.erased(pending)
        allowed = self._consents.filter_by_consent(pending)
        await self._erasing.remove(
            {key.student for key in erased if stored[key] is not None and self._consents.state(key).erased}
        )
        held = {key: document for key, document in stored.items() if key not in late and allowed[key]}
        courses = [CourseKey(*course) for course in set(map(COURSE, held))]
        setups = await self._courses.of_many(courses, at)
        await self._courses.note(courses)
        current = FoldRound(at, settled, is_busy, keeps_students, held, allowed, setups, {}, [], [], [])
        await self._fold_in_parts(current)
        done, changes = current.outcomes, current.changes
        await self._join(current.joins)
        lost = await self._commit(changes) if changes else set()
        if changes or current.joins:
            lost |= await self._erased_meanwhile({key: one.cohorts for key, one in done.items()}, erased)
            lost |= self._consents.misplaced({key: own for key, own in derived.items() if key in held})
            lost |= self._moving.due(held)
        new: list[LearningEvent] = []
        for key, outcome in done.items():
            if key not in lost:
                if outcome.student is not None:
                    folded.students[key] = outcome.student
                folded.outbox.extend(outcome.outbox)
                new += outcome.new
        self._metrics.count_folded(new)
        for key, events in pending.items():
            if key not in lost and len(allowed[key]) < len(events):
                positions = {(logged.partition, logged.offset) for logged in allowed[key]}
                folded.refused.extend(event for event in events if (event.partition, event.offset) not in positions)
        folded.failed.extend(
            (logged, error) for logged, error in current.failed if document_key_of(logged.event) not in lost
        )
        again |= {key: own for key, own in pending.items() if key in lost}
        return _as_sent(again, derived) if derived else again

    async def _fold_in_parts(self, current: FoldRound) -> None:
        """Fold what is held, as many students at a time as a processor's cache holds; cold ids come for all at once."""
        started = perf_counter()
        keys = list(current.held)
        cooled = [
            key
            for start in range(0, len(keys), STUDENTS_IN_CACHE)
            for key in self._fold_part(current, keys[start : start + STUDENTS_IN_CACHE])
        ]
        if cooled:
            cold = dict(zip(cooled, await self._documents.load_cold(cooled), strict=True))
            for start in range(0, len(cooled), STUDENTS_IN_CACHE):
                self._fold_part(current, cooled[start : start + STUDENTS_IN_CACHE], cold)
        self._metrics.fold_seconds.observe(perf_counter() - started)

    def _fold_part(
        self, current: FoldRound, keys: Sequence[DocumentKey], cold: Mapping[DocumentKey, IdsByDay] | None = None
    ) -> list[DocumentKey]:
        """Unpack, fold and pack; returns those that were left out because their cold ids are needed and not given."""
        batch: list[Turn] = []
        left_out: list[DocumentKey] = []
        for key in keys:
            document, events = current.held[key], current.events[key]
            student = NOBODY if document is None else unpack(document.packed)
            if cold is None and document is not None and needs_cold(student, events, is_busy=current.is_busy):
                left_out.append(key)
            else:
                batch.append((student, events, None if cold is None else cold[key]))
        if left_out:
            out = frozenset(left_out)
            keys = [key for key in keys if key not in out]
        done = self._apply_by_course(current, keys, batch)
        for key, (before, events, _), after in zip(keys, batch, done, strict=True):
            student, document = after.student, current.held[key]
            kept = student if current.keeps_students else None
            outbox = student.outbox if after.outbox is None else after.outbox
            current.outcomes[key] = FoldOutcome(student.cohorts, after.new, outbox, kept)
            if student is not before:
                version = 0 if document is None else document.version
                has_cold = after.cold is not None or bool(student.seen.cold_filter)
                current.changes.append(DocumentChange(key, version, pack(student), after.cold, has_cold))
            if student.cohorts:
                current.joins.extend(_joins(key, before, events, student))
        return left_out

    async def _join(self, joins: Sequence[Join]) -> None:
        """Record the cohorts that events name, before the documents are committed: so a crash loses no membership."""
        if not joins:
            return
        named = {(join.key.tenant, join.cohort_id) for join in joins}
        await self._known_cohorts.note(named, max(join.day for join in joins) * DAY)
        refused = await self._cohorts.join(joins)
        if refused:
            self._metrics.joins_refused.inc(len(refused))
            logger.warning(
                "cohorts are full: %s students did not join them by events",
                len(refused),
                extra={"code": "COHORT_FULL"},
            )

    async def _erased_meanwhile(
        self, cohorts: Mapping[DocumentKey, Sequence[str]], erased: Mapping[DocumentKey, Micros]
    ) -> set[DocumentKey]:
        """The students erased during the fold: their documents are removed, and what still counts is folded again.

        They also leave the cohorts, which this fold may have joined after the erasure had removed them.
        """
        await self._consents.refresh()
        late = {key for key, at in self._consents.erased(cohorts).items() if erased.get(key) != at}
        await self._erasing.remove({key.student for key in late})
        for key in late:
            await self._cohorts.leave(key.student, cohorts[key])
        return late

    async def _commit(self, changes: Sequence[DocumentChange]) -> set[DocumentKey]:
        """Write the documents; returns the students for whom another writer was first."""
        started = perf_counter()
        won = await self._documents.commit(changes)
        self._reader.forget([change.key for change in changes])
        self._metrics.commit_seconds.observe(perf_counter() - started)
        return {change.key for change, took in zip(changes, won, strict=True) if not took}

    def _apply_by_course(
        self, current: FoldRound, keys: Sequence[DocumentKey], batch: Sequence[Turn]
    ) -> list[Transition]:
        """As ``_apply``, once for each course: the turns of one lie side by side."""
        profiled = self._consents.profiling(keys)
        done: list[Transition] = []
        for course, own in groupby(keys, key=COURSE):
            part = slice(len(done), len(done) + len(list(own)))
            done += self._apply(current, batch[part], profiled[part], current.setups[CourseKey(*course)])
        return done

    def _apply(
        self, current: FoldRound, batch: Sequence[Turn], profiled: Sequence[bool], setup: CourseSetup
    ) -> list[Transition]:
        """Fold a batch of one course. An event that raises an error is left out alone, to become a dead letter."""
        given: dict[str, Any] = {
            "at": current.at,
            "rules": setup.rules,
            "skills": self._models.skills,
            "answers": self._models.answers,
            "settled": current.settled,
            "curriculum": setup.curriculum,
            "is_busy": current.is_busy,
        }
        items, named = setup.skills_of_items, setup.curriculum.named
        if items or named:
            batch = [(student, as_in_course(events, items, named), cold) for student, events, cold in batch]
        try:
            return apply_all(batch, **given, profiled=profiled)
        except Exception:
            logger.exception("an event made the fold fail: each event is folded on its own")
        done: list[Transition] = []
        for (student, events, cold), may in zip(batch, profiled, strict=True):
            sound: list[Logged] = []
            for logged in events:
                try:
                    apply(student, [*sound, logged], cold=cold, profiled=may, **given)
                    sound.append(logged)
                except Exception as error:
                    logger.exception("an event cannot be folded", extra={"event_id": logged.event.event_id})
                    current.failed.append((logged, error))
            done.append(apply(student, sound, cold=cold, profiled=may, **given) if sound else Transition(student, ()))
        return done


def _joins(key: DocumentKey, before: Student, events: Sequence[Logged], after: Student) -> list[Join]:
    """The cohorts to record: new ones, known ones once a day, and those of repeats.

    Of a repeat the store may have lost the first time.
    """
    day = day_of(after.received)
    if not (after is before or after.cohorts != before.cohorts or day > day_of(before.received)):
        return []
    return [Join(key.student, one, day, _first_naming(one, key, events, after)) for one in after.cohorts]


def _first_naming(cohort_id: str, key: DocumentKey, events: Sequence[Logged], after: Student) -> Naming:
    """The first of these events that names a cohort; none where an earlier event of the document did."""
    named = (logged.event.received for logged in events if logged.event.metadata.get("cohort_id") == cohort_id)
    return Naming(min(named, default=after.received), key.course_id)


def _is_under_a_derived_id(
    key: DocumentKey, events: Sequence[Logged], sent: Mapping[DocumentKey, Sequence[Logged]]
) -> bool:
    """Whether some of a document's events came under an id that was linked, or might be; ``sent`` is as they came."""
    return key.student_id.startswith(DERIVED) or events is not sent.get(key)


def _as_sent(
    events: Mapping[DocumentKey, Sequence[Logged]], derived: Container[DocumentKey]
) -> dict[DocumentKey, Sequence[Logged]]:
    """The events by the ids under which they came: whose they are may be another's by the next round."""
    sent: dict[DocumentKey, list[Logged]] = {}
    for key, own in events.items():
        for logged in own if key in derived else ():
            sent.setdefault(document_key_of(logged.event), []).append(logged)
    return {key: own for key, own in events.items() if key not in derived} | sent
