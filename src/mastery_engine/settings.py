"""The environment as one frozen object. ``docs/operations.md`` documents every setting; a test compares the two."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mastery_engine.errors import StartRefused

SHORTEST_SECRET = 32
BROKERS = re.compile(r"[^\s,:/\[\]]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?")
MAKE_ONE = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
KNOWN_WEAK = frozenset(
    {
        "dev-secret",
        "secret",
        "changeme",
        "secure-random-value",
        "secure-random-value-change-in-production",
        "change-this-secret-before-anybody-else-can-reach-the-service",
        "change-this-key-before-anybody-else-can-reach-the-service",
    }
)


class Settings(BaseModel):
    """One field for each variable, by its name in lower case; an empty variable is one that is not set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Literal["development", "production", "test"] = "development"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8005
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("mastery-engine", appauthor=False)))
    jwt_secret: str | None = Field(default=None, repr=False)
    jwt_jwks_url: str | None = None
    pseudonym_key: str | None = Field(default=None, repr=False)
    consent_default: Literal["given", "withheld"] = "given"
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    worker_enabled: bool = True
    app_api_token: str | None = None
    dapr_api_token: str | None = None
    dapr_http_port: Annotated[int, Field(ge=1, le=65_535)] = 3500
    dapr_state_store: str | None = None
    dapr_pubsub: str = "pubsub"
    state_store: Literal["sqlite", "redis", "dapr"] | None = None
    event_log: Literal["sqlite", "kafka"] | None = None
    redis_host: str | None = Field(default=None, repr=False)
    kafka_broker: str | None = None
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_username: str | None = None
    kafka_password: str | None = Field(default=None, repr=False)
    kafka_ca_file: Path | None = None
    kafka_create_topics: bool = True
    kafka_partitions: Annotated[int, Field(ge=1, le=10_000)] = 6
    kafka_replication: Annotated[int, Field(ge=1, le=32)] | None = None
    kafka_retention_days: Annotated[int, Field(ge=1, le=3_650)] = 30
    kafka_session_timeout_ms: Annotated[int, Field(ge=1_000, le=300_000)] = 10_000
    rules_file: Path | None = None
    model_file: Path | None = None
    rate_limit_enabled: bool = True
    curriculum_file: Path | None = None
    max_concurrent_requests: Annotated[int, Field(ge=1, le=100_000)] = 100
    gdpr_retention_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    trace_enabled: bool = False
    otel_exporter_otlp_endpoint: str | None = None

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        """So that it does not move with the shell."""
        return value.expanduser().absolute()

    @property
    def store(self) -> Literal["sqlite", "redis", "dapr"]:
        """Where documents live: as said, else behind Dapr where a store is named, else Redis, else SQLite."""
        return self.state_store or ("dapr" if self.dapr_state_store else "redis" if self.redis_host else "sqlite")

    @property
    def log(self) -> Literal["sqlite", "kafka"]:
        """Where events wait: as said, else Kafka where there is one, else SQLite."""
        return self.event_log or ("kafka" if self.kafka_broker else "sqlite")

    @property
    def is_on_one_machine(self) -> bool:
        """Whether the data folder holds anything that only one process may work."""
        return "sqlite" in (self.store, self.log)

    @property
    def in_production(self) -> bool:
        return self.environment == "production"


FIELD_OF = {name.upper(): name for name in Settings.model_fields}


def settings_from(environ: Mapping[str, str], **given: Any) -> Settings:
    """The settings in an environment; ``given`` wins. Raises StartRefused with what is wrong with which."""
    found = {field: environ[name] for name, field in FIELD_OF.items() if environ.get(name)}
    try:
        settings = Settings.model_validate(
            {**found, **{name: value for name, value in given.items() if value is not None}}
        )
    except ValidationError as error:
        faults = "; ".join(f"{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors())
        raise StartRefused(f"These settings cannot be used: {faults}.") from None
    check_secret(settings)
    check_services(settings)
    return settings


def check_services(settings: Settings) -> None:
    """What is asked for must be named."""
    if settings.store == "redis" and not settings.redis_host:
        raise StartRefused("STATE_STORE is redis: set REDIS_HOST too, to host:port or a URL.")
    if settings.store == "dapr" and not settings.dapr_state_store:
        raise StartRefused("STATE_STORE is dapr: set DAPR_STATE_STORE too, to the name of the state component.")
    if settings.log == "kafka" and not settings.kafka_broker:
        raise StartRefused("EVENT_LOG is kafka: set KAFKA_BROKER too, to host:port.")
    if settings.kafka_broker and not all(BROKERS.fullmatch(one.strip()) for one in settings.kafka_broker.split(",")):
        raise StartRefused("KAFKA_BROKER must be host:port, or several with commas between; an IPv6 host in brackets.")
    _check_credentials(settings)
    if settings.log == "sqlite" and settings.store == "redis":
        raise StartRefused("Redis needs Kafka as the log: set KAFKA_BROKER, or leave REDIS_HOST out for one machine.")


def _check_credentials(settings: Settings) -> None:
    needed = {
        "KAFKA_SASL_MECHANISM": settings.kafka_sasl_mechanism,
        "KAFKA_USERNAME": settings.kafka_username,
        "KAFKA_PASSWORD": settings.kafka_password,
    }
    missing = [name for name, value in needed.items() if value is None]
    if settings.kafka_security_protocol.startswith("SASL") and missing:
        raise StartRefused(
            f"KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}: set {' and '.join(missing)} too."
        )


def check_secret(settings: Settings) -> None:
    """In production a missing, well-known or short secret stops the start, and so do keys from an unsafe place."""
    url = urlsplit(settings.jwt_jwks_url or "")
    if settings.jwt_jwks_url and (url.scheme not in ("http", "https") or not url.hostname):
        raise StartRefused("JWT_JWKS_URL must be an http or https URL.")
    if not settings.in_production:
        return
    if url.scheme == "http":
        raise StartRefused("JWT_JWKS_URL must be https in production: whoever can change its answer makes tokens.")
    if _is_unsafe(settings.jwt_secret) and not (settings.jwt_secret is None and settings.jwt_jwks_url):
        raise StartRefused(f"JWT_SECRET must be at least {SHORTEST_SECRET} random bytes in production. {MAKE_ONE}")
    if _is_unsafe(settings.pseudonym_key):
        raise StartRefused(
            f"PSEUDONYM_KEY must be at least {SHORTEST_SECRET} random bytes in production, the same for all replicas "
            f"and never another: with another one, erased students would be forgotten as such. {MAKE_ONE}"
        )


def _is_unsafe(secret: str | None) -> bool:
    return secret is None or secret in KNOWN_WEAK or len(secret.encode()) < SHORTEST_SECRET


def warnings_for(environ: Mapping[str, str], settings: Settings) -> list[str]:
    """What looks like a slip in an environment: names close to ours, a short secret."""
    warnings = []
    if settings.log == "kafka" and settings.store == "sqlite":
        warnings.append("Kafka with SQLite: documents live on this machine alone, so run one replica.")
    if settings.log == "kafka" and settings.pseudonym_key is None:
        warnings.append("PSEUDONYM_KEY is not set: erasures and consent made here are not known to other processes.")
    if settings.kafka_username is not None and not settings.kafka_security_protocol.startswith("SASL"):
        warnings.append(
            f"KAFKA_USERNAME is not told to Kafka: KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}; are "
            "SASL_SSL or SASL_PLAINTEXT meant?"
        )
    for name in sorted(environ):
        if name in FIELD_OF:
            continue
        near = difflib.get_close_matches(name, FIELD_OF, n=1, cutoff=0.85)
        if near:
            warnings.append(f"{name} is not a setting of the Mastery Engine; is {near[0]} meant?")
    if settings.in_production and not settings.rate_limit_enabled:
        warnings.append("RATE_LIMIT_ENABLED is false: no caller is held back, and guesses at tokens are not counted.")
    if settings.jwt_secret in KNOWN_WEAK:
        warnings.append("JWT_SECRET is a value that everybody knows: change it before anybody else can call.")
    elif settings.jwt_secret is not None and len(settings.jwt_secret.encode()) < SHORTEST_SECRET:
        warnings.append(f"JWT_SECRET is shorter than {SHORTEST_SECRET} bytes: good enough for development alone.")
    if settings.pseudonym_key is not None and len(settings.pseudonym_key.encode()) < SHORTEST_SECRET:
        warnings.append(f"PSEUDONYM_KEY is shorter than {SHORTEST_SECRET} bytes: good enough for development alone.")
    return warnings
