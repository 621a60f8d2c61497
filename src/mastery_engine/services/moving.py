"""Moving: the evidence under a derived id goes to the student to whom an identity was linked.

The link is in the ledger before anything moves, so every fold knows whose later events are. A document of the derived
id is frozen first, in the place of what it was: a worker that still folds into it loses the race, and reads the link.
Then it is merged into the student's document, which holds the ids of all its events from then on: so whoever does it
again, after a crash or a store's loss of its last seconds, finds nothing to do. The purge removes what was frozen.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial

from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.cohort import Naming
from mastery_engine.domain.consent import erased_at
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.naming import as_in_course
from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.ids import seen_hash
from mastery_engine.domain.merging import Joined, Overlap, anew, frozen, ids_of, merge, overlap, thawed
from mastery_engine.domain.moments import day_of
from mastery_engine.domain.student import NOBODY, DocumentKey, Student, StudentKey
from mastery_engine.domain.transition import apply
from mastery_engine.errors import Unavailable
from mastery_engine.ports.cohorts import CohortStore, Join
from mastery_engine.ports.documents import DocumentChange, DocumentReader, DocumentStore, StoredDocument
from mastery_engine.ports.event_log import EventLog, Record
from mastery_engine.services.badge_owners import BadgeOwners
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.models import Models

logger = logging.getLogger(__name__)

MAX_ROUNDS = 100
PAGE = 500  # derived ids that are looked at in one go
BUSY = "Others keep changing this student's documents: not all evidence was moved. Try again."


class Moving:
    """Moves evidence to whom it belongs, whoever notices that it is due: a profile's change, a fold, a worker."""

    def __init__(
        self,
        documents: DocumentStore,
        reader: DocumentReader,
        cohorts: CohortStore,
        events: EventLog,
        decode: Callable[[Sequence[Record]], Sequence[Logged]],
        consents: Consents,
        courses: Courses,
        models: Models,
        badges: BadgeOwners,
        clock: Clock,
    ) -> None:
        """``decode`` gives the events of records, without those that were refused."""
        self._documents = documents
        self._reader = reader
        self._cohorts = cohorts
        self._events = events
        self._decode = decode
        self._consents = consents
        self._courses = courses
        self._models = models
        self._badges = badges
        self._clock = clock
        self._lock = asyncio.Lock()

    def due(self, keys: Iterable[DocumentKey]) -> set[DocumentKey]:
        """Those of these documents to whose students evidence may have to be moved, as far as this process knows."""
        links = self._consents.links
        return set() if links.is_finished else {key for key in keys if links.unfinished(key.student)}

    async def finish(self, students: Iterable[StudentKey]) -> None:
        """Move what has to be moved to these students. Raises Unavailable."""
        links = self._consents.links
        if links.is_finished:
            return
        due = dict.fromkeys(source for student in students for source in sorted(links.unfinished(student)))
        await self._finish(list(due))

    async def finish_latest(self) -> None:
        """Move what has to be moved to anyone, a page of it: what was linked last comes first. Raises Unavailable."""
        await self._finish(self._consents.links.latest_unfinished(PAGE))

    async def finish_all(self) -> None:
        """Move all that has to be moved. Raises Unavailable."""
        while not self._consents.links.is_finished:
            await self.finish_latest()

    async def _finish(self, sources: Sequence[StudentKey]) -> None:
        async with self._lock:
            for start in range(0, len(sources), PAGE):
                page = sources[start : start + PAGE]
                await self._badges.move(page)
                for source, courses in zip(page, await self._documents.of_students(page), strict=True):
                    if courses:
                        await self.link_in_cohorts(source)
                    for course_id, stored in courses.items():
                        await self._move(DocumentKey(*source, course_id), stored)
                    self._consents.links.finish(source)

    async def link_in_cohorts(self, source: StudentKey) -> None:
        """The student of a derived id is in the cohorts that admins and rosters put the id in. Raises Unavailable."""
        await self._link_in_cohorts(source, await self._cohorts.put_into(source))

    async def _move(self, key: DocumentKey, stored: StoredDocument) -> None:
        """Move what one document holds; it is safe to do again."""
        if not self._consents.is_linked(key):
            await self._remove_erased(key, stored.student)
            return
        theirs = await self._frozen(key, stored)
        if theirs is None:
            return
        owner = self._consents.links.owner(key.student, theirs.received)
        into = DocumentKey(*owner, key.course_id)
        (cold,) = await self._documents.load_cold([key])
        # While it is known who joined by events of their own.
        await self._link_in_cohorts(key.student, theirs.cohorts)
        await self._merge(Joined(theirs, cold), key, into)
        self._reader.forget([key, into])
        await self._cohorts.leave(key.student, theirs.cohorts)

    async def _remove_erased(self, key: DocumentKey, student: Student) -> None:
        """Remove what was under a derived id before it was erased: with the student whose it was."""
        erased = erased_at(self._consents.history(key))
        if student.moved or (erased is not None and student.received <= erased):
            await self._documents.erase(key.student)
            self._reader.forget_students([key.student])

    async def _frozen(self, key: DocumentKey, stored: StoredDocument) -> Student | None:
        """What a document holds that nobody folds into any more; None if it is gone."""
        document: StoredDocument | None = stored
        for _ in range(MAX_ROUNDS):
            if document is None:
                return None
            if document.student.moved:
                return thawed(document.student)
            change = DocumentChange(key, document.version, frozen(document.student, self._clock()))
            if (await self._documents.commit([change]))[0]:
                return document.student
            (document,) = await self._documents.load([key])
        raise Unavailable(BUSY)

    async def _merge(self, theirs: Joined, source: DocumentKey, into: DocumentKey) -> None:
        """Merge a document into the student's."""
        for _ in range(MAX_ROUNDS):
            (stored,) = await self._documents.load([into])
            (cold,) = await self._documents.load_cold([into])
            ours = Joined(NOBODY if stored is None else stored.student, cold)
            which = overlap(ours, theirs)
            if which is Overlap.ALL:
                return
            joined = await self._joined(ours, theirs, which, source, into)
            received = joined.student.received
            first = Naming(received, into.course_id)  # as late as any: who joined before has named the first event
            await self._cohorts.join(
                [Join(into.student, cohort_id, day_of(received), first) for cohort_id in joined.student.cohorts]
            )
            change = DocumentChange(into, stored.version if stored else 0, joined.student, joined.cold)
            if (await self._documents.commit([change]))[0]:
                return
        raise Unavailable(BUSY)

    async def _joined(
        self, ours: Joined, theirs: Joined, which: Overlap, source: DocumentKey, into: DocumentKey
    ) -> Joined:
        """Both documents as one.

        Where the log finds a student's events, they are folded anew: that is what a replay makes of them. Where it must
        be read wholly for them, that is done only if some are in both documents, so that none counts twice.
        """
        setup = (await self._courses.of_many([into.course], self._clock()))[into.course]
        profiled = self._consents.profiling([into])[0]
        is_needed = which is Overlap.SOME
        held = ids_of(ours) | ids_of(theirs)
        found = await self._logged(into, held, scan=is_needed)
        if found is not None:
            fold = partial(self._folded, setup=setup, profiled=profiled)
            joined = anew(ours, theirs, await asyncio.to_thread(fold, found), setup.rules)
            if joined is not None:
                return joined
            if is_needed:
                known = ids_of(ours)
                new = [one for one in found if seen_hash(one.event.event_id) not in known]
                rest = Joined(await asyncio.to_thread(fold, new), {})
                if ids_of(rest) >= ids_of(theirs) - known:
                    return merge(ours, rest, setup.rules, profiled=profiled)
        if is_needed:
            logger.error(
                "events were under two ids of a person, and the log no longer has them: what they are in quiz and "
                "quality counts twice",
                extra={"student": self._consents.pseudonym(source), "course_id": into.course_id},
            )
        return merge(ours, theirs, setup.rules, profiled=profiled)

    async def _logged(self, into: DocumentKey, held: Set[bytes], *, scan: bool) -> list[Logged] | None:
        """The events with these hashes of a student in a course, under all their ids, as the student's, as they came.

        None where only a reading of the whole log would find them, and it is not to be read. What the log has beside
        them is still to be folded, and its results to be sent.
        """
        student = into.student
        records: list[Record] = []
        for key in (student, *sorted(self._consents.links.sources(student))):
            own = await self._events.events_of(key, scan=scan)
            if own is None:
                return None
            records += own
        records.sort(key=lambda record: (record.received, record.partition, record.offset))
        events = [
            logged
            for logged in self._decode(records)
            if seen_hash(logged.event.event_id) in held and self._consents.owner_of(logged.event) == into
        ]
        return list(self._consents.filter_by_consent({into: events})[into])

    def _folded(self, events: Sequence[Logged], *, setup: CourseSetup, profiled: bool) -> Student:
        """The document that these events make; that of nobody if one of them cannot be folded."""
        try:
            return apply(
                NOBODY,
                as_in_course(events, setup.skills_of_items, setup.curriculum.named),
                events[-1].event.received if events else 0,
                setup.rules,
                skills=self._models.skills,
                answers=self._models.answers,
                curriculum=setup.curriculum,
                profiled=profiled,
            ).student
        except Exception:
            logger.exception("events of a student cannot be folded anew, and documents are merged")
            return NOBODY

    async def _link_in_cohorts(self, source: StudentKey, cohort_ids: Iterable[str]) -> None:
        """What an admin or a roster said of the derived id is said of the student."""
        owner = self._consents.links.owner(source)
        for cohort_id in cohort_ids if owner != source else ():
            for _ in range(MAX_ROUNDS):
                roster = await self._cohorts.roster(source.tenant, cohort_id, since=0)
                after = roster.cohort.with_linked(source.student_id, owner.student_id, roster.joined)
                if after == roster.cohort or await self._cohorts.put(source.tenant, cohort_id, roster.version, after):
                    break
