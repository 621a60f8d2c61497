"""Batches of calculations: small ones are answered at once, large ones worked after their acknowledgement."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import count

import msgspec

from mastery_engine.auth.access import Act, Caller, may_record
from mastery_engine.domain.events.envelope import StudentId, malformed, peek
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.student import Student, StudentKey
from mastery_engine.errors import Conflict, InvalidInput, MasteryError, NotFound, Unavailable
from mastery_engine.ports.jobs import BatchJob, Priority
from mastery_engine.responses.scores import BatchAnswer, BatchFailure, BatchResult, BatchState, BatchSummary, Problem
from mastery_engine.services.mastery import NOTHING_GIVEN, Mastery

logger = logging.getLogger(__name__)

AT_ONCE = 100
RETRY_S = 1.0

_RANKS = {"high": 0, "normal": 1, "low": 2}


class Row(msgspec.Struct, frozen=True):
    """One calculation of a batch, or what is wrong with it."""

    student_id: str | None = None
    components: ComponentValues = NOTHING_GIVEN
    problem: Problem | None = None


class RowBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One calculation of a batch, as it is sent."""

    student_id: StudentId
    components: ComponentValues | None = None


_read_row = msgspec.json.Decoder(RowBody).decode


def row_from(value: bytes) -> Row:
    """The row in a JSON document, or what is wrong with it."""
    try:
        body = _read_row(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = malformed(error)
        return Row(peek(value)[0], problem=Problem(problem.code, problem.message, problem.field))
    return Row(body.student_id, body.components or NOTHING_GIVEN)


class BatchRequest(msgspec.Struct, frozen=True):
    """A batch as it is kept until it is worked. ``event_ids`` has one for each row, so that twice is once."""

    rows: list[Row]
    record: bool
    event_ids: list[str]


class Batches:
    """The batches of one process; those that a crash left open are worked after the next start."""

    def __init__(self, mastery: Mastery) -> None:
        self._mastery = mastery
        self._queue: asyncio.PriorityQueue[tuple[int, int, BatchJob]] = asyncio.PriorityQueue()
        self._arrival = count()
        self._waiting: set[tuple[str, str]] = set()

    async def calculate(
        self,
        caller: Caller,
        rows: Sequence[Row],
        *,
        record: bool | None = None,
        priority: Priority = "normal",
        key: str | None = None,
    ) -> BatchAnswer | BatchState:
        """Calculate many; up to 100 at once, more later. A bad row fails alone."""
        mastery = self._mastery
        record = may_record(caller) if record is None else record
        mastery.check_act(caller, Act.RECORD if record else Act.TRY_MANY, "batch")
        event_ids = [mastery.derived(caller, "batch", key, place) for place in range(len(rows))]
        request = BatchRequest(list(rows), record, event_ids)
        if len(rows) <= AT_ONCE:
            return await self._work(caller, request)
        batch_id = mastery.derived(caller, "batch-id", key, 0)
        known = await mastery.store.batch(caller.tenant, batch_id)
        if known is None:
            known = BatchJob(
                caller.tenant,
                batch_id,
                caller.subject,
                priority,
                mastery.clock(),
                msgspec.json.encode(caller),
                msgspec.json.encode(request),
            )
            await mastery.store.put_batch(known)
            self._enqueue(known)
        elif known.request != msgspec.json.encode(request):
            raise Conflict("This Idempotency-Key was used for another batch: take a new one.", field="Idempotency-Key")
        return _state(known)

    async def state(self, caller: Caller, batch_id: str) -> BatchState:
        """How far a batch is; with its answer once it has one. Raises NotFound for all but its sender and admins."""
        job = await self._mastery.store.batch(caller.tenant, batch_id)
        if job is None or (job.subject != caller.subject and caller.role not in ("admin", "service")):
            self._mastery.trail.note(caller, "batch-state", None, allowed=False)
            raise NotFound("There is no such batch of yours.", field="batch_id")
        state = _state(job)
        for student_id in {result.student_id for result in state.results or ()}:
            self._mastery.trail.note(caller, "batch-state", student_id, allowed=True)
        return state

    async def keep_working(self) -> None:
        """Work what waits, by priority, until cancelled; first what an earlier process left."""
        while True:
            try:
                for job in await self._mastery.store.open_batches():
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
                logger.warning("batch %s waits: %s", job.batch_id, error)
                await asyncio.sleep(RETRY_S)
                self._enqueue(job)
            except Exception:
                logger.exception("batch %s cannot be worked", job.batch_id)

    async def _finish(self, job: BatchJob) -> None:
        caller = msgspec.json.decode(job.caller, type=Caller)
        answer = await self._work(caller, msgspec.json.decode(job.request, type=BatchRequest))
        await self._mastery.store.put_batch(msgspec.structs.replace(job, answer=msgspec.json.encode(answer)))

    def _enqueue(self, job: BatchJob) -> None:
        if (job.tenant, job.batch_id) not in self._waiting:
            self._waiting.add((job.tenant, job.batch_id))
            self._queue.put_nowait((_RANKS[job.priority], next(self._arrival), job))

    async def _work(self, caller: Caller, request: BatchRequest) -> BatchAnswer:
        """All rows in one append and one fold; failures beside the results."""
        mastery = self._mastery
        results: list[BatchResult] = []
        failures: list[BatchFailure] = []
        good: list[tuple[int, str, ComponentValues]] = []
        act = Act.RECORD if request.record else Act.TRY_MANY
        await mastery.consents.refresh()
        for index, row in enumerate(request.rows):
            try:
                if row.problem is not None or row.student_id is None:
                    failures.append(BatchFailure(index, row.student_id, row.problem or _NO_STUDENT))
                    continue
                mastery.check_student(caller, act, row.student_id, "batch", given=row.components)
                if request.record and row.components != NOTHING_GIVEN:
                    mastery.consents.check_known_processing(StudentKey(caller.tenant, row.student_id))
                good.append((index, row.student_id, row.components))
            except MasteryError as error:
                failures.append(_failure(index, row.student_id, error))
        recorded = [row for row in good if request.record and row[2] != NOTHING_GIVEN]
        known: dict[str, Student] = {}
        if recorded:
            rows = [(request.event_ids[index], student_id, given) for index, student_id, given in recorded]
            after = await mastery.record(caller, rows)
            known = {student_id: student for (_, student_id, _), student in zip(recorded, after, strict=True)}
        others = [student_id for _, student_id, _ in good if student_id not in known]
        known.update(zip(others, await mastery.students(caller, others), strict=True))
        for index, student_id, given in good:
            student = known[student_id]
            if given == NOTHING_GIVEN and not student.is_known(mastery.clock(), mastery.rules):
                unknown = NotFound("Nothing is known of this student yet.", field="student_id")
                failures.append(_failure(index, student_id, unknown))
            else:
                results.append(BatchResult(index, student_id, mastery.with_given(student, given)))
        failures.sort(key=lambda failure: failure.index)
        return BatchAnswer(results, failures, BatchSummary(len(request.rows), len(results), len(failures)))


_NO_STUDENT = Problem(InvalidInput.code, "The row has no student_id.", "student_id")


def _failure(index: int, student_id: str | None, error: MasteryError) -> BatchFailure:
    return BatchFailure(index, student_id, Problem(error.code, error.message, error.field))


def _state(job: BatchJob) -> BatchState:
    if job.answer is None:
        return BatchState(job.batch_id, "queued")
    answer = msgspec.json.decode(job.answer, type=BatchAnswer)
    return BatchState(job.batch_id, "completed", answer.results, answer.failures, answer.summary)
