"""Calls for batches of calculations."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from mastery_engine.http.body import BatchCalculate, read_struct
from mastery_engine.http.envelope import success
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key, json_body
from mastery_engine.http.openapi import KEYED, responds, takes
from mastery_engine.responses.batches import BatchResponse, BatchState
from mastery_engine.services.batches import row_from

router = APIRouter(route_class=EnvelopeRoute, tags=["mastery"])


@router.post(
    "/batch/mastery",
    openapi_extra=responds(BatchResponse, _202=BatchState, limit="batch") | takes(BatchCalculate) | KEYED,
)
async def calculate_batch(engine: TheEngine, caller: Authenticated, request: Request) -> Response:
    """Calculate many: up to 100 rows are answered at once, up to 1,000 later, under a batch_id."""
    sent = await json_body(request)
    body = read_struct(BatchCalculate, sent)
    rows = [row_from(bytes(row)) for row in body.requests]
    response = await engine.batches.calculate(
        caller, rows, record=body.record, priority=body.priority, key=idempotency_key(request, sent)
    )
    return success(response, request.state.meta, 202 if isinstance(response, BatchState) else 200)


@router.get("/batch/mastery/{batch_id}", openapi_extra=responds(BatchState, limit="query"))
async def batch_status(
    engine: TheEngine, caller: Authenticated, batch_id: Annotated[str, Path(max_length=100)]
) -> BatchState:
    """The state of a batch, with its answer once there is one."""
    return await engine.batches.state(caller, batch_id)
