"""Settings that cannot work are said at the start, with what to do."""

import pytest

from mastery_engine.errors import StartRefused
from mastery_engine.settings import Settings, check_services, settings_from, warnings_for

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


@pytest.mark.parametrize("host", ["[", "]", "[]", "::1]", "a b", "[::1"])
def test_a_host_that_is_no_address_is_refused_and_does_not_mean_all(host: str) -> None:
    with pytest.raises(StartRefused, match="HOST must be an address of this machine"):
        settings_from({"HOST": host})


@pytest.mark.parametrize("host", ["::", "[::1]", "::1", "0.0.0.0", "localhost", "school.example"])
def test_a_host_is_an_address_or_a_name(host: str) -> None:
    assert settings_from({"HOST": host}).host == host


@pytest.mark.parametrize("left_out", ["KAFKA_SASL_MECHANISM", "KAFKA_USERNAME", "KAFKA_PASSWORD"])
def test_what_sasl_needs_is_named(left_out: str) -> None:
    with pytest.raises(StartRefused, match=f"is SASL_SSL: also set {left_out}"):
        settings_from({name: value for name, value in SASL.items() if name != left_out})
    assert settings_from(SASL).kafka_username == "engine"


def test_credentials_that_are_told_to_nobody_are_a_warning() -> None:
    given = {name: value for name, value in SASL.items() if name != "KAFKA_SECURITY_PROTOCOL"}
    assert any("KAFKA_SECURITY_PROTOCOL is PLAINTEXT" in one for one in warnings_for(given, settings_from(given)))
    assert not any("KAFKA_USERNAME" in one for one in warnings_for(SASL, settings_from(SASL)))


SAFE = {"ENVIRONMENT": "production", "JWT_SECRET": "j" * 32, "PSEUDONYM_KEY": "p" * 32}


@pytest.mark.parametrize("token", ["short", "changeme", "x" * 31])
def test_a_token_of_the_sidecar_that_can_be_guessed_stops_production(token: str) -> None:
    with pytest.raises(StartRefused, match="APP_API_TOKEN must be at least 32 random bytes in production"):
        settings_from({**SAFE, "APP_API_TOKEN": token})
    assert settings_from({**SAFE, "APP_API_TOKEN": "x" * 32}).app_api_token
    assert settings_from(SAFE).app_api_token is None
    here = settings_from({"APP_API_TOKEN": token})
    assert any(words.startswith("APP_API_TOKEN is ") for words in warnings_for({}, here))


def test_a_machine_that_is_trusted_is_said_aloud() -> None:
    trusting = {"DAPR_TRUST_LOOPBACK": "true"}
    assert any("every program on this machine" in words for words in warnings_for({}, settings_from(trusting)))
    both = settings_from({**trusting, "APP_API_TOKEN": "x" * 32})
    assert any("DAPR_TRUST_LOOPBACK is not used" in words for words in warnings_for({}, both))


@pytest.mark.parametrize(
    "url",
    [
        "mastery.school.example",
        "ftp://a",
        "https://a/mastery",
        "https://a?x=1",
        "https://a#x",
        "https://u:p@a",
        "https://ä",
    ],
)
def test_an_address_of_our_own_is_that_of_a_host_alone(url: str) -> None:
    with pytest.raises(StartRefused, match="PUBLIC_URL must be the http or https address of this service"):
        settings_from({"PUBLIC_URL": url})


def test_our_own_address_is_without_a_slash_and_https_in_production() -> None:
    assert settings_from({}).public_url is None
    assert settings_from({"PUBLIC_URL": "http://Localhost:8005/"}).public_url == "http://localhost:8005"
    with pytest.raises(StartRefused, match="PUBLIC_URL must be https in production"):
        settings_from({**SAFE, "PUBLIC_URL": "http://mastery.school.example"})
    assert settings_from({**SAFE, "PUBLIC_URL": "https://mastery.school.example"}).public_url


@pytest.mark.parametrize("name", ["WEBHOOK_ALLOW_PRIVATE", "LTI_ALLOW_PRIVATE"])
def test_private_addresses_in_production_are_said_aloud(name: str) -> None:
    for environ, is_said in (({name: "true"}, False), ({**SAFE, name: "true"}, True), (SAFE, False)):
        warned = [words for words in warnings_for({}, settings_from(environ)) if words.startswith(f"{name} is true")]
        assert bool(warned) is is_said


@pytest.mark.parametrize(
    "url", ["keys", "ftp://a/b", "https://", "https://[::1", "https://a:x/", "https://a:99999/", "//a/b"]
)
def test_an_address_of_keys_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(StartRefused, match="JWT_JWKS_URL must be an http or https URL"):
        settings_from({"JWT_JWKS_URL": url})
    assert settings_from({"JWT_JWKS_URL": "https://[2001:db8::1]:8443/keys"}).jwt_jwks_url


def test_behind_dapr_statements_are_evidence_alone_and_it_says_so() -> None:
    behind = Settings(dapr_state_store="statestore")
    assert not behind.keeps_statements
    assert any("XAPI_STATEMENTS" in warning for warning in warnings_for({}, behind))
    told = Settings(dapr_state_store="statestore", xapi_statements="forward")
    assert not any("XAPI_STATEMENTS" in warning for warning in warnings_for({}, told))
    with pytest.raises(StartRefused, match="XAPI_STATEMENTS"):
        check_services(Settings(dapr_state_store="statestore", xapi_statements="store"))
    assert Settings().keeps_statements
    assert not Settings(xapi_statements="forward").keeps_statements
