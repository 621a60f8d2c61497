"""Kafka's errors as the engine's: what to do is said where it is known."""

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from mastery_engine.backends.kafka import faults as kafka_faults
from mastery_engine.backends.kafka.faults import MOST_LOOKS, Complaints, as_engine_error, new_client, when_settled
from mastery_engine.errors import StartRefused, TooLarge, Unavailable


def fault(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


def test_a_complaint_says_what_to_do_until_kafka_answers() -> None:
    complaints = Complaints()
    complaints(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert "Kafka is away" in str(as_engine_error(fault(KafkaError._TRANSPORT), complaints))
    complaints(KafkaError(KafkaError._AUTHENTICATION))
    complaints(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert "KAFKA_PASSWORD" in str(as_engine_error(fault(KafkaError._TRANSPORT), complaints))
    complaints(KafkaError(KafkaError._SSL))
    assert "KAFKA_CA_FILE" in str(as_engine_error(fault(KafkaError._TRANSPORT), complaints))
    complaints.clear()
    assert "Kafka is away" in str(as_engine_error(fault(KafkaError._TRANSPORT), complaints))


def test_what_is_away_names_the_setting() -> None:
    assert "KAFKA_BROKER" in str(as_engine_error(fault(KafkaError._TRANSPORT)))


CODES = [
    code
    for name, code in vars(KafkaError).items()
    if name.strip("_").isupper() and isinstance(code, int) and code not in (0, KafkaError.MSG_SIZE_TOO_LARGE)
]


@pytest.mark.parametrize("code", CODES)
def test_no_error_is_told_in_the_clients_words(code: int, caplog: pytest.LogCaptureFixture) -> None:
    """Readiness shows the words to anyone: no host, no struct. What is not known stands in the log."""
    words = "10.1.2.3:9092/bootstrap: it did not go well"
    said = str(as_engine_error(KafkaException(KafkaError(code, words))))
    assert "10.1.2.3" not in said
    assert "Local:" not in said
    assert "Broker:" not in said
    assert said.endswith(("lost.", "words.", "PROTOCOL.", "later.", "create.", "mastery-engine-v1."))
    assert ("log has its words" in said) == (words in caplog.text)


def test_what_is_too_large_is_no_absence() -> None:
    assert isinstance(as_engine_error(fault(KafkaError.MSG_SIZE_TOO_LARGE)), TooLarge)
    assert isinstance(as_engine_error(BufferError("queue full")), Unavailable)
    ours = StartRefused("so")
    assert as_engine_error(ours) is ours


def test_settings_that_make_no_client_stop_the_start() -> None:
    with pytest.raises(StartRefused, match="KAFKA_SECURITY_PROTOCOL"):
        new_client(Producer, {"security.protocol": "none such"})


def test_a_topic_just_made_is_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_faults, "LOOK_S", 0.0)
    answers: list[int | None] = [KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.NOT_LEADER_FOR_PARTITION, None]

    def ask() -> str:
        code = answers.pop(0)
        if code is not None:
            raise fault(code)
        return "there"

    assert when_settled(ask) == "there"
    answers += [KafkaError._TRANSPORT, None]
    with pytest.raises(KafkaException):
        when_settled(ask)
    answers[:] = [KafkaError.LEADER_NOT_AVAILABLE] * (MOST_LOOKS + 1)
    with pytest.raises(KafkaException):
        when_settled(ask)
    assert answers == []
