"""The worker: reads batches from the log, folds them, publishes the results, and commits the offsets last.

After a crash between any two steps the uncommitted batch is read again: documents know which events they hold, and
give the results again that were not published.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.clock import Clock
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import peek
from mastery_engine.domain.events.event import is_tenant
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.domain.results import Pending, event_type
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Forbidden, StartRefused, Unavailable
from mastery_engine.ports.backend import Logs
from mastery_engine.ports.checkpoints import Checkpoints, check_not_behind
from mastery_engine.ports.dead_letters import DeadLetter
from mastery_engine.ports.event_log import Batch, Position
from mastery_engine.ports.refusals import Refusal, RefusalStore
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.folding import Folded, Folding
from mastery_engine.services.moving import Moving
from mastery_engine.tasks import beside
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.tracing import Tracing
from mastery_engine.worker.decoding import RecordDecoder
from mastery_engine.worker.flood_guard import FloodGuard
from mastery_engine.worker.lag import Lag
from mastery_engine.worker.publishing import is_due, parts, traces

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
HINDERED: Micros = 2 * SECOND  # a hindrance that is over sooner is no news: documents that another worker changed
QUIET: Micros = 3 * SECOND  # nothing to work for so long after a hindrance: it is over


class Hindrance(msgspec.Struct, frozen=True):
    """Why a worker waits: since when, and from when on it last tries again."""

    message: str
    since: Micros
    retried: Micros


class Worker:
    """Works one log into one store."""

    def __init__(
        self,
        logs: Logs,
        checkpoints: Checkpoints,
        refusals: RefusalStore,
        folding: Folding,
        moving: Moving,
        consents: Consents,
        courses: Courses,
        decoder: RecordDecoder,
        guard: FloodGuard,
        lag: Lag,
        clock: Clock,
        metrics: Metrics,
        tracing: Tracing,
    ) -> None:
        self._events, self._results, self._dead_letters = logs.events, logs.results, logs.dead_letters
        self._checkpoints = checkpoints
        self._refusals = refusals
        self._folding = folding
        self._moving = moving
        self._consents = consents
        self._courses = courses
        self._decoder = decoder
        self._guard = guard
        self._lag = lag
        self._clock = clock
        self._metrics = metrics
        self._tracing = tracing
        self._stopping = asyncio.Event()
        self._published_before: dict[int, int] = {}
        self._looked: Micros = 0
        self._publishing: asyncio.Task[None] | None = None
        self._unpublished_from: Mapping[int, int] = {}
        self._hindrance: Hindrance | None = None
        self.refused = 0  # records read that this worker could not fold

    def check(self) -> None:
        """Raises Unavailable, which says why, where the worker has waited for a while and tries the same again."""
        if self._hindrance is not None and self._clock() - self._hindrance.since > HINDERED:
            raise Unavailable(f"The worker waits, and tries again: {self._hindrance.message}")

    def stop(self) -> None:
        """Finish the batch under way, then return from ``run``."""
        self._stopping.set()

    async def run(self, *, until: Mapping[int, int] | None = None, after_flood: bool = False) -> None:
        """Work until stopped, or until every partition was folded up to the offsets in ``until``.

        ``after_flood`` accepts that what the log holds now may go to the dead letters. Raises Flooded, and StartRefused
        if the log has lost records.
        """
        if after_flood:
            self._guard.pass_over_flood()
        up = self._metrics.worker_up
        up.set(1)
        pause = FIRST_PAUSE_S
        try:
            async with beside(self._lag.keep_measuring()):
                while not self._stopping.is_set():
                    try:
                        if await self._work_from_where_we_are(until):
                            return
                    except Unavailable as error:
                        now = self._clock()
                        if self._hindrance is None:
                            logger.warning("the worker cannot go on yet: %s", error)
                            pause = FIRST_PAUSE_S
                        since = now if self._hindrance is None else self._hindrance.since
                        self._hindrance = Hindrance(error.message, since, now)
                        await self._sleep(pause)
                        pause = min(2 * pause, LONGEST_PAUSE_S)
                        self._hindrance = Hindrance(error.message, since, self._clock())
        finally:
            up.set(0)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _work_from_where_we_are(self, until: Mapping[int, int] | None) -> bool:
        """Work from the positions of the store and the results; True once stopped, or once ``until`` is reached.

        Raises Unavailable; then what was read and not committed must be read again.
        """
        try:
            done = await self._work_on(until)
            await self._all_published()
            return done
        finally:
            if self._publishing is not None:
                await asyncio.gather(self._publishing, return_exceptions=True)  # the first error is the one to raise
                self._publishing = None

    async def _work_on(self, until: Mapping[int, int] | None) -> bool:
        log_id = await self._events.log_id()
        await self._guard.begin(log_id)
        self._consents.links.begin_again()  # whatever a store lost of what was moved is moved again
        reached: dict[int, int] = {}

        async def start_offsets(committed: Mapping[int, int]) -> Mapping[int, int]:
            await self._guard.check(log_id, committed)
            self._guard.forget(committed)
            held = (await self._checkpoints.read(log_id)).offsets
            starts = {partition: min(held.get(partition, 0), offset) for partition, offset in committed.items()}
            _check_not_ahead(held, await self._events.ends())
            self._published_before |= committed
            reached.update(starts)
            return starts

        async for batch in self._events.batches(start_offsets):
            if batch is not None:
                for part in parts(batch, self._published_before):
                    await self.work(log_id, part)
                reached |= batch.ends
            else:
                await self._all_published()
                if self._hindrance is not None and self._clock() - self._hindrance.retried > QUIET:
                    self._hindrance = None
            await self._look_after(reached)
            if self._stopping.is_set() or (until is not None and _is_reached(until, reached)):
                return True
        return True

    async def work(self, log_id: str, batch: Batch) -> None:
        """Fold one batch, and start to publish and commit it once the batch before is published.

        So the next batch is folded while Kafka acknowledges this one's results. Raises Unavailable; then what is not
        committed must be read again.
        """
        checkpoint = await self._checkpoints.read(log_id)
        check_not_behind(checkpoint.offsets, batch.starts)
        decoded = self._decoder.decode(batch)
        if await self._courses.learn(decoded.courses, self._clock()):
            decoded = self._decoder.decode(batch)  # its days are those of courses that were not known before
        latest = await self._guard.counted(log_id, batch, decoded.unreadable, self._published_before)
        causes = self._tracing.causes(batch.records)
        settled = {partition: self._unpublished_from.get(partition, start) for partition, start in batch.starts.items()}
        with self._tracing.steps("fold", causes, events=len(decoded.events)):
            folded = await self._folding.fold(decoded.events, self._clock(), settled, keeps_students=False)
        letters = await self._as_allowed([*decoded.letters, *self._unfolded(batch, folded)])
        await self._dead_letter(letters)
        withheld = [Position(one.partition, one.offset) for one in letters if one.code == Forbidden.code]
        if withheld:
            await self._events.scrub(withheld)
        await self._checkpoints.move(log_id, batch.starts, batch.ends, checkpoint.server_epoch)
        self.refused += len(letters)
        self._guard.note(latest, batch)
        self._metrics.batch_records.observe(len(batch.records))
        due = [
            pending
            for pending in folded.outbox
            if is_due(pending.partition, pending.offset, batch, self._published_before)
        ]
        await self._all_published()
        self._unpublished_from = batch.starts
        self._publishing = asyncio.create_task(self._publish(batch, due, causes))

    def _unfolded(self, batch: Batch, folded: Folded) -> list[DeadLetter]:
        """Dead letters for events that failed to fold, and for events without consent."""
        if not folded.failed and not folded.refused:
            return []
        records = {(record.partition, record.offset): record for record in batch.records}
        return [
            *[self._decoder.letter(records[one.partition, one.offset], error) for one, error in folded.failed],
            *[self._decoder.withheld(records[one.partition, one.offset]) for one in folded.refused],
        ]

    async def _as_allowed(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """The letters; those of students without consent are stripped of the students' data.

        The student of a record that cannot be read is found by its key. Raises Unavailable.
        """
        if not letters:
            return []
        await self._consents.refresh()
        return [
            (
                one
                if all(self._consents.allowed(key, one.received) for key in _students_of(one))
                else self._decoder.withheld(one)
            )
            for one in letters
        ]

    async def _all_published(self) -> None:
        """Wait until everything folded is published and committed. Raises Unavailable."""
        if self._publishing is not None:
            publishing, self._publishing = self._publishing, None
            await publishing
            self._unpublished_from = {}

    async def _publish(self, batch: Batch, due: Sequence[Pending], causes: Sequence[str]) -> None:
        """Publish a batch's results, then commit its offsets."""
        results = [pending.result for pending in due]
        if results:
            with self._tracing.steps("publish", causes, results=len(results)):
                await self._results.publish(results, traces(due, batch.records))
            for kind, number in Counter(map(event_type, results)).items():
                self._metrics.results.labels(kind).inc(number)
        await self._events.commit(
            {partition: max(end, self._published_before.get(partition, 0)) for partition, end in batch.ends.items()}
        )
        self._hindrance = None

    async def _dead_letter(self, letters: Sequence[DeadLetter]) -> None:
        """Dead-letter what cannot be processed, and store the reason for the event's status.

        Records below the group's committed offsets were dead-lettered before: reading them again sends nothing.
        """
        if not letters:
            return
        new = [one for one in letters if one.offset >= self._published_before.get(one.partition, 0)]
        if new:
            await self._dead_letters.append(new)
        await self._refusals.put(
            [
                Refusal(
                    StudentKey(letter.tenant, letter.student_id),
                    letter.event_id,
                    letter.code,
                    letter.message,
                    letter.at,
                    peek(None if letter.value is None else unwrap(letter.value)[0]).course_id,
                )
                for letter in letters
                if letter.student_id is not None and letter.event_id is not None and is_tenant(letter.tenant)
            ]
        )
        for letter in new:
            place = {"partition": letter.partition, "offset": letter.offset, "code": letter.code}
            logger.warning("dead letter: %s", letter.message, extra=place)
            self._metrics.dead_letters.labels(letter.code).inc()

    async def _look_after(self, reached: Mapping[int, int]) -> None:
        """Once a second, check that the store still holds what it held, and move evidence that is to be moved."""
        now = self._clock()
        if now - self._looked < SECOND:
            return
        self._looked = now
        check_not_behind((await self._checkpoints.read(await self._events.log_id())).offsets, reached)
        if await self._consents.refresh_lately(now):
            await self._moving.finish_latest()


def _students_of(letter: DeadLetter) -> set[StudentKey]:
    named = {letter.student_id, (letter.key or b"").decode(errors="replace")}
    return {StudentKey(letter.tenant, one) for one in named if one}


def _is_reached(until: Mapping[int, int], reached: Mapping[int, int]) -> bool:
    return all(reached.get(partition, 0) >= end for partition, end in until.items())


def _check_not_ahead(held: Mapping[int, int], ends: Mapping[int, int]) -> None:
    """Raises StartRefused if the store is ahead of the log: it was filled from another log, or the log was cut."""
    for partition, offset in held.items():
        if offset > ends.get(partition, 0):
            raise StartRefused(
                f"The store holds partition {partition} up to {offset}, but the log ends at {ends.get(partition, 0)}: "
                "the log has lost records. Restore it, or run mastery-engine replay to rebuild the store from the rest."
            )
