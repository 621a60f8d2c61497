"""The answers about webhooks; none of them has a secret but that of a new one, or of one that was asked for anew."""

from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.out.webhooks.webhook import Webhook, type_in
from mastery_engine.ports.deliveries import Delivery
from mastery_engine.responses.times import MomentText

ShownState: TypeAlias = Literal["waiting", "delivered", "failed"]


class WebhookRecord(msgspec.Struct, frozen=True):
    """A webhook. ``inactive_because`` says why nothing is sent to it, null while it is active.

    ``secrets`` is how many secrets sign now: more than one for 24 hours after a new one was asked for.
    """

    webhook_id: str
    url: str
    types: list[str]
    description: str
    active: bool
    inactive_because: str | None
    secrets: int
    created: MomentText
    changed: MomentText


class SetWebhook(WebhookRecord, frozen=True):
    """A webhook as it was set. ``secret`` is there if it is new: it is shown now and never again."""

    secret: str | None = None


class WebhookList(msgspec.Struct, frozen=True):
    """The webhooks of a tenant, by id."""

    webhooks: list[WebhookRecord]


class RemovedWebhook(msgspec.Struct, frozen=True):
    """A webhook that was removed, and how many deliveries were with it, sent and unsent."""

    webhook_id: str
    deliveries: int


class DeliveryEntry(msgspec.Struct, frozen=True):
    """A message to a webhook: ``id`` is its webhook-id, ``student_id`` whom it is about.

    ``outcome`` is what came of the last attempt; ``next_attempt`` is when it may be tried again, null once it ended.
    """

    id: str
    type: str
    student_id: str
    state: ShownState
    attempts: int
    outcome: str
    queued: MomentText
    last_attempt: MomentText | None
    next_attempt: MomentText | None
    ended: MomentText | None


class DeliveryList(msgspec.Struct, frozen=True):
    """A page of a webhook's deliveries, newest first; ``next_cursor`` leads to the next one, null on the last."""

    webhook_id: str
    deliveries: list[DeliveryEntry]
    next_cursor: str | None


class TriedWebhook(msgspec.Struct, frozen=True):
    """What came of a test message, which is sent once: whether the receiver took it, and what it answered."""

    webhook_id: str
    id: str
    delivered: bool
    outcome: str


def webhook_record(webhook: Webhook, now: Micros) -> WebhookRecord:
    return WebhookRecord(
        webhook.webhook_id,
        webhook.url,
        list(webhook.types),
        webhook.description,
        not webhook.inactive,
        webhook.inactive or None,
        len(webhook.signing(now)),
        rfc3339(webhook.made),
        rfc3339(webhook.changed),
    )


def set_webhook(webhook: Webhook, secret: str | None, now: Micros) -> SetWebhook:
    return SetWebhook(**msgspec.structs.asdict(webhook_record(webhook, now)), secret=secret)


def delivery_entry(delivery: Delivery) -> DeliveryEntry:
    return DeliveryEntry(
        delivery.delivery_id,
        type_in(delivery.body),
        delivery.student.student_id,
        delivery.state,
        delivery.attempts,
        delivery.outcome,
        rfc3339(delivery.queued),
        None if delivery.tried is None else rfc3339(delivery.tried),
        rfc3339(delivery.due) if delivery.state == "waiting" else None,
        None if delivery.ended is None else rfc3339(delivery.ended),
    )
