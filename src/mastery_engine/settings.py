"""The settings, read from the environment. ``docs/operations.md`` documents every one; a test compares the two."""

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mastery_engine.domain.faults import sentence
from mastery_engine.errors import StartRefused

StoreName: TypeAlias = Literal["sqlite", "redis", "dapr"]
LogName: TypeAlias = Literal["sqlite", "kafka"]
Network: TypeAlias = IPv4Network | IPv6Network

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))

# Canvas publishes here the keys of its signed Live Events: those of the last, this and the next month.
CANVAS_JWKS = "https://8axpcl50e4.execute-api.us-east-1.amazonaws.com/main/jwks"
SHORTEST_SECRET = 32
BROKER = re.compile(r"[^\s,:/\[\]]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?")
TOPIC = r"^[a-zA-Z0-9._-]{1,249}$"  # what Kafka takes as a topic's name
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
    """One field for each environment variable, by its name in lower case; an empty variable counts as not set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Literal["development", "production", "test"] = "development"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8005
    public_url: str | None = None
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("mastery-engine", appauthor=False)))
    jwt_secret: str | None = Field(default=None, repr=False)
    jwt_jwks_url: str | None = None
    pseudonym_key: str | None = Field(default=None, repr=False)
    consent_default: Literal["given", "withheld"] = "given"
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    worker_enabled: bool = True
    canvas_jwks_url: str = CANVAS_JWKS
    app_api_token: str | None = Field(default=None, repr=False)
    dapr_api_token: str | None = Field(default=None, repr=False)
    dapr_trust_loopback: bool = False
    dapr_http_port: Annotated[int, Field(ge=1, le=65_535)] = 3500
    dapr_state_store: str | None = None
    dapr_pubsub: str = "pubsub"
    state_store: StoreName | None = None
    event_log: LogName | None = None
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
    webhook_allow_private: bool = False
    lti_allow_private: bool = False
    openedx_topic: Annotated[str, Field(pattern=TOPIC)] | None = None
    kafka_session_timeout_ms: Annotated[int, Field(ge=1_000, le=300_000)] = 10_000
    allow_unsafe_servers: bool = False
    rules_file: Path | None = None
    model_file: Path | None = None
    rate_limit_enabled: bool = True
    curriculum_file: Path | None = None
    profiles_dir: Path | None = None
    xapi_statements: Literal["store", "forward"] | None = None
    max_concurrent_requests: Annotated[int, Field(ge=1, le=100_000)] = 100
    forwarded_allow_ips: tuple[Network, ...] = ()
    gdpr_retention_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    trace_enabled: bool = False
    otel_exporter_otlp_endpoint: str | None = None

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("forwarded_allow_ips", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        """The networks in a text; ``*`` stands for all."""
        if not isinstance(value, str):
            return value
        if value.strip() == "*":
            return EVERYWHERE
        try:
            return tuple(_network(part.strip()) for part in value.split(",") if part.strip())
        except ValueError:
            raise ValueError(
                "must be addresses of proxies (10.0.0.7, 2001:db8::7) or networks (10.0.0.0/8), separated by commas"
            ) from None

    @field_validator("host")
    @classmethod
    def _address(cls, value: str) -> str:
        """An IPv6 address may be in brackets. Half of them would be no name, and mean all addresses."""
        name = value[1:-1] if value.startswith("[") and value.endswith("]") else value
        if not name or any(character.isspace() or character in "[]" for character in name):
            raise ValueError("must be an address of this machine (127.0.0.1, ::1; 0.0.0.0 or :: for all), or its name")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        """Without a slash at its end. What is not at the root of its host would be found nowhere."""
        if value is None:
            return None
        address = value.rstrip("/")
        url = urlsplit(address) if _is_url(address) else None
        if url is None or url.path or url.query or url.fragment or url.username is not None or not address.isascii():
            raise ValueError("must be the http or https address of this service, as in https://mastery.school.example")
        return f"{url.scheme}://{url.netloc.lower()}"

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        """Make the path absolute, so that it does not depend on the working directory."""
        return value.expanduser().absolute()

    @property
    def store(self) -> StoreName:
        """The store of documents: STATE_STORE, else Dapr or Redis if one is configured, else SQLite."""
        return self.state_store or ("dapr" if self.dapr_state_store else "redis" if self.redis_host else "sqlite")

    @property
    def log(self) -> LogName:
        """The event log: EVENT_LOG, else Kafka if it is configured, else SQLite."""
        return self.event_log or ("kafka" if self.kafka_broker else "sqlite")

    @property
    def keeps_statements(self) -> bool:
        """Whether statements of xAPI are stored and given back, and not taken as evidence alone; not behind Dapr."""
        return (self.xapi_statements or ("forward" if self.store == "dapr" else "store")) == "store"

    @property
    def is_on_one_machine(self) -> bool:
        """Whether the data folder holds the documents or the log, so that only one process may work it."""
        return "sqlite" in (self.store, self.log)

    @property
    def in_production(self) -> bool:
        return self.environment == "production"

    @property
    def refuses_dangers(self) -> bool:
        """Whether a dangerous setting of a server stops the start."""
        return self.in_production and not self.allow_unsafe_servers


def _network(text: str) -> Network:
    """A network; what is IPv4 inside IPv6 is IPv4, as callers' addresses are. Raises ValueError."""
    network = ip_network(text, strict=False)
    inside = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if inside is None or network.prefixlen < 96:
        return network
    return ip_network(f"{inside}/{network.prefixlen - 96}", strict=False)


FIELD_OF = {name.upper(): name for name in Settings.model_fields}


def settings_from(environ: Mapping[str, str], **given: Any) -> Settings:
    """The settings in an environment; ``given`` ones win. Raises StartRefused, which names the wrong ones."""
    environment = {field: environ[name] for name, field in FIELD_OF.items() if environ.get(name)}
    try:
        settings = Settings.model_validate(
            {**environment, **{name: value for name, value in given.items() if value is not None}}
        )
    except ValidationError as error:
        faults = "; ".join(sentence(fault["msg"], str(fault["loc"][0]).upper()) for fault in error.errors())
        raise StartRefused(f"Correct these settings: {faults}.") from None
    check_secret(settings)
    check_services(settings)
    return settings


def check_services(settings: Settings) -> None:
    """Raises StartRefused if a chosen store or log lacks its address or credentials."""
    if settings.store == "redis" and not settings.redis_host:
        raise StartRefused("STATE_STORE is redis: also set REDIS_HOST, to host:port or a URL.")
    if settings.store == "dapr" and not settings.dapr_state_store:
        raise StartRefused("STATE_STORE is dapr: also set DAPR_STATE_STORE, to the name of the state component.")
    if settings.log == "kafka" and not settings.kafka_broker:
        raise StartRefused("EVENT_LOG is kafka: also set KAFKA_BROKER, to host:port.")
    brokers = (settings.kafka_broker or "").split(",")
    if settings.kafka_broker and not all(BROKER.fullmatch(broker.strip()) for broker in brokers):
        raise StartRefused(
            "KAFKA_BROKER must be host:port, or several of these separated by commas; write an IPv6 host in brackets."
        )
    if settings.store == "dapr" and settings.keeps_statements:
        raise StartRefused(
            "XAPI_STATEMENTS is store, and no statements can be kept behind Dapr: set it to forward, which takes what "
            "they say as evidence, or keep the state in SQLite or Redis."
        )
    if settings.openedx_topic is not None and not settings.kafka_broker:
        raise StartRefused("OPENEDX_TOPIC is a topic of Kafka: also set KAFKA_BROKER, to host:port.")
    if (settings.openedx_topic or "").startswith("mastery."):
        raise StartRefused("OPENEDX_TOPIC names a topic of the engine: set it to the topic that Open edX writes.")
    _check_credentials(settings)
    traces = settings.otel_exporter_otlp_endpoint
    if settings.trace_enabled and traces and not _is_url(traces):
        raise StartRefused("OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL, as in http://collector:4318.")
    if settings.log == "sqlite" and settings.store == "redis":
        raise StartRefused("Redis needs Kafka as the log: set KAFKA_BROKER, or unset REDIS_HOST to use one machine.")


def _check_credentials(settings: Settings) -> None:
    needed = {
        "KAFKA_SASL_MECHANISM": settings.kafka_sasl_mechanism,
        "KAFKA_USERNAME": settings.kafka_username,
        "KAFKA_PASSWORD": settings.kafka_password,
    }
    missing = [name for name, value in needed.items() if value is None]
    if settings.kafka_security_protocol.startswith("SASL") and missing:
        raise StartRefused(
            f"KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}: also set {' and '.join(missing)}."
        )


def check_secret(settings: Settings) -> None:
    """Raises StartRefused in production if others could pass for callers: by a guessed secret, plain HTTP, loopback."""
    if settings.jwt_jwks_url and not _is_url(settings.jwt_jwks_url):
        raise StartRefused("JWT_JWKS_URL must be an http or https URL.")
    if not _is_url(settings.canvas_jwks_url):
        raise StartRefused("CANVAS_JWKS_URL must be an http or https URL.")
    if not settings.in_production:
        return
    if settings.dapr_trust_loopback:
        raise StartRefused(
            "DAPR_TRUST_LOOPBACK is for development: in production unset it, and set APP_API_TOKEN to the token that "
            "the Dapr sidecar sends."
        )
    if urlsplit(settings.jwt_jwks_url or "").scheme == "http":
        raise StartRefused("JWT_JWKS_URL must be https in production: whoever can change its answer can make tokens.")
    if urlsplit(settings.canvas_jwks_url).scheme == "http":
        raise StartRefused("CANVAS_JWKS_URL must be https in production: else others can sign as Canvas.")
    if urlsplit(settings.public_url or "").scheme == "http":
        raise StartRefused("PUBLIC_URL must be https in production: browsers and platforms send secrets there.")
    if _is_unsafe(settings.jwt_secret) and not (settings.jwt_secret is None and settings.jwt_jwks_url):
        raise StartRefused(f"JWT_SECRET must be at least {SHORTEST_SECRET} random bytes in production. {MAKE_ONE}")
    if settings.app_api_token is not None and _is_unsafe(settings.app_api_token):
        raise StartRefused(
            f"APP_API_TOKEN must be at least {SHORTEST_SECRET} random bytes in production: whoever guesses it may "
            f"write for every student of every tenant. Give the Dapr sidecar the same one. {MAKE_ONE}"
        )
    if _is_unsafe(settings.pseudonym_key):
        raise StartRefused(
            f"PSEUDONYM_KEY must be at least {SHORTEST_SECRET} random bytes in production. Use the same for all "
            f"replicas and never change it: with another key the engine would not know who was erased. {MAKE_ONE}"
        )


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a bracket without an address, a port that is no number
        return False


def _is_unsafe(secret: str | None) -> bool:
    return secret is None or secret in KNOWN_WEAK or len(secret.encode()) < SHORTEST_SECRET


def warnings_for(environ: Mapping[str, str], settings: Settings) -> list[str]:
    """Warnings about likely mistakes in an environment: misspelt names, short secrets, risky combinations."""
    warnings = []
    if settings.log == "kafka" and settings.store == "sqlite":
        warnings.append("Kafka with SQLite: the documents are on this machine only, so run one replica.")
    if settings.store == "dapr" and settings.xapi_statements is None:
        warnings.append(
            "Behind Dapr no statements of xAPI are kept: /xapi takes what they say as evidence, and gives none back. "
            "Set XAPI_STATEMENTS to forward if that is meant."
        )
    if settings.log == "kafka" and settings.pseudonym_key is None:
        warnings.append("PSEUDONYM_KEY is not set: other processes do not know the erasures and consent made here.")
    if settings.kafka_username is not None and not settings.kafka_security_protocol.startswith("SASL"):
        warnings.append(
            f"KAFKA_USERNAME is not used, because KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}: did "
            "you mean SASL_SSL or SASL_PLAINTEXT?"
        )
    for name in sorted(environ):
        if name in FIELD_OF:
            continue
        meant = _setting_like(name)
        if meant is not None:
            warnings.append(f"{name} is not a setting of the Mastery Engine: did you mean {meant}?")
    if settings.in_production and not settings.rate_limit_enabled:
        warnings.append("RATE_LIMIT_ENABLED is false: no caller is limited, and wrong tokens are not counted.")
    return warnings + _warnings_of_trust(settings)


@lru_cache(1_000)
def _setting_like(name: str) -> str | None:
    """The setting that somebody who wrote this name may have meant."""
    near = difflib.get_close_matches(name, FIELD_OF, n=1, cutoff=0.85)
    return near[0] if near else None


def _warnings_of_trust(settings: Settings) -> list[str]:
    """Warnings about who could pass for somebody else."""
    warnings = []
    secrets = {
        "JWT_SECRET": settings.jwt_secret,
        "PSEUDONYM_KEY": settings.pseudonym_key,
        "APP_API_TOKEN": settings.app_api_token,
    }
    for name, secret in secrets.items():
        if secret in KNOWN_WEAK:
            warnings.append(f"{name} is a well-known value: change it before anybody else can call the service.")
        elif secret is not None and len(secret.encode()) < SHORTEST_SECRET:
            warnings.append(
                f"{name} is shorter than {SHORTEST_SECRET} bytes: that is only good enough for development."
            )
    if settings.dapr_trust_loopback:
        warnings.append(
            "DAPR_TRUST_LOOPBACK is true: every program on this machine may call for every student of every tenant."
            if settings.app_api_token is None
            else "DAPR_TRUST_LOOPBACK is not used, because APP_API_TOKEN is set."
        )
    private = {"WEBHOOK_ALLOW_PRIVATE": settings.webhook_allow_private, "LTI_ALLOW_PRIVATE": settings.lti_allow_private}
    warnings += [
        f"{name} is true: addresses that others name may lie inside this network, and be called over plain HTTP."
        for name, is_allowed in private.items()
        if is_allowed and settings.in_production
    ]
    if any(network.prefixlen == 0 for network in settings.forwarded_allow_ips):
        warnings.append(
            "FORWARDED_ALLOW_IPS names every address: whoever can connect may call under any address. Name only your "
            "proxies."
        )
    return warnings
