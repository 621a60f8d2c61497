"""The files for containers say what the documents promise. No container runs here."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from mastery_engine import __version__
from mastery_engine.settings import settings_from
from scripts.servers.kafka import VERSION

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [line.split(None, 1) for line in DOCKERFILE.replace("\\\n", " ").splitlines() if line[:1].isupper()]


def given(name: str) -> list[str]:
    """The arguments of each instruction of this name."""
    return [rest for word, rest in INSTRUCTIONS if word == name]


def test_compose_has_the_three_services_and_publishes_them_on_this_machine_alone() -> None:
    assert set(SERVICES) == {"redis", "kafka", "mastery-engine"}
    ports = {name: service["ports"] for name, service in SERVICES.items()}
    assert ports == {
        "redis": ["127.0.0.1:6379:6379"],
        "kafka": ["127.0.0.1:9092:19092"],
        "mastery-engine": ["127.0.0.1:8005:8005"],
    }
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert mounted == set(COMPOSE["volumes"])


def test_redis_in_compose_drops_nothing_and_keeps_its_log() -> None:
    given = dict(pairwise(SERVICES["redis"]["command"]))
    assert (given["--maxmemory-policy"], given["--appendonly"]) == ("noeviction", "yes")
    assert SERVICES["redis"]["volumes"] == ["redis-data:/data"]


def test_kafka_tells_each_client_the_address_by_which_it_came() -> None:
    told = SERVICES["kafka"]["environment"]
    listeners = dict(one.split("://") for one in told["KAFKA_LISTENERS"].split(","))
    advertised = dict(one.split("://") for one in told["KAFKA_ADVERTISED_LISTENERS"].split(","))
    protocols = dict(one.split(":") for one in told["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert set(protocols) == set(listeners)
    assert set(advertised) == set(listeners) - {told["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert advertised == {"CONTAINERS": "kafka:9092", "HOST": "localhost:9092"}
    assert listeners["CONTAINERS"].rpartition(":")[2] == "9092"
    (published,) = SERVICES["kafka"]["ports"]
    assert published.split(":")[1:] == ["9092", listeners["HOST"].rpartition(":")[2]]
    assert told["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertised
    assert SERVICES["kafka"]["image"].partition("@")[0] == f"apache/kafka:{VERSION}"


def test_the_service_in_compose_starts_with_settings_that_it_knows() -> None:
    environment = SERVICES["mastery-engine"]["environment"]
    found = settings_from({name: "" if "$" in value else value for name, value in environment.items()})
    assert (found.log, found.store, found.environment) == ("kafka", "redis", "development")
    assert set(SERVICES["mastery-engine"]["depends_on"]) == {"redis", "kafka"}


def test_the_image_runs_the_service_as_nobody_special_with_its_data_in_a_volume() -> None:
    assert [image.partition("@")[0] for image in given("FROM")] == ["python:3.11-slim-bookworm"] * 2
    assert given("USER") == ["10001:10001"]
    assert given("VOLUME") == ["/data"]
    assert given("ENTRYPOINT") + given("CMD") == ['["mastery-engine"]', '["serve"]']
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nENTRYPOINT ")
    settings = dict(re.findall(r"\b([A-Z_]+)=(\S+)", given("ENV")[-1]))
    assert settings == {
        "PATH": "/opt/mastery-engine/bin:$PATH",
        "PYTHONUNBUFFERED": "1",
        "HOST": "0.0.0.0",
        "DATA_DIR": "/data",
    }
    assert f'version="{__version__}"' in given("LABEL")[0]
    (place,) = [one.split()[-1] for one in given("COPY") if "sbom.cdx.json" in one]
    assert f'io.learnflow.sbom="{place}"' in given("LABEL")[0]
    assert f"`{place}`" in (ROOT / "docs" / "operations.md").read_text()


def test_all_that_the_image_copies_is_in_its_context() -> None:
    context = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [name for one in given("COPY") if "--from" not in one for name in one.split()[:-1]]
    assert copied == [
        *("requirements.txt", "requirements-build.txt", "pyproject.toml", "README.md", "LICENSE"),
        "docs/runbooks.md",
        "src",
        "scripts/sbom.py",
    ]
    assert all(f"!{name}" in context and (ROOT / name).exists() for name in copied)


def test_the_image_asks_the_service_how_it_is() -> None:
    (check,) = given("HEALTHCHECK")
    code = check[check.index("CMD") :]
    assert "urllib.request.urlopen" in code
    assert "/health" in code


def test_the_dockerfile_keeps_to_the_usual_rules() -> None:
    """What hadolint looks for, as far as it applies here."""
    assert all(re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}( AS \w+)?", one) for one in given("FROM"))
    assert "syntax=" not in DOCKERFILE, "it would fetch one more image, by its tag"
    assert all("latest" not in one for one in given("FROM"))
    assert not given("ADD")
    assert not given("MAINTAINER")
    assert all("sudo" not in one and "apt-get" not in one and "curl" not in one for one in given("RUN"))
    installs = [
        step for one in given("RUN") for step in one.split("&&") if re.search(r"\bpip .*(install|wheel) ", step)
    ]
    assert len(installs) == 4
    assert all("--no-cache-dir" in step for step in installs)
    fetching = [step for step in installs if "--no-index" not in step]
    assert all("--require-hashes --only-binary :all:" in step for step in fetching)
    assert all(one.startswith("/") for one in given("WORKDIR"))
    for name in ("CMD", "ENTRYPOINT"):
        assert all(one.startswith("[") for one in given(name)), "no shell between the signals and the service"
    assert len(given("HEALTHCHECK")) == 1
    assert "ENVIRONMENT" not in DOCKERFILE


def test_each_service_in_compose_waits_until_those_before_it_are_healthy() -> None:
    assert all("healthcheck" in SERVICES[name] for name in ("redis", "kafka"))
    waits = SERVICES["mastery-engine"]["depends_on"]
    assert {name: one["condition"] for name, one in waits.items()} == dict.fromkeys(
        ("redis", "kafka"), "service_healthy"
    )
