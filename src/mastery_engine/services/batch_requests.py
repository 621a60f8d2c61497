"""Batches as they are stored until they are worked, and what an erasure leaves of them."""

import msgspec

from mastery_engine.auth.access import Caller, not_your_student
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.jobs import BatchJob
from mastery_engine.responses.batches import BatchFailure, BatchResponse, BatchSummary
from mastery_engine.responses.ingest import Problem
from mastery_engine.responses.privacy import HeldBatch, HeldRow


class BatchRow(msgspec.Struct, frozen=True):
    """One calculation of a batch, or what is wrong with it."""

    student_id: str | None = None
    components: ComponentValues = ComponentValues()
    problem: Problem | None = None
    course_id: str | None = None


class BatchRequest(msgspec.Struct, frozen=True):
    """A batch as it is stored until it is processed. ``event_ids`` has an id for each row: a repeat counts once."""

    rows: list[BatchRow]
    record: bool
    event_ids: list[str]


def withheld(index: int, student_id: str | None = None) -> BatchFailure:
    """A row in place of one that the caller may not see, or that is about a student who was erased."""
    error = not_your_student()
    return BatchFailure(index, student_id, Problem(error.code, error.message, error.field))


def without_rows(answer: BatchResponse, failures: dict[int, BatchFailure]) -> BatchResponse:
    """The answer with these failures in the place of what it had at their indexes."""
    results = [result for result in answer.results if result.index not in failures]
    others = [failure for failure in answer.failures if failure.index not in failures]
    failed = sorted([*others, *failures.values()], key=lambda failure: failure.index)
    return BatchResponse(results, failed, BatchSummary(answer.summary.total, len(results), len(failed)))


def without_student(job: BatchJob, key: StudentKey) -> BatchJob | None:
    """The batch with a failure in place of each row about a student, and without them among the sender's students.

    None if the student sent it.
    """
    if job.subject == key.student_id:
        return None
    return msgspec.structs.replace(
        job,
        caller=_caller_without(job.caller, key.student_id) if job.caller else b"",
        request=_request_without(job.request, key.student_id) if job.request else b"",
        answer=_answer_without(job.answer, key.student_id) if job.answer else job.answer,
    )


def rows_of(job: BatchJob, student_id: str) -> HeldBatch:
    """What a batch holds about a student: their rows until it is worked, and then what was answered to them."""
    rows = msgspec.json.decode(job.request, type=BatchRequest).rows if job.request else []
    answer = msgspec.json.decode(job.answer, type=BatchResponse) if job.answer else None
    return HeldBatch(
        job.batch_id,
        rfc3339(job.created),
        job.subject == student_id,
        [HeldRow(index, row.components, row.problem) for index, row in enumerate(rows) if row.student_id == student_id],
        [] if answer is None else [row for row in answer.results if row.student_id == student_id],
        [] if answer is None else [row for row in answer.failures if row.student_id == student_id],
    )


def _caller_without(packed: bytes, student_id: str) -> bytes:
    caller = msgspec.json.decode(packed, type=Caller)
    if student_id not in caller.students:
        return packed
    return msgspec.json.encode(msgspec.structs.replace(caller, students=caller.students - {student_id}))


def _request_without(packed: bytes, student_id: str) -> bytes:
    request = msgspec.json.decode(packed, type=BatchRequest)
    if all(row.student_id != student_id for row in request.rows):
        return packed
    gone = BatchRow(problem=withheld(0).error)
    rows = [gone if row.student_id == student_id else row for row in request.rows]
    return msgspec.json.encode(msgspec.structs.replace(request, rows=rows))


def _answer_without(packed: bytes, student_id: str) -> bytes:
    answer = msgspec.json.decode(packed, type=BatchResponse)
    indexes = [row.index for row in answer.results if row.student_id == student_id]
    indexes += [row.index for row in answer.failures if row.student_id == student_id]
    failures = {index: withheld(index) for index in indexes}
    return msgspec.json.encode(without_rows(answer, failures)) if failures else packed
