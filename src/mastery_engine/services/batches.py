"""Batches of calculations: small ones are answered at once, large ones are processed after their acknowledgement."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import NamedTuple, TypeAlias

import msgspec

from mastery_engine.auth.access import Act, Caller, may_record
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.course_key import course_named
from mastery_engine.domain.events.envelope import StudentId, peek
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.faults import malformed
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey, Student, StudentKey
from mastery_engine.errors import CourseRequired, Forbidden, InvalidInput, MasteryError, NotFound, Unavailable
from mastery_engine.ports.jobs import BatchJob, JobPriority, JobStore
from mastery_engine.responses.batches import BatchFailure, BatchResponse, BatchResult, BatchState, BatchSummary
from mastery_engine.responses.ingest import Problem
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.batch_requests import BatchRequest, BatchRow, withheld, without_rows
from mastery_engine.services.consents import Consents
from mastery_engine.services.idempotency import Claim, Idempotency, IdempotencyKey
from mastery_engine.services.ingest import Ingest
from mastery_engine.services.recording import Recording
from mastery_engine.services.scores import NOTHING_GIVEN, with_given
from mastery_engine.services.students import StudentInCourse, Students, unknown_student

logger = logging.getLogger(__name__)

BatchPriority: TypeAlias = JobPriority

AT_ONCE = 100
RETRY_S = 1.0

_RANKS = {"high": 0, "normal": 1, "low": 2}


class RowBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One calculation of a batch, as it is sent."""

    student_id: StudentId
    components: ComponentValues | None = None
    course_id: str | None = None


class GoodRow(NamedTuple):
    """A row that may be calculated: its place, the student and what is given, for the course named, if any."""

    place: int
    student_id: str
    course_id: str | None
    given: ComponentValues


_read_row = msgspec.json.Decoder(RowBody).decode


def row_from(value: bytes) -> BatchRow:
    """The row in a JSON document, or what is wrong with it."""
    try:
        body = _read_row(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = malformed(error)
        return BatchRow(peek(value).student_id, problem=Problem(problem.code, problem.message, problem.field))
    try:
        course_id = None if body.course_id is None else course_named(body.course_id)
    except InvalidInput as error:
        return BatchRow(body.student_id, problem=Problem(error.code, error.message, error.field))
    return BatchRow(body.student_id, body.components or NOTHING_GIVEN, course_id=course_id)


class Batches:
    """The batches of one process; batches that a crash left open are processed after the next start."""

    def __init__(
        self,
        jobs: JobStore,
        students: Students,
        ingest: Ingest,
        recording: Recording,
        consents: Consents,
        access: AccessControl,
        idempotency: Idempotency,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._students = students
        self._ingest = ingest
        self._recording = recording
        self._consents = consents
        self._access = access
        self._idempotency = idempotency
        self._audit = audit
        self._clock = clock
        self._queue: asyncio.PriorityQueue[tuple[int, int, BatchJob]] = asyncio.PriorityQueue()
        self._arrival = count()
        self._waiting: set[tuple[str, str]] = set()

    async def calculate(
        self,
        caller: Caller,
        rows: Sequence[BatchRow],
        *,
        record: bool | None = None,
        priority: BatchPriority = "normal",
        key: IdempotencyKey | None = None,
    ) -> BatchResponse | BatchState:
        """Calculate many: up to 100 rows at once, more rows later. A bad row fails alone.

        Raises Conflict if ``key`` was used with another body.
        """
        record = may_record(caller) if record is None else record
        self._access.check_act(caller, Act.RECORD if record else Act.TRY_MANY, "batch")
        claim = partial(self._idempotency.claim, caller, "batch", key)
        event_ids = [self._ingest.derived_id(caller, "batch", key, place) for place in range(len(rows))]
        request = BatchRequest(list(rows), record, event_ids)
        if len(rows) <= AT_ONCE:
            return await self._work(caller, request, caller.moment(self._clock), claim, may_come_again=key is not None)
        await claim()
        batch_id = self._ingest.derived_id(caller, "batch-id", key, 0)
        known = await self._jobs.find(caller.tenant, batch_id)
        if known is None:
            known = BatchJob(
                caller.tenant,
                batch_id,
                caller.subject,
                priority,
                caller.moment(self._clock),
                msgspec.json.encode(caller),
                msgspec.json.encode(request),
            )
            await self._jobs.put(known)
            self._enqueue(known)
        return self._state(caller, known)

    async def state(self, caller: Caller, batch_id: str) -> BatchState:
        """The state of a batch, with its answer once it has one. Raises NotFound for all but its sender and admins."""
        job = await self._jobs.find(caller.tenant, batch_id)
        if job is None or (job.subject != caller.subject and caller.role not in ("admin", "service")):
            self._audit.note(caller, "batch-state", None, allowed=False)
            raise NotFound("You have no batch with this id.", field="batch_id")
        return self._state(caller, job)

    def _state(self, caller: Caller, job: BatchJob) -> BatchState:
        if job.answer is None:
            return BatchState(job.batch_id, "queued")
        answer = self._as_seen_by(caller, msgspec.json.decode(job.answer, type=BatchResponse))
        return BatchState(job.batch_id, "completed", answer.results, answer.failures, answer.summary)

    def _as_seen_by(self, caller: Caller, answer: BatchResponse) -> BatchResponse:
        """An answer with a failure in place of each row about a student whom the caller may no longer see."""
        named = [(row.index, row.student_id) for row in answer.results]
        named += [(row.index, row.student_id) for row in answer.failures if row.student_id is not None]
        may_see = {student_id: self._may_see(caller, student_id) for student_id in {name for _, name in named}}
        failures = {index: withheld(index, student_id) for index, student_id in named if not may_see[student_id]}
        return without_rows(answer, failures) if failures else answer

    def _may_see(self, caller: Caller, student_id: str) -> bool:
        """Whether the caller may read a student now; what was read is recorded, and so is a refusal."""
        try:
            self._access.check_student(caller, Act.READ, student_id, "batch-state")
        except Forbidden:
            return False
        return True

    async def keep_working(self) -> None:
        """Process batches by priority until cancelled; first those that an earlier process left open."""
        while True:
            try:
                for job in await self._jobs.open():
                    self._enqueue(job)
                break
            except Unavailable:
                await asyncio.sleep(RETRY_S)
        while True:
            _, _, job = await self._queue.get()
            self._waiting.discard((job.tenant, job.batch_id))
            try:
                await self._finish(job)
            except Unavailable as error:
                logger.warning("batch %s cannot be processed yet: %s", job.batch_id, error)
                await asyncio.sleep(RETRY_S)
                self._enqueue(job)
            except Exception:
                logger.exception("batch %s cannot be processed", job.batch_id)

    async def _finish(self, queued: BatchJob) -> None:
        """Process a batch as it is in the store, and again if an erasure changes it meanwhile."""
        while True:
            job = await self._jobs.find(queued.tenant, queued.batch_id)
            if job is None or job.answer is not None:
                return
            now = self._clock()
            caller = msgspec.structs.replace(msgspec.json.decode(job.caller, type=Caller), at=now)
            request = msgspec.json.decode(job.request, type=BatchRequest)
            response = await self._work(caller, request, now, may_come_again=True)
            if await self._jobs.answer(job, msgspec.json.encode(response)):
                return

    def _enqueue(self, job: BatchJob) -> None:
        if (job.tenant, job.batch_id) not in self._waiting:
            self._waiting.add((job.tenant, job.batch_id))
            self._queue.put_nowait((_RANKS[job.priority], next(self._arrival), job))

    async def _work(
        self,
        caller: Caller,
        request: BatchRequest,
        now: Micros,
        claim: Claim | None = None,
        *,
        may_come_again: bool,
    ) -> BatchResponse:
        """Process all rows with one append and one fold; the answer has results and failures.

        ``claim`` is called unless every row is refused. Raises what it raises. A batch ``may_come_again`` under its ids
        where it has a key, or where a crash may cut it.
        """
        results: list[BatchResult] = []
        await self._consents.refresh()
        good, failures = self._checked(caller, request)
        asked = [(row.student_id, row.course_id) for row in good]
        chosen = await self._students.in_courses(caller.tenant, asked, now)
        recorded = [n for n, row in enumerate(good) if _is_recorded(request, row)] if may_come_again else []
        if recorded:
            named = [(request.event_ids[good[n].place], good[n].student_id, good[n].course_id) for n in recorded]
            places_before = await self._recording.as_before(caller.tenant, named, [chosen[n] for n in recorded], now)
            for n, place in zip(recorded, places_before, strict=True):
                chosen[n] = place
        places = [
            (row, found.key) for row, found in zip(good, chosen, strict=True) if isinstance(found, StudentInCourse)
        ]
        students, refused = await self._record(caller, request, places, now, claim)
        for row, found in zip(good, chosen, strict=True):
            index, student_id, _, given = row
            if self._consents.state(StudentKey(caller.tenant, student_id)).erased:  # while the rows were recorded
                failures.append(withheld(index))
            elif index in refused:
                failures.append(_failure(index, student_id, refused[index]))
            elif isinstance(found, CourseRequired):
                failures.append(_failure(index, student_id, found))
            elif given == NOTHING_GIVEN and not found.is_known and found.key not in students:
                failures.append(_failure(index, student_id, unknown_student()))
            else:
                after = students.get(found.key, found.student)
                mastery = with_given(found, after, given)
                results.append(BatchResult(index, student_id, mastery, found.key.course_id))
        has_recorded = bool(students)
        if claim is not None and results and not has_recorded:
            await claim()
        failures.sort(key=lambda failure: failure.index)
        return BatchResponse(results, failures, BatchSummary(len(request.rows), len(results), len(failures)))

    def _checked(self, caller: Caller, request: BatchRequest) -> tuple[list[GoodRow], list[BatchFailure]]:
        """The rows that the caller may have calculated, and a failure for each of the others."""
        good: list[GoodRow] = []
        failures: list[BatchFailure] = []
        act = Act.RECORD if request.record else Act.TRY_MANY
        for index, row in enumerate(request.rows):
            try:
                if row.problem is not None or row.student_id is None:
                    failures.append(BatchFailure(index, row.student_id, row.problem or _NO_STUDENT))
                    continue
                key = StudentKey(caller.tenant, row.student_id)
                if self._consents.state(key).erased:
                    failures.append(withheld(index))  # without the id, since the answer may be stored
                    continue
                records = request.record and row.components != NOTHING_GIVEN
                self._access.check_student(caller, act, row.student_id, "batch", changes=records)
                if records:
                    self._consents.check_processing(self._consents.links.owner(key))
                student_id = self._consents.links.owner(key).student_id if records else row.student_id
                good.append(GoodRow(index, student_id, row.course_id, row.components))
            except MasteryError as error:
                failures.append(_failure(index, row.student_id, error))
        return good, failures

    async def _record(
        self,
        caller: Caller,
        request: BatchRequest,
        places: Sequence[tuple[GoodRow, DocumentKey]],
        now: Micros,
        claim: Claim | None,
    ) -> tuple[dict[DocumentKey, Student], dict[int, MasteryError]]:
        """Record the rows that are to be; the students after it, and by index what refused a row."""
        rows = [(row, key) for row, key in places if _is_recorded(request, row)]
        students: dict[DocumentKey, Student] = {}
        refused: dict[int, MasteryError] = {}
        if rows:
            given = [(request.event_ids[row.place], key, row.given) for row, key in rows]
            for (row, key), recorded in zip(rows, await self._recording.record(caller, given, now, claim), strict=True):
                if isinstance(recorded, MasteryError):
                    refused[row.place] = recorded
                else:
                    students[key] = recorded
        return students, refused


def _is_recorded(request: BatchRequest, row: GoodRow) -> bool:
    return request.record and row.given != NOTHING_GIVEN


_NO_STUDENT = Problem(InvalidInput.code, "student_id is required.", "student_id")


def _failure(index: int, student_id: str | None, error: MasteryError) -> BatchFailure:
    return BatchFailure(index, student_id, Problem(error.code, error.message, error.field))
