"""The worker: reads batches from the log, has them folded, publishes what came of it, and commits the offsets last.

A crash between any two steps is healed by reading the uncommitted batch again: the documents know which events they
hold, and hand out again the results that had not gone out.
"""

import asyncio
import logging
from collections.abc import Mapping

from mastery_engine.domain.events import Logged, check_times, decode, peek
from mastery_engine.domain.results import Result, event_type
from mastery_engine.errors import InvalidInput, MasteryError, Unavailable
from mastery_engine.logs.base import Batch, DeadLetter, Record
from mastery_engine.service import Mastery

logger = logging.getLogger(__name__)

REQUESTS_TOPIC = "mastery.requests"
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Worker:
    """Works one log into one store."""

    def __init__(self, mastery: Mastery) -> None:
        self._mastery = mastery
        self._stopping = asyncio.Event()
        self._published_before: Mapping[int, int] = {}

    def stop(self) -> None:
        """Finish the batch under way, then return from ``run``."""
        self._stopping.set()

    async def run(self, *, until: Mapping[int, int] | None = None) -> None:
        """Work until stopped, or until every partition has been worked up to the offsets in ``until``."""
        up = self._mastery.metrics.worker_up
        up.set(1)
        pause = FIRST_PAUSE_S
        try:
            while not self._stopping.is_set():
                try:
                    if await self._work_from_where_we_are(until):
                        return
                    pause = FIRST_PAUSE_S
                except Unavailable as error:
                    if pause == FIRST_PAUSE_S:
                        logger.warning("the worker waits: %s", error)
                    await self._sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_S)
        finally:
            up.set(0)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _work_from_where_we_are(self, until: Mapping[int, int] | None) -> bool:
        """Work from the earlier of what the store holds and what has been published; True once ``until`` is reached."""
        log, store = self._mastery.log, self._mastery.store
        log_id = await log.log_id()
        marks, self._published_before = await store.marks(log_id), await log.committed()
        starts = {
            partition: min(marks.get(partition, 0), offset) for partition, offset in self._published_before.items()
        }
        reached = dict(starts)
        if _is_done(reached, until):
            return True
        async for batch in log.batches(starts):
            if batch is not None:
                await self.work(log_id, batch)
                reached |= batch.ends
            await self._look_after(reached)
            if self._stopping.is_set() or _is_done(reached, until):
                return True
        return True

    async def work(self, log_id: str, batch: Batch) -> None:
        """Fold one batch, publish, commit. Raises Unavailable; then the batch is to be read again."""
        log, store = self._mastery.log, self._mastery.store
        events, letters = self._read(batch)
        folded = await self._mastery.folding.fold(events, settled=batch.starts)
        records = {(record.partition, record.offset): record for record in batch.records}
        for one, error in folded.failed:
            letters.append(self._letter(records[one.partition, one.offset], error))
        if letters:
            await log.bury(letters)
            for letter in letters:
                self._mastery.metrics.dead_letters.labels(letter.code).inc()
        await store.set_marks(log_id, batch.ends)
        results: list[Result] = [
            pending.result
            for student in folded.students.values()
            for pending in student.outbox
            if self._is_due(pending.partition, pending.offset, batch)
        ]
        if results:
            await log.publish(results)
            for result in results:
                self._mastery.metrics.results.labels(event_type(result)).inc()
        await log.commit(
            {partition: max(end, self._published_before.get(partition, 0)) for partition, end in batch.ends.items()}
        )

    def _is_due(self, partition: int, offset: int, batch: Batch) -> bool:
        """Whether a result belongs to this batch, and is not of a time whose results went out before."""
        start = max(batch.starts.get(partition, 0), self._published_before.get(partition, 0))
        return start <= offset < batch.ends.get(partition, 0)

    def _read(self, batch: Batch) -> tuple[list[Logged], list[DeadLetter]]:
        """The batch's events, and dead letters of what is none."""
        retention_days = self._mastery.rules.retention_days
        events: list[Logged] = []
        letters: list[DeadLetter] = []
        for record in batch.records:
            try:
                if record.value is None:
                    raise InvalidInput("The record has no value.")
                event = decode(
                    record.value, received=record.received, tenant=record.tenant, event_id=record.event_id or None
                )
                check_times(event, retention_days=retention_days)
            except InvalidInput as error:
                letters.append(self._letter(record, error))
            else:
                events.append(Logged(event, record.partition, record.offset))
        return events, letters

    def _letter(self, record: Record, error: Exception) -> DeadLetter:
        student_id, event_id = peek(record.value)
        code, message = MasteryError.code, f"The fold failed: {error}"
        if isinstance(error, MasteryError):
            code, message = error.code, error.message
        logger.warning(
            "dead letter: %s", message, extra={"partition": record.partition, "offset": record.offset, "code": code}
        )
        return DeadLetter(
            REQUESTS_TOPIC,
            record.partition,
            record.offset,
            record.tenant,
            record.key,
            record.value,
            record.headers,
            record.received,
            student_id,
            event_id or record.event_id or None,
            code,
            message,
            1,
            self._mastery.clock(),
        )

    async def _look_after(self, reached: Mapping[int, int]) -> None:
        ends = await self._mastery.log.ends()
        self._mastery.metrics.queue_depth.set(
            sum(max(end - reached.get(partition, 0), 0) for partition, end in ends.items())
        )


def _is_done(reached: Mapping[int, int], until: Mapping[int, int] | None) -> bool:
    return until is not None and all(reached.get(partition, 0) >= end for partition, end in until.items())
