"""The live stream of a student's mastery, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from mastery_engine.http.body import AskedCourse, StudentId
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, token_of
from mastery_engine.http.openapi import LIMIT
from mastery_engine.services.watching import LiveStream

EVENT_STREAM = "text/event-stream"

router = APIRouter(route_class=EnvelopeRoute, tags=["mastery"])
_encode = msgspec.json.Encoder().encode


@router.get(
    "/students/{student_id}/stream",
    openapi_extra={
        LIMIT: None,  # the number of open streams has its own limit
        "responses": {
            "200": {
                "description": "An event `mastery` now and after each change; its data is the answer of a query. The "
                "stream ends after 15 minutes, and when the token no longer allows it: open it again with a valid one. "
                "A caller may have 10 open; the next is answered 429.",
                "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
            }
        },
    },
)
async def stream(
    engine: TheEngine,
    caller: Authenticated,
    request: Request,
    student_id: StudentId,
    course_id: AskedCourse = None,
) -> Response:
    """The student's mastery now and after each change, as server-sent events, with heartbeats between."""
    admitted = partial(engine.admission.authenticate, token_of(request))
    return EventStream(await engine.watching.watch(caller, student_id, admitted, course_id=course_id))


class EventStream(StreamingResponse):
    """The answer that streams changes as server-sent events, and closes the stream however it ends."""

    media_type = EVENT_STREAM

    def __init__(self, live: LiveStream) -> None:
        super().__init__(_lines(live), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._live = live
        self._writing: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until there is no more, or the client leaves.

        The framework's own way, a group of tasks, leaves garbage that holds the whole request of each stream.
        """
        del scope
        self._writing = writing = asyncio.current_task()
        leaving = asyncio.create_task(_left(receive))
        leaving.add_done_callback(self._end)
        try:
            await self.stream_response(send)
        except asyncio.CancelledError:
            if not leaving.done() or (writing is not None and writing.uncancel()):
                raise  # it is the server that ends the stream
            leaving.result()
        finally:
            self._writing = None
            leaving.cancel()
            await self._live.close()  # a client that leaves before the first change has read nothing

    def _end(self, _: asyncio.Task[None]) -> None:
        if self._writing is not None:
            self._writing.cancel()


async def _left(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lines(live: LiveStream) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    async for change in live:
        if change is None:
            yield b": still here\n\n"
        else:
            yield b"event: mastery\nid: %s\ndata: %s\n\n" % (change.last_updated.encode(), _encode(change))
