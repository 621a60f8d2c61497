"""The producer: idempotent, every replica acknowledges; one thread polls it."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from mastery_engine.backends.kafka.faults import ANSWER_S, STALLED, Complaints, as_engine_error, new_client
from mastery_engine.backends.kafka.headers import SentHeaders
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import LARGEST_BYTES
from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import Position

DELIVERY_MS = 8_000
STALLED_S = 3.5  # without any acknowledgement
REFUSED_S = 15.0  # a refusal is told for so long, where no later write has succeeded: there may be none

# Topic, key, value and headers.
OutgoingMessage: TypeAlias = tuple[str, bytes | None, bytes | None, dict[str, str] | SentHeaders]


class Sender:
    """The producer: idempotent, every replica acknowledges. One that Kafka has fenced is replaced."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._complaints = Complaints()
        self._producer = self._new_producer()
        self._broken = False
        self._under_way: dict[SentMessages, None] = {}
        self._refusal: tuple[float, Unavailable] | None = None
        self._open = True
        self._thread = threading.Thread(target=self._poll, name="kafka-producer", daemon=True)
        self._thread.start()

    def _new_producer(self) -> Producer:
        return new_client(
            Producer,
            self._settings.client(
                **{
                    "enable.idempotence": True,
                    "acks": "all",
                    "compression.type": "lz4",
                    "linger.ms": 2,
                    "delivery.timeout.ms": DELIVERY_MS,
                    "queue.buffering.max.messages": 500_000,
                    "message.max.bytes": LARGEST_BYTES,
                    "error_cb": self._complaints,
                }
            ),
        )

    def _poll(self) -> None:
        while self._open:
            self._producer.poll(0.1)

    async def send(self, messages: Sequence[OutgoingMessage]) -> list[Position]:
        """Send; durable on return, positions in order. Raises Unavailable; some may have gone out then."""
        if not messages:
            return []
        if self._broken:
            self._producer, self._broken = self._new_producer(), False
        delivery = SentMessages(len(messages), self._fenced, self._complaints)
        for place, (topic, key, value, headers) in enumerate(messages):
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    headers=headers,  # type: ignore[arg-type]  # the client's stub knows no dict of text alone
                    on_delivery=partial(delivery.delivered, place),
                )
            except (BufferError, KafkaException) as error:
                delivery.failed(error, len(messages) - place)
                break
        self._under_way[delivery] = None
        try:
            positions = await delivery.done
        except Unavailable as error:
            self._refusal = (monotonic(), error)
            raise
        finally:
            del self._under_way[delivery]
        self._refusal = None
        return positions

    def check(self) -> None:
        """Raises Unavailable where Kafka acknowledges nothing of what is under way, or has just refused something."""
        now = monotonic()
        if self._refusal is not None and now - self._refusal[0] < REFUSED_S:
            raise Unavailable(self._refusal[1].message)
        if any(now - delivery.progressed > STALLED_S for delivery in self._under_way):
            raise Unavailable(self._complaints.advice or STALLED)

    def _fenced(self) -> None:
        self._broken = True

    async def close(self) -> None:
        """Send what waits; may be called twice."""
        await asyncio.to_thread(self._producer.flush, ANSWER_S)
        self._open = False
        await asyncio.to_thread(self._thread.join)


class SentMessages:
    """What became of messages that were sent together: the producer's thread reports it, and the loop awaits it."""

    def __init__(self, number: int, fenced: Callable[[], None], complaints: Complaints) -> None:
        self._fenced, self._complaints = fenced, complaints
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[list[Position]] = self._loop.create_future()
        self._left = number
        self.progressed = monotonic()
        self._lock = threading.Lock()
        self._error: Exception | None = None
        self._positions = [Position(-1, -1)] * number

    def delivered(self, place: int, error: KafkaError | None, sent: Message) -> None:
        """A message's delivery report."""
        if error is not None:
            self.failed(KafkaException(error), 1)
            return
        self.progressed = monotonic()
        self._positions[place] = Position(sent.partition() or 0, sent.offset() or 0)
        self._count(1)

    def failed(self, error: Exception, number: int) -> None:
        """So many messages did not arrive."""
        self._error = error
        reason = error.args[0] if error.args else None
        if isinstance(reason, KafkaError) and (reason.fatal() or reason.code() == KafkaError._FATAL):
            self._fenced()
        self._count(number)

    def _count(self, number: int) -> None:
        with self._lock:
            self._left -= number
            if self._left:
                return
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if self.done.done():
            return
        if self._error is None:
            self._complaints.clear()
            self.done.set_result(self._positions)
        else:
            self.done.set_exception(as_engine_error(self._error, self._complaints))
