"""A webhook: where a school's results go, which of them, and what they are signed with."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.results import (
    EVENTS_TOPIC,
    RESULTS_TOPIC,
    Message,
    PathRecommended,
    Result,
    StruggleDetected,
    ThresholdReached,
    Updated,
)

SinkName: TypeAlias = str

ROTATION: Micros = DAY  # so long the secret before a new one signs too
MOST_SECRETS = 4
MOST_TYPES = 20
LONGEST_DESCRIPTION = 200
TEST_TYPE = "webhook.test"
BEGINNING = "webhook/"  # of the names of sinks

_KINDS: Mapping[str, tuple[type[Result], ...]] = {
    RESULTS_TOPIC: (Updated,),
    EVENTS_TOPIC: (ThresholdReached, StruggleDetected, PathRecommended),
}
OF_TOPIC: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {topic: tuple(str(kind.__struct_config__.tag) for kind in kinds) for topic, kinds in _KINDS.items()}
)
TYPES = tuple(kind for kinds in OF_TOPIC.values() for kind in kinds)
NAMES = (*TYPES, *OF_TOPIC)  # a topic's name stands for all types of it


class SealedSecret(msgspec.Struct, frozen=True):
    """A secret as it is kept, and until when it signs: None for the newest."""

    sealed: bytes
    until: Micros | None = None


class Webhook(msgspec.Struct, frozen=True):
    """A receiver of a tenant. ``inactive`` says why nothing is sent to it, or is "".

    ``made`` is part of its sink's name: what one queued that was removed is never sent to the next of its id.
    """

    webhook_id: str
    tenant: str
    url: str
    types: tuple[str, ...]
    description: str
    secrets: tuple[SealedSecret, ...]
    made: Micros
    changed: Micros
    inactive: str = ""
    removed: bool = False

    @property
    def sink(self) -> SinkName:
        """The name of its queue."""
        return f"{BEGINNING}{self.tenant}/{self.webhook_id}/{self.made}"

    @property
    def seal_name(self) -> str:
        """The name under which its secrets are sealed."""
        return f"{BEGINNING}{self.tenant}/{self.webhook_id}"

    def wants(self) -> frozenset[str]:
        """The types of results that go to it."""
        if self.inactive or self.removed:
            return frozenset()
        return frozenset(one for name in self.types for one in OF_TOPIC.get(name, (name,)))

    def signing(self, now: Micros) -> list[bytes]:
        """The sealed secrets that sign now, the newest first."""
        return [one.sealed for one in self.secrets if one.until is None or now < one.until]


class WebhookChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What of a webhook is to be set. What is left out stays; a new one needs its ``url``.

    ``types`` are types of results, or ``mastery.results`` and ``mastery.events`` for all of a topic; a new webhook gets
    both unless it says. ``rotate_secret`` asks for a new secret, and the old one signs too for 24 hours. Without
    ``active`` it is active from now on, also if it was switched off.
    """

    url: Annotated[str, Meta(min_length=1, max_length=2_048)] | None = None
    types: (
        Annotated[
            list[
                Literal[
                    "mastery.updated",
                    "mastery.threshold.reached",
                    "struggle.detected",
                    "learning.path.recommended",
                    "mastery.results",
                    "mastery.events",
                ]
            ],
            Meta(min_length=1, max_length=MOST_TYPES),
        ]
        | None
    ) = None
    description: Annotated[str, Meta(max_length=LONGEST_DESCRIPTION)] | None = None
    rotate_secret: bool = False
    active: bool = True


class Payload(msgspec.Struct, frozen=True):
    """The body of a message: ``data`` is the message as it goes to Kafka."""

    type: str
    timestamp: str
    data: Message


_encode = msgspec.json.Encoder().encode


def body_of(message: Message) -> bytes:
    """The body in which a result is sent."""
    return _encode(Payload(message.event_type, message.timestamp, message))


def test_body(webhook: Webhook, message_id: str, timestamp: str) -> bytes:
    """The body of a message that only tries whether a receiver is there."""
    about = {"event_id": message_id, "webhook_id": webhook.webhook_id, "tenant": webhook.tenant}
    return _encode({"type": TEST_TYPE, "timestamp": timestamp, "data": about})


class _Typed(msgspec.Struct, frozen=True):
    type: str = ""


_typed = msgspec.json.Decoder(_Typed).decode


def type_in(body: bytes) -> str:
    """The type of a message, from its body."""
    return _typed(body).type


def rotated(secrets: Iterable[SealedSecret], new: bytes, now: Micros) -> tuple[SealedSecret, ...]:
    """The secrets after a new one was made: those that sign still do so for a day, the newest before the others."""
    earlier: Sequence[SealedSecret] = [
        one if one.until is not None else SealedSecret(one.sealed, now + ROTATION)
        for one in secrets
        if one.until is None or now < one.until
    ]
    return (SealedSecret(new), *earlier)[:MOST_SECRETS]
