"""The bridge: what another platform writes on a topic of its own goes, translated, into the log of learning events.

Offsets are committed once the events are durable in the log. After a crash between both the records are read again:
their events have the same ids, so that they count once, on a replay of the log too.

A record was received when the topic took it, and not when it is taken over from there: so what lay in the topic before
an erasure, or came while consent was withdrawn, does not count because it is read later.
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
from mastery_engine.domain.moments import SECOND, Micros, moment_of
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
WITHHELD = "The student did not consent to processing when this record was received, or was erased."
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
HINDERED: Micros = 2 * SECOND  # a hindrance that is over sooner is no news
QUIET: Micros = 30 * SECOND  # no fault for so long: it is over, though no record has come since


class Hindered(msgspec.Struct, frozen=True):
    """Why nothing is taken over, since when, and when that was last so."""

    message: str
    since: Micros
    latest: Micros


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
        self._hindrance: Hindered | None = None

    def warnings(self) -> list[str]:
        """Why nothing is taken over from the topic now, if that is so for a while: the platform's trouble, not ours."""
        if self._hindrance is None or self._clock() - self._hindrance.since < HINDERED:
            return []
        name, message = self._topic.name, self._hindrance.message
        return [f"Nothing is taken over from the topic {name}, and it is tried again: {message}"]

    async def keep_running(self) -> None:
        """Work until cancelled. What hinders it is logged once, shown by readiness, and tried again."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                has_worked = await self.work_next()
            except Unavailable as error:
                self._hinder(error.message)
            except Exception as error:  # a fault of ours must not end the taking over, and must not be silent
                if self._hinder(f"A fault of the engine, which is in its log ({type(error).__name__})."):
                    logger.exception("the topic %s cannot be worked", self._topic.name)
            else:
                pause = FIRST_PAUSE_S
                # A reading without records tells nothing of a topic that is not there, which Kafka says now and then.
                if self._hindrance is not None and (has_worked or self._clock() - self._hindrance.latest > QUIET):
                    logger.warning("the topic %s is worked again", self._topic.name)
                    self._hindrance = None
                continue
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _hinder(self, message: str) -> bool:
        """Note why the topic cannot be worked; whether that is news, which is logged."""
        now, before = self._clock(), self._hindrance
        self._hindrance = Hindered(message, now if before is None else before.since, now)
        is_news = before is None or before.message != message
        if is_news:
            logger.warning("the topic %s cannot be worked at the moment: %s", self._topic.name, message)
        return is_news

    async def work_next(self) -> bool:
        """Work the next batch, or the one that was not worked to its end; whether there was one. Raises Unavailable."""
        if self._batch is None:
            self._batch = await self._topic.read()
        if self._batch is None:
            return False
        await self._work(self._batch)
        await self._topic.commit(self._batch.ends)
        self._batch = None
        return True

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
        now = self._clock()
        receipts = [min(record.received, now) if record.received > 0 else now for record in records]
        said = [self._translated(record) for record in records]
        students = await self._doorways.students_of(tenant, said)
        allowed = [self._is_allowed(tenant, one, at, students) for one, at in zip(said, receipts, strict=True)]
        translations = [
            one if may else Translation("refused", one.message_id, WITHHELD)
            for one, may in zip(said, allowed, strict=True)
        ]
        sender = PlatformCaller(Caller(self._topic.name, "service", tenant), None)
        results = await self._doorways.take_translated(sender, DOOR, translations, known=students, received=receipts)
        return [
            self._letter_of(record, translation, result.reason or "", students, may=may)
            for record, translation, result, may in zip(records, said, results, allowed, strict=True)
            if result.status == "refused"
        ]

    def _is_allowed(
        self, tenant: str, translation: Translation, received: Micros, students: Mapping[Identity, str]
    ) -> bool:
        """Whether all whom a message is about allow processing now, and did when the topic took it."""
        for draft in translation.drafts:
            key = StudentKey(tenant, students[draft.identity])
            at = received if draft.timestamp is None else moment_of(draft.timestamp)
            if not (self._consents.state(key).processing and self._consents.allowed(key, received, at)):
                return False
        return True

    def _letter_of(
        self, record: Record, translation: Translation, reason: str, students: Mapping[Identity, str], *, may: bool
    ) -> DeadLetter:
        """A dead letter of a message; of a student without consent none of their data is kept."""
        keys = [StudentKey(record.tenant, students[draft.identity]) for draft in translation.drafts]
        name, now = self._topic.name, self._clock()
        if not keys:
            return letter_of(name, record, InvalidInput.code, reason, now)
        if not may:
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
