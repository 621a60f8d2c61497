"""Batches of calculations: small ones are answered at once, large ones are processed after their acknowledgement."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import count
from typing import TypeAlias

import msgspec

from mastery_engine.auth.access import Act, Caller, may_record
from mastery_engine.clock import Clock
from mastery_engine.domain.events.envelope import StudentId, peek
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.faults import malformed
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import Student, StudentKey
from mastery_engine.errors import InvalidInput, MasteryError, NotFound, Unavailable
from mastery_engine.ports.jobs import BatchJob, JobPriority, JobStore
from mastery_engine.responses.batches import BatchFailure, BatchResponse, BatchResult, BatchState, BatchSummary
from mastery_engine.responses.ingest import Problem
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.consents import Consents
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.ingest import Ingest
from mastery_engine.services.recording import Recording
from mastery_engine.services.scores import NOTHING_GIVEN, Scores
from mastery_engine.services.students import Students, unknown_student

logger = logging.getLogger(__name__)

BatchPriority: TypeAlias = JobPriority

AT_ONCE = 100
RETRY_S = 1.0

_RANKS = {"high": 0, "normal": 1, "low": 2}


class BatchRow(msgspec.Struct, frozen=True):
    """One calculation of a batch, or what is wrong with it."""

    student_id: str | None = None
    components: ComponentValues = NOTHING_GIVEN
    problem: Problem | None = None


class RowBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One calculation of a batch, as it is sent."""

    student_id: StudentId
    components: ComponentValues | None = None


_read_row = msgspec.json.Decoder(RowBody).decode


def row_from(value: bytes) -> BatchRow:
    """The row in a JSON document, or what is wrong with it."""
    try:
        body = _read_row(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = malformed(error)
        return BatchRow(peek(value)[0], problem=Problem(problem.code, problem.message, problem.field))
    return BatchRow(body.student_id, body.components or NOTHING_GIVEN)


class BatchRequest(msgspec.Struct, frozen=True):
    """A batch as it is stored until it is processed. ``event_ids`` has an id for each row: a repeat counts once."""

    rows: list[BatchRow]
    record: bool
    event_ids: list[str]


class Batches:
    """The batches of one process; batches that a crash left open are processed after the next start."""

    def __init__(
        self,
        jobs: JobStore,
        students: Students,
        scores: Scores,
        ingest: Ingest,
        recording: Recording,
        consents: Consents,
        access: AccessControl,
        idempotency: Idempotency,
        audit: Audit,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._students = students
        self._scores = scores
        self._ingest = ingest
        self._recording = recording
        self._consents = consents
        self._access = access
        self._idempotency = idempotency
        self._audit = audit
        self._rules = rules
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
        await self._idempotency.claim(caller, "batch", key)
        event_ids = [self._ingest.derived_id(caller, "batch", key, place) for place in range(len(rows))]
        request = BatchRequest(list(rows), record, event_ids)
        if len(rows) <= AT_ONCE:
            return await self._work(caller, request, caller.moment(self._clock))
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
        return _state(known)

    async def state(self, caller: Caller, batch_id: str) -> BatchState:
        """The state of a batch, with its answer once it has one. Raises NotFound for all but its sender and admins."""
        job = await self._jobs.find(caller.tenant, batch_id)
        if job is None or (job.subject != caller.subject and caller.role not in ("admin", "service")):
            self._audit.note(caller, "batch-state", None, allowed=False)
            raise NotFound("You have no batch with this id.", field="batch_id")
        state = _state(job)
        for student_id in {result.student_id for result in state.results or ()}:
            self._audit.note(caller, "batch-state", student_id, allowed=True)
        return state

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

    async def _finish(self, job: BatchJob) -> None:
        now = self._clock()
        caller = msgspec.structs.replace(msgspec.json.decode(job.caller, type=Caller), at=now)
        response = await self._work(caller, msgspec.json.decode(job.request, type=BatchRequest), now)
        await self._jobs.put(msgspec.structs.replace(job, answer=msgspec.json.encode(response)))

    def _enqueue(self, job: BatchJob) -> None:
        if (job.tenant, job.batch_id) not in self._waiting:
            self._waiting.add((job.tenant, job.batch_id))
            self._queue.put_nowait((_RANKS[job.priority], next(self._arrival), job))

    async def _work(self, caller: Caller, request: BatchRequest, now: Micros) -> BatchResponse:
        """Process all rows with one append and one fold; the answer has results and failures."""
        results: list[BatchResult] = []
        failures: list[BatchFailure] = []
        good: list[tuple[int, str, ComponentValues]] = []
        act = Act.RECORD if request.record else Act.TRY_MANY
        await self._consents.refresh()
        for index, row in enumerate(request.rows):
            try:
                if row.problem is not None or row.student_id is None:
                    failures.append(BatchFailure(index, row.student_id, row.problem or _NO_STUDENT))
                    continue
                records = request.record and row.components != NOTHING_GIVEN
                self._access.check_student(caller, act, row.student_id, "batch", changes=records)
                if records:
                    self._consents.check_processing(StudentKey(caller.tenant, row.student_id))
                good.append((index, row.student_id, row.components))
            except MasteryError as error:
                failures.append(_failure(index, row.student_id, error))
        recorded = [
            (request.event_ids[index], student_id, given)
            for index, student_id, given in good
            if request.record and given != NOTHING_GIVEN
        ]
        known: dict[str, Student] = {}
        if recorded:
            after = await self._recording.record(caller, recorded, now)
            known = {student_id: student for (_, student_id, _), student in zip(recorded, after, strict=True)}
        others = [student_id for _, student_id, _ in good if student_id not in known]
        known.update(zip(others, await self._students.load(caller, others), strict=True))
        for index, student_id, given in good:
            student = known[student_id]
            if given == NOTHING_GIVEN and not student.is_known(now, self._rules):
                failures.append(_failure(index, student_id, unknown_student()))
            else:
                results.append(BatchResult(index, student_id, self._scores.with_given(student, given, now)))
        failures.sort(key=lambda failure: failure.index)
        return BatchResponse(results, failures, BatchSummary(len(request.rows), len(results), len(failures)))


_NO_STUDENT = Problem(InvalidInput.code, "student_id is required.", "student_id")


def _failure(index: int, student_id: str | None, error: MasteryError) -> BatchFailure:
    return BatchFailure(index, student_id, Problem(error.code, error.message, error.field))


def _state(job: BatchJob) -> BatchState:
    if job.answer is None:
        return BatchState(job.batch_id, "queued")
    answer = msgspec.json.decode(job.answer, type=BatchResponse)
    return BatchState(job.batch_id, "completed", answer.results, answer.failures, answer.summary)
