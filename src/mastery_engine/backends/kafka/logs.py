"""The logs on many machines: topics of Apache Kafka, over one producer. Offsets are committed last.

librdkafka's calls wait, so each client has a thread: see ``sender``, ``reader`` and ``asker``.
"""

from collections.abc import Awaitable, Callable, Sequence

from confluent_kafka import Consumer

from mastery_engine.backends.kafka.asker import Asker
from mastery_engine.backends.kafka.consent_ledger import KafkaConsentLedger
from mastery_engine.backends.kafka.dead_letters import KafkaDeadLetters
from mastery_engine.backends.kafka.event_log import KafkaEventLog
from mastery_engine.backends.kafka.result_log import KafkaResultLog
from mastery_engine.backends.kafka.sender import Sender
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topics import KafkaTopics
from mastery_engine.ports.backend import Logs
from mastery_engine.ports.event_log import REQUESTS_TOPIC

PING_S = 2.0


def open_logs(settings: KafkaSettings, *, batch_size: int = 500, rebalanced: Callable[[], None] | None = None) -> Logs:
    """The logs on a Kafka, which need not be there yet. Raises StartRefused where the settings cannot be used.

    ``batch_size`` is the most that one batch of events holds; ``rebalanced`` is called, in any thread, when partitions
    have come or gone.
    """
    topics, sender = KafkaTopics(settings), Sender(settings)
    asker, pinger, consent_asker = (Asker(settings, f"kafka-{name}") for name in ("asker", "pinger", "consent"))
    events = KafkaEventLog(settings, topics, sender, asker, batch_size=batch_size, rebalanced=rebalanced)
    return Logs(
        events=events,
        results=KafkaResultLog(topics, sender),
        dead_letters=KafkaDeadLetters(settings, topics, sender),
        consents=KafkaConsentLedger(topics, sender, consent_asker),
        connection=KafkaLogConnection(
            pinger, [events.close, sender.close, asker.close, pinger.close, consent_asker.close]
        ),
    )


class KafkaLogConnection:
    """See ``Connection``."""

    def __init__(self, pinger: Asker, closing: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """``pinger`` waits behind no other question; ``closing`` is what is to be closed, in this order."""
        self._pinger = pinger
        self._closing = closing

    async def ping(self) -> None:
        def reach(client: Consumer) -> None:
            client.list_topics(REQUESTS_TOPIC, timeout=PING_S)

        await self._pinger.ask(reach)

    async def close(self) -> None:
        for close in self._closing:
            await close()
