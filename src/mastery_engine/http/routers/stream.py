"""A student's mastery, live: server-sent events."""

from collections.abc import AsyncIterator
from functools import partial

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from mastery_engine.http.bodies import StudentId
from mastery_engine.http.envelope_route import Authenticated, Face, admitted_again, token_of
from mastery_engine.responses.scores import StudentMastery
from mastery_engine.services.watching import Watching

EVENT_STREAM = "text/event-stream"

router = APIRouter(route_class=Face, tags=["mastery"])
_encode = msgspec.json.Encoder().encode


@router.get(
    "/students/{student_id}/stream",
    openapi_extra={
        "responses": {
            "200": {
                "description": "An event `mastery` now and after each change, its data what a query answers. It ends "
                "after 15 minutes, and once the token no longer shows the student: open it again with a good one.",
                "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
            }
        }
    },
)
async def stream(caller: Authenticated, request: Request, student_id: StudentId) -> Response:
    """The student's mastery now and after each change, as server-sent events, with heartbeats between."""
    watching: Watching = request.app.state.watching
    admitted = partial(admitted_again, request, token_of(request))
    return event_stream(await watching.watch(caller, student_id, admitted))


def event_stream(changes: AsyncIterator[StudentMastery | None]) -> Response:
    """Changes as they go over the wire."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(changes), media_type=EVENT_STREAM, headers=headers)


async def _lines(changes: AsyncIterator[StudentMastery | None]) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    async for change in changes:
        if change is None:
            yield b": still here\n\n"
        else:
            yield b"event: mastery\nid: %s\ndata: %s\n\n" % (change.last_updated.encode(), _encode(change))
