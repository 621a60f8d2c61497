"""The response to a batch of calculations."""

from typing import Literal

import msgspec

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.responses.ingest import Problem
from mastery_engine.responses.scores import CurrentMastery


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row's answer; ``index`` is its place in the request, from 0. ``course_id`` is left out for ``default``."""

    index: int
    student_id: str
    current_mastery: CurrentMastery
    course_id: str = DEFAULT_COURSE


class BatchFailure(msgspec.Struct, frozen=True):
    """One row that failed; the others did not."""

    index: int
    student_id: str | None
    error: Problem


class BatchSummary(msgspec.Struct, frozen=True):
    """How many rows were calculated, and how many failed."""

    total: int
    success: int
    failed: int


class BatchResponse(msgspec.Struct, frozen=True):
    """The answer to a batch of calculations, rows in the request's order."""

    results: list[BatchResult]
    failures: list[BatchFailure]
    summary: BatchSummary


class BatchState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch that is processed after its acknowledgement; the results are there once ``status`` is completed."""

    batch_id: str
    status: Literal["queued", "completed"]
    results: list[BatchResult] | None = None
    failures: list[BatchFailure] | None = None
    summary: BatchSummary | None = None
