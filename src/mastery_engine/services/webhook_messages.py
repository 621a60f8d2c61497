"""Messages to webhooks: which results go to which, and how one is sent."""

import logging
from collections.abc import Collection, Sequence

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.auth.sealing import Seal
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result, event_type, message
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import InvalidInput, Unavailable
from mastery_engine.out.retries import asked_wait
from mastery_engine.out.webhooks.signing import signed_headers
from mastery_engine.out.webhooks.webhook import Webhook, body_of
from mastery_engine.outbound.public_http import HttpAnswer, PublicHttp
from mastery_engine.ports.deliveries import Delivery, DeliveryQueue
from mastery_engine.ports.registry import RegistryStore, RegistryWrite
from mastery_engine.services.audit import Audit
from mastery_engine.services.consents import Consents
from mastery_engine.services.known_webhooks import KnownWebhooks, pack_webhook, unpack_webhook
from mastery_engine.services.receivers import SENT_WITHIN_S, Bell, SendOutcome

logger = logging.getLogger(__name__)

MOST_READ = 4_096  # of an answer: only its status counts, and a connection whose answer was read is used again
GONE = 410
ENGINE = "sender"  # who switched a webhook off, on the audit trail
IS_GONE = "its receiver answered 410, that it is gone"


class WebhookMessages:
    """Queues results for webhooks, and sends what is queued."""

    name = "webhook"

    def __init__(
        self,
        known: KnownWebhooks,
        registry: RegistryStore,
        queue: DeliveryQueue,
        bell: Bell,
        http: PublicHttp,
        seal: Seal,
        consents: Consents,
        audit: Audit,
        clock: Clock,
        agent: str,
    ) -> None:
        """``agent`` is what we call ourselves to receivers."""
        self._known = known
        self._registry = registry
        self._queue = queue
        self._bell = bell
        self._http = http
        self._seal = seal
        self._consents = consents
        self._audit = audit
        self._clock = clock
        self._agent = agent

    async def follow(self, results: Sequence[Result]) -> None:
        """Queue results for the webhooks that want them, durably on return. Again is harmless: ids tell.

        Raises Unavailable.
        """
        now = self._clock()
        await self._known.refresh(now)
        if not self._known.by_sink:
            return
        deliveries: list[Delivery] = []
        for result in results:
            webhooks = self._known.wanting(result.tenant, event_type(result))
            student = StudentKey(result.tenant, result.student_id)
            if not webhooks or not self._consents.state(student).processing:
                continue
            sent = message(result)
            body = body_of(sent)
            deliveries += [
                Delivery(webhook.sink, sent.event_id, result.student_id, student, now, now, body)
                for webhook in webhooks
            ]
        if deliveries:
            await self._queue.enqueue(deliveries)
            self._bell.ring({delivery.sink for delivery in deliveries})

    async def sinks(self, now: Micros) -> Collection[str]:
        """The queues of all webhooks. What comes into that of a removed one afterwards is removed as well."""
        await self._known.refresh(now)
        for webhook in self._known.by_sink.values():
            if webhook.removed:
                await self._queue.remove_sink(webhook.sink)
        return [sink for sink, webhook in self._known.by_sink.items() if not webhook.removed]

    async def send(self, delivery: Delivery, now: Micros) -> SendOutcome:
        """Send a message, as the webhook is now."""
        await self._known.refresh(now)
        webhook = self._known.by_sink.get(delivery.sink)
        if webhook is None or webhook.removed:
            return SendOutcome("never", "the webhook was removed")
        if webhook.inactive:
            return SendOutcome("never", f"the webhook is not active: {webhook.inactive}")
        if delivery.student.student_id and not await self._allowed(delivery.student, now):
            return SendOutcome("never", "the student does not allow it")
        outcome = await self.post(webhook, delivery.delivery_id, delivery.body, now, timeout_s=SENT_WITHIN_S)
        if outcome.result == "never":
            await self._switch_off(webhook)
        return outcome

    async def post(
        self, webhook: Webhook, message_id: str, body: bytes, now: Micros, *, timeout_s: float
    ) -> SendOutcome:
        """Send a body, signed; what came of it."""
        try:
            secrets = [self._seal.open(sealed, webhook.seal_name) for sealed in webhook.signing(now)]
        except Unavailable as error:
            logger.error("a webhook needs a new secret: %s", error.message, extra={"webhook": webhook.seal_name})
            return SendOutcome("again", "its secret cannot be read: set the webhook with a new one (rotate_secret)")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self._agent,
            **signed_headers(message_id, body, now, secrets),
        }
        try:
            answer = await self._http.request(
                "POST",
                webhook.url,
                headers=headers,
                content=body,
                most_bytes=MOST_READ,
                timeout_s=timeout_s,
                cuts_off=True,
            )
        except (InvalidInput, Unavailable) as error:
            return SendOutcome("again", error.message)
        return outcome_of(answer, now)

    async def _allowed(self, student: StudentKey, now: Micros) -> bool:
        """Whether a student allows it now; an erased one has no deliveries any more."""
        if not await self._consents.refresh_lately(now):
            raise Unavailable("It is not known yet what students allow.")
        return self._consents.state(student).processing

    async def _switch_off(self, webhook: Webhook) -> None:
        """Send nothing more to a receiver that is gone, until somebody sets the webhook again."""
        key, now = f"{webhook.tenant}/{webhook.webhook_id}", self._clock()
        (entry,) = await self._registry.find("webhooks", [key], now)
        stored = None if entry is None else unpack_webhook(entry.value)
        if entry is None or stored is None or stored.sink != webhook.sink or stored.url != webhook.url:
            return
        off = msgspec.structs.replace(stored, inactive=IS_GONE, changed=now)
        await self._audit.write(Caller(ENGINE, "service", webhook.tenant), "disable-webhook", [None])
        await self._registry.write("webhooks", [RegistryWrite(key, pack_webhook(off), entry.version)], now)
        self._known.forget()
        logger.warning("a webhook was switched off: %s", IS_GONE, extra={"webhook": key})


def outcome_of(answer: HttpAnswer, now: Micros) -> SendOutcome:
    """What an answer means, by Standard Webhooks: whatever is not 2xx is tried again, but for 410."""
    status = answer.status
    if 200 <= status < 300:
        return SendOutcome("delivered", f"answered {status}")
    if status == GONE:
        return SendOutcome("never", f"answered {status}: the webhook is not active any more")
    if 300 <= status < 400:
        return SendOutcome("again", f"answered {status}: redirects are not followed")
    return SendOutcome("again", f"answered {status}", asked_wait(answer.headers.get("retry-after"), now))
