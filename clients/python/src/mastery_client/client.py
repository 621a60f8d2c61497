"""The two clients: the calls of the engine, and what takes several of them."""

import asyncio
import time
from collections.abc import Iterable

from mastery_client.answers import EventStatus, IngestResponse
from mastery_client.async_calls import AsyncCalls
from mastery_client.errors import MasteryError, TimedOut
from mastery_client.ingesting import Event, parcels
from mastery_client.sync_calls import SyncCalls

FIRST_LOOK, LONGEST_LOOK = 0.02, 1.0  # seconds between two looks at an event that is not processed yet


class MasteryClient(SyncCalls):
    """The Mastery Engine: a method for each of its calls, which waits for the answer.

    >>> with MasteryClient("http://localhost:8005", token=token) as engine:
    ...     for student in engine.cohort("py-101").at_risk:
    ...         print(student.student_id, [reason.message for reason in student.reasons])

    It may be used by several threads. Errors are a MasteryError.
    """

    def ingest_all(self, events: Iterable[Event]) -> IngestResponse:
        """Send any number of events, in as many calls as it takes; ``results`` has what became of each, in order.

        One that is refused holds up no other. Raises IngestInterrupted where a call failed for good: it has what became
        of the events before, and those that are left, with the ids that they were given.
        """
        steps = parcels(events)
        try:
            parcel = next(steps)
            while True:
                try:
                    came: IngestResponse | MasteryError = self.ingest_batch(parcel)
                except MasteryError as error:
                    came = error
                parcel = steps.send(came)
        except StopIteration as done:
            answer: IngestResponse = done.value
            return answer

    def wait_for_event(
        self, student_id: str, event_id: str, *, course_id: str | None = None, within: float = 30.0
    ) -> EventStatus:
        """Wait until an event was processed, or dead-lettered with a ``reason``: from then on every call shows it.

        Raises TimedOut after ``within`` seconds.
        """
        end, pause = time.monotonic() + within, FIRST_LOOK
        while True:
            found = self.event_status(student_id, event_id, course_id=course_id)
            if found.status != "not_processed":
                return found
            if time.monotonic() > end:
                raise _not_yet(event_id, within)
            time.sleep(pause)
            pause = min(LONGEST_LOOK, pause * 2)


class AsyncMasteryClient(AsyncCalls):
    """The Mastery Engine: a method for each of its calls, to be awaited (with asyncio).

    >>> async with AsyncMasteryClient("http://localhost:8005", token=token) as engine:
    ...     mastery = await engine.query("student_12345")

    Errors are a MasteryError.
    """

    async def ingest_all(self, events: Iterable[Event]) -> IngestResponse:
        """Send any number of events, in as many calls as it takes; ``results`` has what became of each, in order.

        One that is refused holds up no other. Raises IngestInterrupted where a call failed for good: it has what became
        of the events before, and those that are left, with the ids that they were given.
        """
        steps = parcels(events)
        try:
            parcel = next(steps)
            while True:
                try:
                    came: IngestResponse | MasteryError = await self.ingest_batch(parcel)
                except MasteryError as error:
                    came = error
                parcel = steps.send(came)
        except StopIteration as done:
            answer: IngestResponse = done.value
            return answer

    async def wait_for_event(
        self, student_id: str, event_id: str, *, course_id: str | None = None, within: float = 30.0
    ) -> EventStatus:
        """Wait until an event was processed, or dead-lettered with a ``reason``: from then on every call shows it.

        Raises TimedOut after ``within`` seconds.
        """
        end, pause = time.monotonic() + within, FIRST_LOOK
        while True:
            found = await self.event_status(student_id, event_id, course_id=course_id)
            if found.status != "not_processed":
                return found
            if time.monotonic() > end:
                raise _not_yet(event_id, within)
            await asyncio.sleep(pause)
            pause = min(LONGEST_LOOK, pause * 2)


def _not_yet(event_id: str, within: float) -> TimedOut:
    return TimedOut(f"The event {event_id!r} was not processed within {within:g} s: is a worker running?")
