"""The wiring of webhooks: builds their services once, each with only what it needs."""

from collections.abc import Callable
from functools import partial

from mastery_engine import __version__
from mastery_engine.auth.sealing import Seal
from mastery_engine.clock import Clock, NewId
from mastery_engine.out.webhooks.signing import SECRET_BYTES
from mastery_engine.outbound.public_http import PublicHttp
from mastery_engine.ports.deliveries import DeliveryQueue
from mastery_engine.ports.registry import RegistryStore
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.consents import Consents
from mastery_engine.services.idempotency import Idempotency
from mastery_engine.services.known_webhooks import KnownWebhooks
from mastery_engine.services.receivers import Bell
from mastery_engine.services.webhook_messages import WebhookMessages
from mastery_engine.services.webhooks import Webhooks

NAME = f"mastery-engine/{__version__}"


def webhook_services(
    registry: RegistryStore,
    queue: DeliveryQueue,
    consents: Consents,
    access: AccessControl,
    audit: Audit,
    idempotency: Idempotency,
    bell: Bell,
    http: PublicHttp,
    seal: Seal,
    clock: Clock,
    new_id: NewId,
    new_bytes: Callable[[int], bytes],
    *,
    public_url: str | None,
) -> tuple[Webhooks, WebhookMessages]:
    """What sets webhooks, and what follows results and sends to them. ``new_bytes`` makes so many random bytes."""
    known = KnownWebhooks(registry)
    agent = NAME if public_url is None else f"{NAME} (+{public_url})"
    messages = WebhookMessages(known, registry, queue, bell, http, seal, consents, audit, clock, agent)
    setting = access, audit, idempotency, clock, new_id, partial(new_bytes, SECRET_BYTES)
    webhooks = Webhooks(registry, queue, known, messages, bell, http, seal, *setting)
    return webhooks, messages
