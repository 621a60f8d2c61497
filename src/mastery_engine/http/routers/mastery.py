"""Query and calculate, one student or many."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from mastery_engine.http.bodies import BatchCalculate, Calculate, Query, read_rows
from mastery_engine.http.envelope import success
from mastery_engine.http.envelope_route import Authenticated, Face, idempotency_key, json_body
from mastery_engine.http.openapi import KEYED, answers, takes
from mastery_engine.responses.scores import BatchAnswer, BatchState, Calculated, StudentMastery
from mastery_engine.services import Mastery
from mastery_engine.services.batches import Batches, row_from

router = APIRouter(route_class=Face, tags=["mastery"])


@router.post("/mastery/query", openapi_extra=answers(StudentMastery))
async def query(caller: Authenticated, request: Request, body: Query) -> StudentMastery:
    """A student's mastery now, or as it was known on a day."""
    mastery: Mastery = request.app.state.mastery
    return await mastery.query(caller, body.student_id, on=body.date, with_components=body.include_components)


@router.post("/mastery/calculate", openapi_extra=answers(Calculated) | KEYED)
async def calculate(caller: Authenticated, request: Request, body: Calculate) -> Calculated:
    """The score with the components given, the others from the evidence; recorded unless ``record`` is false."""
    mastery: Mastery = request.app.state.mastery
    return await mastery.calculate(
        caller, body.student_id, body.components.values(), record=body.record, key=idempotency_key(request)
    )


@router.post("/batch/mastery", openapi_extra=answers(BatchAnswer, _202=BatchState) | takes(BatchCalculate) | KEYED)
async def calculate_batch(caller: Authenticated, request: Request) -> Response:
    """Many calculations: up to 100 are answered at once, up to 1,000 later, under a batch_id."""
    batches: Batches = request.app.state.batches
    body = read_rows(BatchCalculate, await json_body(request))
    rows = [row_from(bytes(row)) for row in body.requests]
    answer = await batches.calculate(
        caller, rows, record=body.record, priority=body.priority, key=idempotency_key(request)
    )
    return success(answer, request.state.meta, 202 if isinstance(answer, BatchState) else 200)


@router.get("/batch/mastery/{batch_id}", openapi_extra=answers(BatchState))
async def batch_state(
    caller: Authenticated, request: Request, batch_id: Annotated[str, Path(max_length=100)]
) -> BatchState:
    """How far a batch is; with its answer once it has one."""
    batches: Batches = request.app.state.batches
    return await batches.state(caller, batch_id)
