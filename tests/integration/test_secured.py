"""Kafka with SASL, TLS and access rules, Redis with TLS and a password: by the engine's settings; wrong ones say so."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from mastery_engine.backends.kafka.logs import open_logs
from mastery_engine.backends.kafka.settings import GROUP, KafkaSettings
from mastery_engine.backends.kafka.topic_dangers import dangers_in, settings_of_topics
from mastery_engine.backends.kafka.topic_plans import TOPICS
from mastery_engine.backends.kafka.topics import ensure_topics, topic_id
from mastery_engine.errors import StartRefused, Unavailable
from scripts.servers.certificate import Certificate, make_certificate
from scripts.servers.kafka import SCRAM, Kafka
from scripts.servers.redis import Redis
from tests.support.fleet import Fleet, until
from tests.support.live import Live
from tests.support.real_servers import RealServers
from tests.support.samples import quiz

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(180)]

USER, PASSWORD = "engine", "pass word"
RULED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",  # the plain listener: ours, and the broker's own
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Of an authority that signed nobody here."""
    return make_certificate(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def secured(real_servers: RealServers, certificate: Certificate) -> Iterator[Kafka]:
    made = real_servers.started(
        "Apache Kafka", lambda: Kafka(sasl=(USER, PASSWORD), certificate=certificate, settings=RULED)
    )
    with made as kafka:
        yield kafka


@pytest.fixture(scope="module")
def guarded(real_servers: RealServers, certificate: Certificate) -> Iterator[Redis]:
    with real_servers.started("Redis with TLS", lambda: Redis(password=PASSWORD, certificate=certificate)) as redis:
        yield redis


@pytest.fixture
def fleet(secured: Kafka, guarded: Redis, certificate: Certificate, tmp_path: Path) -> Iterator[Fleet]:
    permit(secured, topics=[AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE, AclOperation.CREATE])
    fleet = Fleet(secured, guarded, tmp_path, environment(secured, certificate))
    yield fleet
    fleet.close()


def environment(kafka: Kafka, certificate: Certificate, **other: str) -> dict[str, str]:
    ours = {
        "KAFKA_BROKER": kafka.secured,
        "KAFKA_SECURITY_PROTOCOL": kafka.security_protocol,
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_USERNAME": USER,
        "KAFKA_PASSWORD": PASSWORD,
        "KAFKA_CA_FILE": str(certificate.authority),
    }
    return {**ours, **other}


def settings(kafka: Kafka, certificate: Certificate, **other: Any) -> KafkaSettings:
    known = KafkaSettings(
        kafka.secured, kafka.security_protocol, "PLAIN", USER, PASSWORD, str(certificate.authority), partitions=1
    )
    return msgspec.structs.replace(known, **other)


def permit(kafka: Kafka, *, topics: list[AclOperation]) -> None:
    """What the user may do with the topics; it may work in the group."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    wanted = [rule(ResourceType.TOPIC, "mastery.", operation) for operation in topics]
    for outcome in admin.create_acls([*wanted, rule(ResourceType.GROUP, GROUP, AclOperation.READ)]).values():
        outcome.result(20)


def forbid_all(kafka: Kafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    whatever = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    for outcome in admin.delete_acls([whatever]).values():
        outcome.result(20)


def may_create(chosen: KafkaSettings) -> bool:
    """Whether the user might make a topic: rules are in force a while after Kafka has taken them."""
    admin = AdminClient(chosen.client())
    (outcome,) = admin.create_topics([NewTopic("mastery.of-nobody", 1)], validate_only=True).values()
    try:
        outcome.result(20)
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, error
        return False
    return True


def rule(kind: ResourceType, name: str, operation: AclOperation) -> AclBinding:
    pattern, allow = ResourcePatternType.PREFIXED, AclPermissionType.ALLOW
    return AclBinding(kind, name, pattern, f"User:{USER}", "*", operation, allow)


async def test_the_engine_works_over_sasl_and_tls(fleet: Fleet) -> None:
    api = fleet.api(WORKER_ENABLED="true")
    with api.client() as client:
        body = {"student_id": "ada", "components": {"quiz": 0.5}}
        assert client.post("/mastery/calculate", json=body).status_code == 200
        one = {"event_type": "quiz", "student_id": "ada", "data": {"total_questions": 4, "correct_answers": 3}}
        sent = client.post("/mastery/ingest", json=one)
        assert sent.status_code == 202
        path = f"/students/ada/events/{sent.json()['data']['event_id']}"
        until(lambda: client.get(path).json()["data"]["status"] == "processed")
        found = client.post("/mastery/query", json={"student_id": "ada"}).json()["data"]["current_mastery"]
        assert found["components"]["quiz"] == 0.75
    assert PASSWORD not in api.log_text()
    assert quote(PASSWORD) not in api.log_text()


async def test_the_engine_works_over_scram(secured: Kafka, certificate: Certificate) -> None:
    permit(secured, topics=[AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE, AclOperation.CREATE])
    secured.let_in(USER, "another word")
    logs = open_logs(settings(secured, certificate, sasl_mechanism=SCRAM, password="another word"))
    before = await logs.events.ends()
    (position,) = await logs.events.append([quiz(1, 2)])
    assert (await logs.events.ends())[position.partition] == before[position.partition] + 1
    await logs.connection.close()
    with pytest.raises(Unavailable, match="KAFKA_PASSWORD"):
        await asyncio.to_thread(ensure_topics, settings(secured, certificate, sasl_mechanism=SCRAM))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"password": "guessed"}, "KAFKA_PASSWORD"), ({"username": "nobody"}, "KAFKA_USERNAME")],
)
def test_wrong_credentials_are_named(
    secured: Kafka, certificate: Certificate, wrong: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.backends.kafka.topics.ANSWER_S", 2.0)
    with pytest.raises(Unavailable, match=named):
        ensure_topics(settings(secured, certificate, **wrong))


async def test_an_authority_that_signed_nothing_here_is_named_by_readiness(
    secured: Kafka, stranger: Certificate
) -> None:
    logs = open_logs(settings(secured, stranger))
    with pytest.raises(Unavailable, match="KAFKA_CA_FILE"):
        await logs.connection.ping()
    await logs.connection.close()


def test_settings_that_no_client_can_be_made_of_stop_the_start(secured: Kafka, certificate: Certificate) -> None:
    for wrong in ({"ca_file": "/nowhere.pem"}, {"username": None}):
        with pytest.raises(StartRefused, match="KAFKA_CA_FILE"):
            open_logs(settings(secured, certificate, **wrong))


def test_readiness_says_what_is_wrong_with_the_credentials_while_the_service_lives(
    secured: Kafka, guarded: Redis, certificate: Certificate, tmp_path: Path
) -> None:
    wrong_url = guarded.url.replace(quote(PASSWORD), "guessed")
    given = environment(secured, certificate, KAFKA_PASSWORD="guessed", REDIS_HOST=wrong_url)
    api = Live(tmp_path / "data", home=tmp_path, **given, WORKER_ENABLED="false")
    api.ready = lambda: is_alive(api)  # type: ignore[method-assign]
    with api:
        until(lambda: "KAFKA_PASSWORD" in httpx.get(f"{api.url}/ready", timeout=10).text)
        answer = httpx.get(f"{api.url}/ready", timeout=10)
        assert answer.status_code == 503
        said = {one["name"]: one["message"] for one in answer.json()["error"]["details"]["dependencies"]}
        assert "KAFKA_PASSWORD" in said["log"]
        assert "REDIS_HOST" in said["store"]


def is_alive(api: Live) -> bool:
    try:
        return httpx.get(f"{api.url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_what_may_not_be_asked_of_kafka_is_a_warning_and_what_may_not_be_made_a_sentence(
    secured: Kafka, certificate: Certificate
) -> None:
    chosen = settings(secured, certificate)
    admin = AdminClient({"bootstrap.servers": secured.bootstrap})
    there = set(TOPICS) & admin.list_topics(timeout=20).topics.keys()
    for outcome in (admin.delete_topics(list(there)) if there else {}).values():
        outcome.result(20)
    forbid_all(secured)
    permit(secured, topics=[AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE])
    until(lambda: not set(TOPICS) & admin.list_topics(timeout=20).topics.keys())
    until(lambda: not may_create(chosen))
    with pytest.raises(StartRefused, match="permitted"):
        ensure_topics(chosen)
    plain = KafkaSettings(secured.bootstrap, partitions=1)
    assert set(ensure_topics(plain)) == set(TOPICS)
    assert ensure_topics(chosen) == []
    (hidden,) = dangers_in(settings_of_topics(chosen), chosen)
    assert "LogAppendTime" in hidden.message
    assert not hidden.is_certain
    assert topic_id(chosen) == topic_id(plain)
