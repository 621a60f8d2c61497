"""How Kafka is reached, and how topics are made."""

from typing import Any

import msgspec

GROUP = "mastery-engine-v1"


class KafkaSettings(msgspec.Struct, frozen=True):
    """``replication`` 0: as many as there are brokers, up to 3."""

    bootstrap: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    create_topics: bool = True
    partitions: int = 6
    replication: int = 0
    retention_days: int = 30
    session_timeout_ms: int = 10_000

    def client(self, **more: Any) -> dict[str, Any]:
        """What every client of librdkafka is told."""
        told = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "ssl.ca.location": self.ca_file,
            "client.id": "mastery-engine",
            "reconnect.backoff.max.ms": 1_000,
            "log_level": 2,
        }
        return {name: value for name, value in told.items() if value is not None} | more
