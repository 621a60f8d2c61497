"""What all clients of Kafka share: how long they wait, and Kafka's errors as the engine's."""

import logging
from collections.abc import Callable, Mapping
from time import sleep
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message

from mastery_engine.errors import MasteryError, StartRefused, TooLarge, Unavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")

ANSWER_S = 10.0
LOOK_S, MOST_LOOKS = 0.2, 15

UNSETTLED = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}

ADVICE = {
    KafkaError._AUTHENTICATION: (
        "Kafka refuses the credentials: set KAFKA_USERNAME, KAFKA_PASSWORD and KAFKA_SASL_MECHANISM as the cluster has "
        "them."
    ),
    KafkaError._SSL: (
        "TLS with Kafka fails: set KAFKA_CA_FILE to the PEM file of the authority that signed the brokers' "
        "certificates, and KAFKA_SECURITY_PROTOCOL to what the listener speaks."
    ),
}

UNREACHABLE = (
    "Kafka is away: nothing was lost. If it should be there, look at KAFKA_BROKER and KAFKA_SECURITY_PROTOCOL."
)
SILENT = (
    "Kafka has not answered in time: nothing was lost. If it should be there, look at KAFKA_BROKER and "
    "KAFKA_SECURITY_PROTOCOL."
)
STALLED = "Kafka acknowledges nothing of what was sent: look at its brokers. Nothing that was acknowledged was lost."
FEW_IN_STEP = (
    "Kafka has fewer replicas in step than min.insync.replicas asks for, and takes no records: bring the missing "
    "brokers back. Nothing was lost."
)
LEADERLESS = "A partition of Kafka has no leader: bring the missing brokers back. Nothing was lost."
NOT_PERMITTED = (
    "Kafka does not permit its user what the engine needs: permit it to read, write and describe the topics "
    "mastery.*, and to read as the group mastery-engine-v1."
)
WORDS = {
    KafkaError._ALL_BROKERS_DOWN: UNREACHABLE,
    KafkaError._TRANSPORT: UNREACHABLE,
    KafkaError._RESOLVE: UNREACHABLE,
    KafkaError.BROKER_NOT_AVAILABLE: UNREACHABLE,
    KafkaError.NETWORK_EXCEPTION: UNREACHABLE,
    KafkaError._TIMED_OUT: SILENT,
    KafkaError._MSG_TIMED_OUT: SILENT,
    KafkaError._TIMED_OUT_QUEUE: SILENT,
    KafkaError.REQUEST_TIMED_OUT: SILENT,
    KafkaError.NOT_ENOUGH_REPLICAS: FEW_IN_STEP,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: FEW_IN_STEP,
    KafkaError.LEADER_NOT_AVAILABLE: LEADERLESS,
    KafkaError.NOT_LEADER_FOR_PARTITION: LEADERLESS,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: NOT_PERMITTED,
    KafkaError.GROUP_AUTHORIZATION_FAILED: NOT_PERMITTED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: NOT_PERMITTED,
    KafkaError.UNKNOWN_TOPIC_OR_PART: (
        "Kafka lacks a topic of the engine, or does not show it to this user: run mastery-engine topics create."
    ),
    KafkaError._UNKNOWN_TOPIC: (
        "Kafka lacks a topic of the engine, or does not show it to this user: run mastery-engine topics create."
    ),
    KafkaError.KAFKA_STORAGE_ERROR: "The disk of a broker of Kafka fails or is full: mend it. Nothing was lost.",
    KafkaError._QUEUE_FULL: "Kafka takes records more slowly than they come: send them again later.",
}


class Complaints:
    """A client's ``error_cb``: why it cannot reach Kafka, where the answers to its calls only say that it cannot."""

    def __init__(self) -> None:
        self.advice: str | None = None

    def __call__(self, error: KafkaError) -> None:
        self.advice = ADVICE.get(error.code(), self.advice)

    def clear(self) -> None:
        self.advice = None


def new_client(kind: Callable[[dict[str, Any]], T], config: Mapping[str, Any]) -> T:
    """A client of librdkafka. Raises StartRefused where its settings cannot be used."""
    try:
        return kind(dict(config))
    except (KafkaException, ValueError) as error:
        raise StartRefused(
            f"The settings for Kafka cannot be used ({error.args[0]}): look at KAFKA_SECURITY_PROTOCOL, "
            "KAFKA_SASL_MECHANISM, KAFKA_USERNAME, KAFKA_PASSWORD and KAFKA_CA_FILE."
        ) from error


def when_settled(ask: Callable[[], T]) -> T:
    """The answer, though a topic was just made, or its leader or the group's moves: not every broker knows at once."""
    for _ in range(MOST_LOOKS):
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in UNSETTLED:
                raise
        sleep(LOOK_S)
    return ask()


def is_end(message: Message) -> bool:
    """Whether this is no record, but says that the partition holds none from its offset on. Raises KafkaException.

    The log's end is not always one past a record: transactions leave marks there, and what was last may have aged out.
    """
    fault = message.error()
    if fault is None:
        return False
    if fault.code() == KafkaError._PARTITION_EOF:
        return True
    raise KafkaException(fault)


def as_engine_error(error: Exception, complaints: Complaints | None = None) -> Exception:
    """An error of the client as the engine raises it, with advice where there is some."""
    if isinstance(error, MasteryError):
        return error
    reason = error.args[0] if error.args else None
    if isinstance(reason, KafkaError) and reason.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return TooLarge("This is more than Kafka takes as one record: see max.message.bytes of the topic.")
    if complaints is not None and complaints.advice is not None:
        return Unavailable(complaints.advice)
    if isinstance(reason, KafkaError) and reason.code() in WORDS:
        return Unavailable(WORDS[reason.code()])
    if isinstance(error, BufferError):
        return Unavailable(WORDS[KafkaError._QUEUE_FULL])
    logger.warning("Kafka's client says %s: %s", type(error).__name__, reason or error)
    return Unavailable("Kafka does not do what the engine asks: nothing was lost. The engine's log has its words.")
