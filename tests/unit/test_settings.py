"""Settings that cannot work are said at the start, with what to do."""

import pytest

from mastery_engine.errors import StartRefused
from mastery_engine.settings import settings_from, warnings_for

SASL = {
    "KAFKA_BROKER": "kafka:9093",
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_USERNAME": "engine",
    "KAFKA_PASSWORD": "word",
}


@pytest.mark.parametrize(
    "broker", ["::", "kafka:", ":9092", "kafka:nine", "a:1,,b:2", "a b:1", "::1:9092", "http://k:1"]
)
def test_brokers_that_cannot_be_read_are_refused(broker: str) -> None:
    with pytest.raises(StartRefused, match="KAFKA_BROKER must be host:port"):
        settings_from({"KAFKA_BROKER": broker})


@pytest.mark.parametrize("broker", ["kafka", "kafka:9092", "a:1, b.c:2", "[::1]:9092", "[fe80::1]", "1.2.3.4:9"])
def test_brokers_are_hosts_and_ports(broker: str) -> None:
    assert settings_from({"KAFKA_BROKER": broker}).kafka_broker == broker


@pytest.mark.parametrize("left_out", ["KAFKA_SASL_MECHANISM", "KAFKA_USERNAME", "KAFKA_PASSWORD"])
def test_what_sasl_needs_is_named(left_out: str) -> None:
    with pytest.raises(StartRefused, match=f"is SASL_SSL: also set {left_out}"):
        settings_from({name: value for name, value in SASL.items() if name != left_out})
    assert settings_from(SASL).kafka_username == "engine"


def test_credentials_that_are_told_to_nobody_are_a_warning() -> None:
    given = {name: value for name, value in SASL.items() if name != "KAFKA_SECURITY_PROTOCOL"}
    assert any("KAFKA_SECURITY_PROTOCOL is PLAINTEXT" in one for one in warnings_for(given, settings_from(given)))
    assert not any("KAFKA_USERNAME" in one for one in warnings_for(SASL, settings_from(SASL)))
