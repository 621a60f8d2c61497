"""The logs on many machines: topics of Apache Kafka, over one producer. Offsets are committed last.

librdkafka's calls wait, so each client has a thread: see ``sender``, ``reader`` and ``asker``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from confluent_kafka import Consumer
from confluent_kafka.admin import PartitionMetadata  # type: ignore[attr-defined]

from mastery_engine.backends.kafka.asker import Asker
from mastery_engine.backends.kafka.consent_ledger import KafkaConsentLedger
from mastery_engine.backends.kafka.dead_letters import KafkaDeadLetters
from mastery_engine.backends.kafka.event_log import KafkaEventLog
from mastery_engine.backends.kafka.faults import FEW_IN_STEP, LEADERLESS
from mastery_engine.backends.kafka.platform_topic_dangers import PlatformTopicWatch
from mastery_engine.backends.kafka.result_log import KafkaResultLog
from mastery_engine.backends.kafka.sender import Sender
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_dangers import dangers_in, settings_of_topics
from mastery_engine.backends.kafka.topic_plans import TOPICS
from mastery_engine.backends.kafka.topics import KafkaTopics
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Danger, Logs

PING_S = 2.0
PLATFORM_S = 1.5  # of the time that there is for the dangers of all topics

logger = logging.getLogger(__name__)


def open_logs(
    settings: KafkaSettings,
    *,
    batch_size: int = 500,
    rebalanced: Callable[[], None] | None = None,
    platform_topic: str | None = None,
) -> Logs:
    """The logs on a Kafka, which need not be there yet. Raises StartRefused where the settings cannot be used.

    ``batch_size`` is the most that one batch of events holds; ``rebalanced`` is called, in any thread, when partitions
    have come or gone. ``platform_topic`` is another platform's, whose dead letters go back there.
    """
    topics, sender = KafkaTopics(settings), Sender(settings)
    asker, pinger, consent_asker = (Asker(settings, f"kafka-{name}") for name in ("asker", "pinger", "consent"))
    events = KafkaEventLog(settings, topics, sender, asker, batch_size=batch_size, rebalanced=rebalanced)
    dead_letters = KafkaDeadLetters(settings, topics, sender, platform_topic)
    return Logs(
        events=events,
        results=KafkaResultLog(topics, sender),
        dead_letters=dead_letters,
        consents=KafkaConsentLedger(topics, sender, consent_asker),
        connection=KafkaLogConnection(
            settings,
            sender,
            pinger,
            [events.close, sender.close, asker.close, pinger.close, consent_asker.close, dead_letters.close],
            None if platform_topic is None else PlatformTopicWatch(settings, platform_topic),
        ),
    )


class KafkaLogConnection:
    """See ``Connection``. How many replicas must be in step is known once ``dangers`` has looked at the topics."""

    def __init__(
        self,
        settings: KafkaSettings,
        sender: Sender,
        pinger: Asker,
        closing: Sequence[Callable[[], Awaitable[None]]],
        platform_topic: PlatformTopicWatch | None = None,
    ) -> None:
        """``pinger`` waits behind no other question; ``closing`` is what is to be closed, in this order."""
        self._platform_topic = platform_topic
        self._settings = settings
        self._sender = sender
        self._pinger = pinger
        self._closing = closing
        self._least_in_step: dict[str, int] = {}

    async def ping(self) -> None:
        """It writes nothing, since consumers would see it: it asks whether the topics could take a record."""
        await self._pinger.ask(partial(_check_topics, self._least_in_step))
        self._sender.check()

    async def dangers(self) -> list[Danger]:
        topics = await asyncio.to_thread(settings_of_topics, self._settings)
        self._least_in_step = {topic.name: topic.least_in_step for topic in topics}
        dangers = dangers_in(topics, self._settings)
        return dangers if self._platform_topic is None else [*dangers, *await self._of_platform(self._platform_topic)]

    async def _of_platform(self, topic: PlatformTopicWatch) -> list[Danger]:
        """What is wrong with the platform's topic; nothing where that cannot be seen now, which must hide no danger."""
        try:
            async with asyncio.timeout(PLATFORM_S):
                return await asyncio.to_thread(topic.dangers)
        except (TimeoutError, Unavailable) as error:
            logger.info("the platform's topic cannot be looked at now: %s", error)
            return []

    async def close(self) -> None:
        for close in self._closing:
            await close()


def _check_topics(least_in_step: Mapping[str, int], client: Consumer) -> None:
    for name in TOPICS:
        topic = client.list_topics(name, timeout=PING_S).topics[name]
        check_partitions(topic.partitions.values(), least_in_step.get(name, 1))


def check_partitions(partitions: Iterable[PartitionMetadata], least_in_step: int) -> None:
    """Raises Unavailable where a partition could take no record. Of fewer replicas than asked for all must be there."""
    for partition in partitions:
        if partition.leader == -1:
            raise Unavailable(LEADERLESS)
        if len(partition.isrs) < min(least_in_step, len(partition.replicas)):
            raise Unavailable(FEW_IN_STEP)
