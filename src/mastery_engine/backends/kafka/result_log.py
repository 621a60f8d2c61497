"""Results as two topics of Kafka: scores on one, what happened to a student on the other."""

from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.backends.kafka.headers import SOURCE, cloudevent_headers
from mastery_engine.backends.kafka.sender import OutgoingMessage, Sender
from mastery_engine.backends.kafka.topics import KafkaTopics
from mastery_engine.domain.events.traceparent import TRACEPARENT
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result, message, topic_of
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.result_log import NO_TRACES

_encode = msgspec.json.Encoder().encode


class KafkaResultLog:
    """See ``ResultLog``."""

    def __init__(self, topics: KafkaTopics, sender: Sender) -> None:
        self._topics = topics
        self._sender = sender

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        await self._topics.log_id()
        outgoing: list[OutgoingMessage] = []
        for result in results:
            sent = message(result)
            headers = cloudevent_headers(
                sent.event_id, SOURCE, sent.event_type, sent.timestamp, sent.student_id, sent.tenant
            )
            if sent.event_id in traceparents:
                headers[TRACEPARENT] = traceparents[sent.event_id]
            outgoing.append((topic_of(result), sent.student_id.encode(), _encode(sent), headers))
        await self._sender.send(outgoing)

    async def erase(self, key: StudentKey) -> int:
        """Records on Kafka cannot be taken out singly: ``EventLog.retained_until`` says how long they stay."""
        del key
        return 0

    async def purge(self, before: Micros) -> int:
        """Records on Kafka cannot be taken out singly: they age out by the topics' retention."""
        del before
        return 0
