"""Apache Kafka as one node in KRaft mode, from the jars that Maven Central has."""

import base64
import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from scripts.servers.cache import cached, command, free_port, is_free, run
from scripts.servers.certificate import Certificate
from scripts.servers.process import Server

VERSION = "4.3.1"
SCRAM = "SCRAM-SHA-512"
OLDEST = "3.5.2"  # of the line that the engine promises to work with

# A broker that lives for a test is compiled lightly and collects garbage in one thread: it takes half of the time.
_FOR_A_TEST = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

# Kafka's jars log through SLF4J and bring nothing that writes: without slf4j-simple a failed start is silent.
_POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>mastery</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""

_ONE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    # A missing topic is an error that tests should see.
    "auto.create.topics.enable": "false",
    # Quick: to join a group, to be back after a kill -9, to notice a frozen consumer. And light.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "16777216",
}


class Kafka(Server):
    """One broker that is its own controller; clients use `bootstrap`, or `secured` if it is there."""

    def __init__(
        self,
        *,
        version: str = VERSION,
        port: int | None = None,
        home: Path | None = None,
        settings: Mapping[str, str] | None = None,
        sasl: tuple[str, str] | None = None,
        certificate: Certificate | None = None,
        for_long: bool = False,
    ) -> None:
        """A user and password open a second listener with SASL/PLAIN, a certificate with TLS, both with both.

        SCRAM takes there whom ``let_in`` has named. Settings are the broker's own, above ours. One ``for_long`` runs as
        Kafka does elsewhere. Raises Unavailable.
        """
        self._java = command("java", packages=["default-jre-headless"])
        self._jars = jars(version)
        super().__init__("Apache Kafka", version, home=home)
        self.port = free_port() if port is None else port
        self._controller_port, self._secured_port = free_port(), free_port()
        self._settings = dict(settings or {})
        self._tuned = () if for_long else _FOR_A_TEST
        self._sasl, self._certificate = sasl, certificate

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def secured(self) -> str:
        """The listener with SASL, TLS or both."""
        return f"127.0.0.1:{self._secured_port}"

    @property
    def security_protocol(self) -> str:
        """What the secured listener speaks, by Kafka's name for it."""
        return ("SASL_" if self._sasl else "") + ("SSL" if self._certificate else "PLAINTEXT")

    def let_in(self, user: str, password: str) -> None:
        """A user for SCRAM, whom the broker keeps."""
        what = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = [UserScramCredentialUpsertion(user, what, password.encode())]
        for done in admin.alter_user_scram_credentials(wanted).values():
            done.result(20)

    def argv(self) -> list[str]:
        properties = self.home / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in self._properties().items()))
        properties.chmod(0o600)
        java = [str(self._java), *self._tuned, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        java += ["-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", f"{self._jars}/*"]
        if not (self.home / "data" / "meta.properties").exists():
            # No dash in front: the tool would take it for an option.
            cluster = "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
            run([*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)])
        return [*java[:1], "-Xmx512m", "-Xms256m", *java[1:], "kafka.Kafka", str(properties)]

    def ready(self) -> bool:
        """Whether the broker may be used and each partition, of older runs too, has its leader."""
        if is_free(self.port):
            return False
        try:
            cluster = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=2)
        except KafkaException:
            return False
        partitions = [part for topic in cluster.topics.values() for part in topic.partitions.values()]
        return bool(cluster.brokers) and all(part.leader != -1 for part in partitions)

    def _properties(self) -> dict[str, str]:
        listeners = {"PLAINTEXT": self.bootstrap, "CONTROLLER": f"127.0.0.1:{self._controller_port}"}
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        own: dict[str, str] = {}
        if self._sasl or self._certificate:
            listeners["SECURED"] = self.secured
            protocols["SECURED"] = self.security_protocol
        if self._sasl:
            user, password = self._sasl
            own["sasl.enabled.mechanisms"] = f"PLAIN,{SCRAM}"
            own[f"listener.name.secured.{SCRAM.lower()}.sasl.jaas.config"] = (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            )
            own["listener.name.secured.plain.sasl.jaas.config"] = (
                "org.apache.kafka.common.security.plain.PlainLoginModule required"
                f' username="{user}" password="{password}" user_{user}="{password}";'
            )
        if self._certificate:
            shown = self.home / "keystore.pem"
            shown.touch(mode=0o600)
            shown.write_text(self._certificate.key.read_text() + self._certificate.certificate.read_text())
            own["listener.name.secured.ssl.keystore.type"] = "PEM"
            own["listener.name.secured.ssl.keystore.location"] = str(shown)
        return {
            **_ONE_NODE,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": ",".join(f"{name}://{address}" for name, address in listeners.items()),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
            "log.dirs": str(self.home / "data"),
            **own,
            **self._settings,
        }


def jars(version: str) -> Path:
    """The folder of this version's jars; raises Unavailable."""
    return cached("kafka", version, lambda folder: _fetch_jars(version, folder)) / "lib"


def _fetch_jars(version: str, folder: Path) -> None:
    maven = command("mvn", packages=["default-jre-headless", "maven"])
    (folder / "pom.xml").write_text(_POM.format(version=version))
    goal = ["dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime"]
    run([str(maven), "-q", "-B", *goal], folder=folder)
