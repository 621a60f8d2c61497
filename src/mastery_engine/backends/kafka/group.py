"""Who is in the consumer group: whoever works the log."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from mastery_engine.backends.kafka.faults import ANSWER_S, Complaints, as_engine_error, new_client, when_settled
from mastery_engine.backends.kafka.settings import GROUP, KafkaSettings


def members_of(settings: KafkaSettings) -> list[str]:
    """The hosts of the group's members, as the broker sees them; blocks. Raises Unavailable."""
    complaints = Complaints()
    admin = new_client(AdminClient, settings.client(error_cb=complaints))

    def ask() -> list[str]:
        described = admin.describe_consumer_groups([GROUP], request_timeout=ANSWER_S)
        return sorted(member.host.lstrip("/") for member in described[GROUP].result(ANSWER_S).members)

    try:
        return when_settled(ask)
    except KafkaException as error:
        admin.poll(0)  # so that it makes its complaints
        raise as_engine_error(error, complaints) from error
