"""The bridge: what another platform writes on a topic of its own goes, translated, into the log of learning events.

Offsets are committed once the events are durable in the log. After a crash between both the records are read again:
their events have the same ids, so that they count once, on a replay of the log too.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.auth.credentials import PlatformCaller
from mastery_engine.clock import Clock
from mastery_engine.domain.events.event import check_tenant
from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.student import StudentKey
from mastery_engine.doors.drafts import DoorName, Translation
from mastery_engine.doors.openedx.avro import message_of
from mastery_engine.errors import Forbidden, InvalidInput, Unavailable
from mastery_engine.ports.dead_letters import DeadLetter, DeadLetterQueue, letter_of
from mastery_engine.ports.event_log import Batch, Record
from mastery_engine.ports.platform_topic import PlatformTopic
from mastery_engine.services.consents import Consents
from mastery_engine.services.doorways import Doorways
from mastery_engine.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

DOOR: DoorName = "openedx"
KINDS = ("ce_type", "type")  # the headers by which the event bus says what a record is
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0


class TopicBridge:
    """Works one topic of Open edX into the log."""

    def __init__(
        self,
        topic: PlatformTopic,
        doorways: Doorways,
        consents: Consents,
        dead_letters: DeadLetterQueue,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._topic = topic
        self._doorways = doorways
        self._consents = consents
        self._dead_letters = dead_letters
        self._clock = clock
        self._metrics = metrics
        self._batch: Batch | None = None

    async def keep_running(self) -> None:
        """Work until cancelled. What hinders it is logged once, and tried again."""
        pause, hindered = FIRST_PAUSE_S, False
        while True:
            try:
                await self.work_next()
                pause, hindered = FIRST_PAUSE_S, False
            except Unavailable as error:
                if not hindered:
                    logger.warning("the topic %s cannot be worked at the moment: %s", self._topic.name, error.message)
                hindered = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    async def work_next(self) -> None:
        """Work the next batch, or the one that was not worked to its end. Raises Unavailable."""
        if self._batch is None:
            self._batch = await self._topic.read()
        if self._batch is not None:
            await self._work(self._batch)
            await self._topic.commit(self._batch.ends)
            self._batch = None

    async def close(self) -> None:
        """Let others read the topic; may be called twice."""
        await self._topic.close()

    async def _work(self, batch: Batch) -> None:
        by_tenant: dict[str, list[Record]] = defaultdict(list)
        letters: list[DeadLetter] = []
        for record in batch.records:
            try:
                by_tenant[check_tenant(record.tenant)].append(record)
            except InvalidInput as error:
                self._metrics.door_messages.labels(DOOR, "refused").inc()
                letters.append(letter_of(self._topic.name, record, error.code, error.message, self._clock()))
        for tenant, records in by_tenant.items():
            letters += await self._work_tenant(tenant, records)
        if letters:
            await self._dead_letters.append(letters)
        for letter in letters:
            place = {"topic": letter.topic, "partition": letter.partition, "offset": letter.offset}
            logger.warning("dead letter: %s", letter.message, extra={**place, "code": letter.code})
            self._metrics.dead_letters.labels(letter.code).inc()

    async def _work_tenant(self, tenant: str, records: list[Record]) -> list[DeadLetter]:
        """The dead letters of what is refused. What is ignored is counted, and is none."""
        translations = [self._translated(record) for record in records]
        sender = PlatformCaller(Caller(self._topic.name, "service", tenant), None)
        results = await self._doorways.take_translated(sender, DOOR, translations)
        refused = [
            (record, translation, result.reason or "")
            for record, translation, result in zip(records, translations, results, strict=True)
            if result.status == "refused"
        ]
        if not refused:
            return []
        students = await self._doorways.students_of(tenant, [translation for _, translation, _ in refused])
        return [self._letter_of(record, translation, reason, students) for record, translation, reason in refused]

    def _letter_of(
        self, record: Record, translation: Translation, reason: str, students: Mapping[Identity, str]
    ) -> DeadLetter:
        """A dead letter of a message; of a student without consent none of their data is kept."""
        keys = [StudentKey(record.tenant, students[draft.identity]) for draft in translation.drafts]
        name, now = self._topic.name, self._clock()
        if not keys:
            return letter_of(name, record, InvalidInput.code, reason, now)
        if not all(self._consents.state(key).processing for key in keys):
            bare = msgspec.structs.replace(record, key=None, value=None, headers={})
            return letter_of(name, bare, Forbidden.code, reason, now)
        student_id, event_id = keys[0].student_id, translation.drafts[0].event_id
        return letter_of(name, record, InvalidInput.code, reason, now, student_id=student_id, event_id=event_id)

    def _translated(self, record: Record) -> Translation:
        kind = next((record.headers[name] for name in KINDS if name in record.headers), None)
        try:
            return self._doorways.translated(DOOR, message_of(record.value, kind))
        except InvalidInput as error:
            return Translation("refused", reason=error.message)
