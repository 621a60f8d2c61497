"""What all clients of Kafka share: how long they wait, and Kafka's errors as the engine's."""

from collections.abc import Callable, Mapping
from time import sleep
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message

from mastery_engine.errors import MasteryError, StartRefused, TooLarge, Unavailable

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

AWAY = "If it should be there, look at KAFKA_BROKER and KAFKA_SECURITY_PROTOCOL."


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
    why = reason.str() if isinstance(reason, KafkaError) else reason or type(error).__name__
    return Unavailable(f"Kafka is away ({why}): nothing was lost. {AWAY}")
