"""What all clients of Kafka share: how long they wait, and Kafka's errors as the engine's."""

from confluent_kafka import KafkaError

from mastery_engine.errors import MasteryError, TooLarge, Unavailable

ANSWER_S = 10.0


def away(error: Exception) -> Exception:
    if isinstance(error, MasteryError):
        return error
    reason = error.args[0] if error.args else None
    if isinstance(reason, KafkaError) and reason.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return TooLarge("This is more than Kafka takes as one record: see max.message.bytes of the topic.")
    return Unavailable(f"Kafka is away ({error.args[0] if error.args else type(error).__name__}): nothing was lost.")
