"""Headers of Kafka's records as text, and as bytes again."""

from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.backends.kafka.headers import SentHeaders, bytes_of, headers_of, stated_id, text_of


def message(headers: SentHeaders) -> Message:
    return Message(topic="t", partition=0, offset=0, headers=headers)


@given(st.lists(st.tuples(st.text(max_size=5), st.binary()), unique_by=lambda header: header[0]))
def test_values_of_any_bytes_come_back_as_they_were(headers: SentHeaders) -> None:
    assert bytes_of(headers_of(message(headers))) == headers


def test_a_value_that_is_no_utf8_can_be_shown_and_stored() -> None:
    (shown,) = [text_of(value) for value in headers_of(message([("event_id", b"\xffe-1")])).values()]
    assert shown == "\ufffde-1"
    assert shown.encode().decode() == shown


def test_no_headers_say_no_id_and_ours_come_before_a_cloudevents() -> None:
    assert stated_id(headers_of(message([]))) == ""
    assert stated_id(headers_of(message([("ce_id", b"c-1")]))) == "c-1"
    assert stated_id(headers_of(message([("ce_id", b"c-1"), ("event_id", b"")]))) == "c-1"
    assert stated_id(headers_of(message([("ce_id", b"c-1"), ("event_id", b"e-1")]))) == "e-1"
