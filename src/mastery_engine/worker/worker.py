"""The worker: reads batches from the log, has them folded, publishes what came of it, and commits the offsets last.

A crash between any two steps is healed by reading the uncommitted batch again: the documents know which events they
hold, and hand out again the results that had not gone out.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from mastery_engine.domain.events.event import is_tenant
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.domain.results import Pending, event_type
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Forbidden, StartRefused, Unavailable
from mastery_engine.ports.checkpoints import check_marks
from mastery_engine.ports.documents import Refusal
from mastery_engine.ports.event_log import Batch, DeadLetter, Position
from mastery_engine.services import Mastery
from mastery_engine.services.folding import Folded
from mastery_engine.tasks import beside
from mastery_engine.worker.decoding import Reading
from mastery_engine.worker.flood_guard import FloodGuard, check_floods
from mastery_engine.worker.lag import keep_telling
from mastery_engine.worker.publishing import is_due, parts, traces

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Worker:
    """Works one log into one store."""

    def __init__(self, mastery: Mastery, *, after_flood: bool = False) -> None:
        """``after_flood``: somebody has looked, and what the log holds by now may all go to the dead letters."""
        self._mastery = mastery
        self._guard = FloodGuard(mastery, after_flood=after_flood)
        self._reading = Reading(mastery.rules.retention_days, mastery.clock)
        self._stopping = asyncio.Event()
        self._published_before: dict[int, int] = {}
        self._looked: Micros = 0
        self._telling: asyncio.Task[None] | None = None
        self._untold_from: Mapping[int, int] = {}

    def stop(self) -> None:
        """Finish the batch under way, then return from ``run``."""
        self._stopping.set()

    async def run(self, *, until: Mapping[int, int] | None = None) -> None:
        """Work until stopped, or until every partition has been worked up to the offsets in ``until``."""
        up = self._mastery.metrics.worker_up
        up.set(1)
        pause = FIRST_PAUSE_S
        try:
            async with beside(keep_telling(self._mastery)):
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
        """Work from where the store and the results are; True once stopped, or once ``until`` is reached.

        Raises Unavailable; what was read and not committed is to be read again then.
        """
        try:
            done = await self._work_on(until)
            await self._all_told()
            return done
        finally:
            if self._telling is not None:
                await asyncio.gather(self._telling, return_exceptions=True)  # what ended the work says more
                self._telling = None

    async def _work_on(self, until: Mapping[int, int] | None) -> bool:
        log = self._mastery.log
        log_id = await log.log_id()
        await self._guard.begin(log_id)
        reached: dict[int, int] = {}

        async def where(committed: Mapping[int, int]) -> Mapping[int, int]:
            await check_floods(self._mastery, log_id, committed)
            self._guard.forget(committed)
            marks = (await self._mastery.store.marks(log_id)).offsets
            starts = {partition: min(marks.get(partition, 0), offset) for partition, offset in committed.items()}
            _check_ahead(marks, await log.ends())
            self._published_before |= committed
            reached.update(starts)
            return starts

        async for batch in log.batches(where):
            if batch is not None:
                for part in parts(batch, self._published_before):
                    await self.work(log_id, part)
                reached |= batch.ends
            else:
                await self._all_told()
            await self._look_after(reached)
            if self._stopping.is_set() or (until is not None and _is_reached(until, reached)):
                return True
        return True

    async def work(self, log_id: str, batch: Batch) -> None:
        """Fold one batch, and begin to publish and commit it once the one before is through.

        So the next batch is folded while Kafka acknowledges this one's results. Raises Unavailable; then what is not
        committed is to be read again.
        """
        log, store = self._mastery.log, self._mastery.store
        marks = await store.marks(log_id)
        check_marks(marks.offsets, batch.starts)
        read = self._reading.read(batch)
        latest = await self._guard.counted(log_id, batch, read.unreadable, self._published_before)
        tracing = self._mastery.tracing
        causes = tracing.causes(batch.records)
        settled = {partition: self._untold_from.get(partition, start) for partition, start in batch.starts.items()}
        with tracing.steps("fold", causes, events=len(read.events)):
            folded = await self._mastery.folding.fold(read.events, settled)
        letters = await self._as_allowed([*read.letters, *self._unfolded(batch, folded)])
        await self._bury(letters)
        withheld = [Position(one.partition, one.offset) for one in letters if one.code == Forbidden.code]
        if withheld:
            await log.scrub(withheld)
        await store.move_marks(log_id, batch.starts, batch.ends, marks.life)
        self._guard.note(latest, batch)
        self._mastery.metrics.batch_records.observe(len(batch.records))
        due = [
            pending
            for student in folded.students.values()
            for pending in student.outbox
            if is_due(pending.partition, pending.offset, batch, self._published_before)
        ]
        await self._all_told()
        self._untold_from = batch.starts
        self._telling = asyncio.create_task(self._tell(batch, due, causes))

    def _unfolded(self, batch: Batch, folded: Folded) -> list[DeadLetter]:
        """Dead letters for what could not be folded, or may not be."""
        if not folded.failed and not folded.refused:
            return []
        records = {(record.partition, record.offset): record for record in batch.records}
        return [
            *[self._reading.letter(records[one.partition, one.offset], error) for one, error in folded.failed],
            *[self._reading.withheld(records[one.partition, one.offset]) for one in folded.refused],
        ]

    async def _as_allowed(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """The letters, those of students who do not allow that they be kept without what came from them.

        Whose a record is that cannot be read, its key says. Raises Unavailable.
        """
        if not letters:
            return []
        consents = self._mastery.consents
        await consents.refresh()
        return [
            (
                one
                if all(consents.allowed(key, one.received) for key in _students_of(one))
                else self._reading.withheld(one)
            )
            for one in letters
        ]

    async def _all_told(self) -> None:
        """Wait until what was folded is published and committed. Raises Unavailable."""
        if self._telling is not None:
            telling, self._telling = self._telling, None
            await telling
            self._untold_from = {}

    async def _tell(self, batch: Batch, due: Sequence[Pending], causes: Sequence[str]) -> None:
        """Publish a batch's results, then commit its offsets."""
        log = self._mastery.log
        results = [pending.result for pending in due]
        if results:
            with self._mastery.tracing.steps("publish", causes, results=len(results)):
                await log.publish(results, traces(due, batch.records))
            for kind, number in Counter(map(event_type, results)).items():
                self._mastery.metrics.results.labels(kind).inc(number)
        await log.commit(
            {partition: max(end, self._published_before.get(partition, 0)) for partition, end in batch.ends.items()}
        )

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        """Dead-letter what cannot be processed, and keep why for whoever asks about the event.

        What the group has committed was dead-lettered in its time: to read it again, as a replay does, sends nothing.
        """
        if not letters:
            return
        new = [one for one in letters if one.offset >= self._published_before.get(one.partition, 0)]
        if new:
            await self._mastery.log.bury(new)
        await self._mastery.store.note_refusals(
            [
                Refusal(
                    StudentKey(letter.tenant, letter.student_id),
                    letter.event_id,
                    letter.code,
                    letter.message,
                    letter.at,
                )
                for letter in letters
                if letter.student_id is not None and letter.event_id is not None and is_tenant(letter.tenant)
            ]
        )
        for letter in new:
            place = {"partition": letter.partition, "offset": letter.offset, "code": letter.code}
            logger.warning("dead letter: %s", letter.message, extra=place)
            self._mastery.metrics.dead_letters.labels(letter.code).inc()

    async def _look_after(self, reached: Mapping[int, int]) -> None:
        """Once a second: see whether the store still holds what it held."""
        now = self._mastery.clock()
        if now - self._looked < SECOND:
            return
        self._looked = now
        check_marks((await self._mastery.store.marks(await self._mastery.log.log_id())).offsets, reached)


def _students_of(letter: DeadLetter) -> set[StudentKey]:
    named = {letter.student_id, (letter.key or b"").decode(errors="replace")}
    return {StudentKey(letter.tenant, one) for one in named if one}


def _is_reached(until: Mapping[int, int], reached: Mapping[int, int]) -> bool:
    return all(reached.get(partition, 0) >= end for partition, end in until.items())


def _check_ahead(marks: Mapping[int, int], ends: Mapping[int, int]) -> None:
    """Raises StartRefused where the store holds more than the log: it was filled from another log, or one cut short."""
    for partition, mark in marks.items():
        if mark > ends.get(partition, 0):
            raise StartRefused(
                f"The store holds partition {partition} up to {mark}, and the log ends at {ends.get(partition, 0)}: "
                "the log has lost records. Restore it, or run mastery-engine replay to fill the store from the rest."
            )
