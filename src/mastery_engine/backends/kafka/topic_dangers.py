"""What in the settings of the topics that are there may lose records, or lets them count wrongly."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from mastery_engine.backends.kafka.faults import Complaints, as_engine_error, new_client
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import CONSENT_TOPIC, NOT_PERMITTED, TOPICS
from mastery_engine.domain.moments import DAY
from mastery_engine.ports.backend import Danger
from mastery_engine.ports.event_log import REQUESTS_TOPIC

LOOK_S = 2.0
DAY_MS = DAY // 1_000


class TopicSettings(msgspec.Struct, frozen=True):
    """A topic that is there: how many replicas it has at least, and its settings; None where they may not be read."""

    name: str
    replicas: int
    values: Mapping[str, str] | None

    @property
    def least_in_step(self) -> int:
        """How many replicas must be in step for a record to be taken; 1 where that is not known."""
        return int((self.values or {}).get("min.insync.replicas", "1"))


def settings_of_topics(settings: KafkaSettings) -> list[TopicSettings]:
    """The engine's topics that are there. Blocks for some seconds at most; raises Unavailable, StartRefused."""
    complaints = Complaints()
    admin = new_client(AdminClient, settings.client(error_cb=complaints))
    try:
        topics = admin.list_topics(timeout=LOOK_S).topics
        there = [name for name in TOPICS if name in topics]
        wanted = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in there]
        asked = admin.describe_configs(wanted, request_timeout=LOOK_S) if wanted else {}
        values: dict[str, Mapping[str, str] | None] = {}
        for resource, outcome in asked.items():
            try:
                values[resource.name] = {key: entry.value for key, entry in outcome.result(LOOK_S).items()}
            except KafkaException as error:
                if error.args[0].code() not in NOT_PERMITTED:
                    raise
                values[resource.name] = None
    except KafkaException as error:
        admin.poll(0)  # so that it makes its complaints
        raise as_engine_error(error, complaints) from error
    replicas = {
        name: min((len(part.replicas) for part in topics[name].partitions.values()), default=0) for name in there
    }
    return [TopicSettings(name, replicas[name], values[name]) for name in there]


def dangers_in(topics: Sequence[TopicSettings], settings: KafkaSettings) -> list[Danger]:
    """The dangers of all topics; of those that are missing only where the engine may not make them."""
    dangers = [danger for topic in topics for danger in _dangers(topic, settings)]
    hidden = [topic.name for topic in topics if topic.values is None]
    if hidden:
        dangers.append(
            Danger(
                f"Kafka does not let this user read the settings of {', '.join(hidden)}: permit DescribeConfigs, or "
                f"see for yourself that message.timestamp.type is LogAppendTime, that {CONSENT_TOPIC} alone is "
                f"compacted, and that the others keep records for {settings.retention_days} days.",
                is_certain=False,
            )
        )
    missing = [name for name in TOPICS if name not in {topic.name for topic in topics}]
    if missing and not settings.create_topics:
        dangers.append(
            Danger(
                f"Kafka has no topics {', '.join(missing)}, and KAFKA_CREATE_TOPICS is false: run mastery-engine "
                "topics create, or have them made.",
                is_certain=False,
            )
        )
    return dangers


def _dangers(topic: TopicSettings, settings: KafkaSettings) -> Iterator[Danger]:
    name, values = topic.name, topic.values
    if values is None:
        return
    yield from _lost_with_a_broker(topic, values)
    stamps, policy = values.get("message.timestamp.type", "LogAppendTime"), values.get("cleanup.policy", "")
    if name in (REQUESTS_TOPIC, CONSENT_TOPIC) and stamps != "LogAppendTime":
        yield Danger(
            f"In {name} senders say when a record was received (message.timestamp.type={stamps}): what came "
            "after an erasure or a withdrawal could count as if it had come before. Set "
            f"message.timestamp.type of {name} to LogAppendTime."
        )
    if name == CONSENT_TOPIC:
        if policy not in ("compact", ""):
            yield Danger(
                f"{name} forgets records with their age (cleanup.policy={policy}): what students "
                f"have allowed, and who was erased, would not be known any more. Set cleanup.policy of {name} to "
                "compact."
            )
        return
    yield from _gone_early(name, values, settings.retention_days)


def _lost_with_a_broker(topic: TopicSettings, values: Mapping[str, str]) -> Iterator[Danger]:
    if topic.replicas > 2 and topic.least_in_step < 2:
        yield Danger(
            f"{topic.name} acknowledges a record that only one of its {topic.replicas} replicas has "
            "(min.insync.replicas=1): it is lost with that broker. Set min.insync.replicas of "
            f"{topic.name} to 2."
        )
    if topic.replicas > 1 and values.get("unclean.leader.election.enable") == "true":
        yield Danger(
            f"{topic.name} may be led by a replica that lacks records (unclean.leader.election.enable=true): what was "
            f"acknowledged is lost then. Set unclean.leader.election.enable of {topic.name} to false."
        )


def _gone_early(name: str, values: Mapping[str, str], days: int) -> Iterator[Danger]:
    policy, retention_ms = values.get("cleanup.policy", ""), int(values.get("retention.ms", "-1"))
    most_bytes = int(values.get("retention.bytes", "-1"))
    if "compact" in policy:
        yield Danger(
            f"{name} is compacted (cleanup.policy={policy}): of each student only the newest record stays, and a "
            f"worker that was away, or a replay, misses the others. Set cleanup.policy of {name} to delete."
        )
    if "delete" not in policy:
        return
    if 0 <= retention_ms < days * DAY_MS:
        yield Danger(
            f"{name} keeps records for {retention_ms / DAY_MS:.3g} of the {days} days of KAFKA_RETENTION_DAYS "
            f"(retention.ms={retention_ms}): a worker that was away, or a replay, misses what is older. Set "
            f"retention.ms of {name} to {days * DAY_MS}."
        )
    if most_bytes >= 0:
        yield Danger(
            f"{name} drops records once a partition has {most_bytes:,} bytes (retention.bytes), "
            f"perhaps before {days} days are over: see that this is enough, or set retention.bytes of {name} to -1.",
            is_certain=False,
        )
