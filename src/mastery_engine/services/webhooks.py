"""Webhooks: set by administrators of a school, with what was sent to each."""

from collections.abc import Callable

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.auth.sealing import Seal
from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.given_ids import FORMS, STUDENT_ID, is_student_id, normal_id
from mastery_engine.domain.moments import MINUTE, Micros, rfc3339
from mastery_engine.domain.results import EVENTS_TOPIC, RESULTS_TOPIC
from mastery_engine.errors import Conflict, InvalidInput, NotFound, Unavailable
from mastery_engine.out.webhooks.signing import shown_secret
from mastery_engine.out.webhooks.webhook import LONGEST_DESCRIPTION, NAMES, Webhook, WebhookChange, rotated, test_body
from mastery_engine.outbound.public_http import PublicHttp
from mastery_engine.ports.deliveries import DeliveryQueue, DeliveryState, place
from mastery_engine.ports.registry import Entry, RegistryStore, RegistryWrite
from mastery_engine.responses.cursors import make_cursor, read_cursor
from mastery_engine.responses.webhooks import (
    DeliveryEntry,
    DeliveryList,
    RemovedWebhook,
    SetWebhook,
    TriedWebhook,
    WebhookList,
    WebhookRecord,
    delivery_entry,
    set_webhook,
    webhook_record,
)
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.known_webhooks import KnownWebhooks, pack_webhook, unpack_webhook
from mastery_engine.services.receivers import Bell
from mastery_engine.services.webhook_messages import WebhookMessages

NO_SUCH_MESSAGE = "There is no message with this webhook-id: the deliveries of the webhook list them."
MOST_WEBHOOKS = 20
PAGE = 100
MAX_ROUNDS = 20
TEST_WITHIN_S = 10.0
REMEMBERED: Micros = 10 * MINUTE  # a removed one, so that nothing stays in its queue
SWITCHED_OFF = "it was switched off"


class Webhooks:
    """Sets, shows and removes webhooks, lists what was sent, and sends it again. What is set counts within 2 s."""

    def __init__(
        self,
        registry: RegistryStore,
        queue: DeliveryQueue,
        known: KnownWebhooks,
        messages: WebhookMessages,
        bell: Bell,
        http: PublicHttp,
        seal: Seal,
        access: AccessControl,
        audit: Audit,
        idempotency: Idempotency,
        clock: Clock,
        new_id: NewId,
        new_secret: Callable[[], bytes],
    ) -> None:
        """``new_secret`` makes ``SECRET_BYTES`` random bytes."""
        self._registry = registry
        self._queue = queue
        self._known = known
        self._messages = messages
        self._bell = bell
        self._http = http
        self._seal = seal
        self._access = access
        self._audit = audit
        self._idempotency = idempotency
        self._clock = clock
        self._new_id = new_id
        self._new_secret = new_secret

    async def put(
        self, caller: Caller, webhook_id: str, change: WebhookChange, *, key: IdempotencyKey | None = None
    ) -> SetWebhook:
        """Set parts of a webhook; a new one gets a secret, which is in the answer.

        With a ``key`` a new secret is derived from it, so that the same call, repeated, is answered with the same one.

        Raises Forbidden, InvalidInput if the URL is none that may be called, Conflict and Unavailable.
        """
        self._access.check_act(caller, Act.WEBHOOKS, "put-webhook")
        _check_id(webhook_id)
        now = caller.moment(self._clock)
        if change.description is not None:
            change = msgspec.structs.replace(change, description=_description(change.description))
        if change.url is not None:
            await self._http.check(change.url)
        call = f"put-webhook {webhook_id}"
        await self._idempotency.claim(caller, call, key)
        await self._audit.write(caller, "put-webhook", [None])
        derived = None if key is None else self._seal.derive(f"{caller.tenant} {caller.subject} {call} {key.value}")
        for _ in range(MAX_ROUNDS):
            entry, before = await self._find(caller.tenant, webhook_id, now)
            is_new = before is None or before.removed
            if is_new:
                await self._check_room(caller.tenant, now)
            webhook = _new(caller.tenant, webhook_id, change, now) if before is None or is_new else before
            secret = None
            if derived is not None and not is_new and self._newest(webhook) == derived:
                secret = derived  # this very call made it
            elif is_new or change.rotate_secret:
                secret = derived or self._new_secret()
            webhook = self._changed(webhook, change, secret, now)
            write = RegistryWrite(_key(webhook), pack_webhook(webhook), 0 if entry is None else entry.version)
            if (await self._registry.write("webhooks", [write], now))[0]:
                self._known.forget()
                if before is not None and before.removed:  # nobody looks after its queue any more
                    await self._queue.remove_sink(before.sink)
                return set_webhook(webhook, None if secret is None else shown_secret(secret), now)
        raise Conflict("Others are setting this webhook at the same time: try again.")

    async def show(self, caller: Caller, webhook_id: str) -> WebhookRecord:
        """A webhook. Raises Forbidden, NotFound and Unavailable."""
        webhook = await self._read(caller, webhook_id, "show-webhook")
        return webhook_record(webhook, caller.moment(self._clock))

    async def all(self, caller: Caller) -> WebhookList:
        """The webhooks of the caller's tenant. Raises Forbidden and Unavailable."""
        self._access.check_act(caller, Act.WEBHOOKS, "list-webhooks")
        self._audit.note(caller, "list-webhooks", None, allowed=True)
        now = caller.moment(self._clock)
        return WebhookList([webhook_record(one, now) for one in await self._all(caller.tenant, now)])

    async def sinks_of(self, tenant: str, now: Micros) -> dict[str, str]:
        """Where messages to a tenant's webhooks wait, by the webhooks' ids. Raises Unavailable."""
        return {one.webhook_id: one.sink for one in await self._all(tenant, now)}

    async def remove(self, caller: Caller, webhook_id: str) -> RemovedWebhook:
        """Remove a webhook and all that was sent or waits for it. Raises Forbidden, NotFound and Unavailable."""
        self._access.check_act(caller, Act.WEBHOOKS, "delete-webhook")
        now = caller.moment(self._clock)
        webhook = await self._there(caller.tenant, webhook_id, now)
        await self._audit.write(caller, "delete-webhook", [None])
        gone = msgspec.structs.replace(webhook, removed=True, secrets=(), changed=now)
        write = RegistryWrite(_key(webhook), pack_webhook(gone), expires=now + REMEMBERED)
        await self._registry.write("webhooks", [write], now)
        self._known.forget()
        return RemovedWebhook(webhook_id, await self._queue.remove_sink(webhook.sink))

    async def deliveries(
        self,
        caller: Caller,
        webhook_id: str,
        *,
        state: DeliveryState | None = None,
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> DeliveryList:
        """A page of what was sent to a webhook or waits for it, newest first.

        Raises Forbidden, NotFound, InvalidInput and Unavailable.
        """
        webhook = await self._read(caller, webhook_id, "list-deliveries")
        before = read_cursor(cursor, str) or ""
        found = await self._queue.page(webhook.sink, state, before, limit + 1)
        shown = found[:limit]
        for student_id in sorted({one.student.student_id for one in shown}):
            self._audit.note(caller, "list-deliveries", student_id, allowed=True)
        more = make_cursor(place(shown[-1])) if len(found) > limit else None
        return DeliveryList(webhook_id, [delivery_entry(one) for one in shown], more)

    async def delivery(self, caller: Caller, webhook_id: str, delivery_id: str) -> DeliveryEntry:
        """What became of one message. Raises Forbidden, NotFound and Unavailable."""
        webhook = await self._read(caller, webhook_id, "list-deliveries")
        found = await self._queue.find(webhook.sink, delivery_id)
        if found is None:
            raise NotFound(NO_SUCH_MESSAGE)
        self._audit.note(caller, "list-deliveries", found.student.student_id, allowed=True)
        return delivery_entry(found)

    async def resend(self, caller: Caller, webhook_id: str, delivery_id: str) -> DeliveryEntry:
        """Send a message again, under its id, at once if it is the first that waits of its student.

        Raises Forbidden, NotFound, Conflict if the webhook is not active, and Unavailable.
        """
        self._access.check_act(caller, Act.WEBHOOKS, "resend-delivery")
        now = caller.moment(self._clock)
        webhook = await self._there(caller.tenant, webhook_id, now)
        if webhook.inactive:
            raise Conflict(f"The webhook is not active, since {webhook.inactive}: set it again first.")
        delivery = await self._queue.find(webhook.sink, delivery_id)
        if delivery is not None:
            await self._audit.write(caller, "resend-delivery", [delivery.student.student_id])
        if delivery is None or not await self._queue.again(webhook.sink, delivery_id, now):
            raise NotFound(NO_SUCH_MESSAGE)
        self._bell.ring([webhook.sink])
        return delivery_entry(await self._queue.find(webhook.sink, delivery_id) or delivery)

    async def test(self, caller: Caller, webhook_id: str) -> TriedWebhook:
        """Send a test message, of the type ``webhook.test``, once and now; what came of it.

        Raises Forbidden, NotFound and Unavailable.
        """
        self._access.check_act(caller, Act.WEBHOOKS, "test-webhook")
        now = caller.moment(self._clock)
        webhook = await self._there(caller.tenant, webhook_id, now)
        await self._audit.write(caller, "test-webhook", [None])
        message_id = f"test-{self._new_id()}"
        body = test_body(webhook, message_id, rfc3339(now))
        outcome = await self._messages.post(webhook, message_id, body, now, timeout_s=TEST_WITHIN_S)
        return TriedWebhook(webhook_id, message_id, outcome.result == "delivered", outcome.words)

    def _changed(self, webhook: Webhook, change: WebhookChange, secret: bytes | None, now: Micros) -> Webhook:
        secrets = webhook.secrets
        if secret is not None and secret != self._newest(webhook):
            secrets = rotated(secrets, self._seal.seal(secret, webhook.seal_name), now)
        return msgspec.structs.replace(
            webhook,
            url=webhook.url if change.url is None else change.url,
            types=webhook.types if change.types is None else tuple(one for one in NAMES if one in change.types),
            description=webhook.description if change.description is None else change.description,
            secrets=secrets,
            changed=now,
            inactive="" if change.active else SWITCHED_OFF,
        )

    def _newest(self, webhook: Webhook) -> bytes | None:
        """The newest secret; None if there is none, or none that can be read."""
        try:
            return self._seal.open(webhook.secrets[0].sealed, webhook.seal_name) if webhook.secrets else None
        except Unavailable:
            return None

    async def _read(self, caller: Caller, webhook_id: str, call: str) -> Webhook:
        self._access.check_act(caller, Act.WEBHOOKS, call)
        self._audit.note(caller, call, None, allowed=True)
        return await self._there(caller.tenant, webhook_id, caller.moment(self._clock))

    async def _there(self, tenant: str, webhook_id: str, now: Micros) -> Webhook:
        webhook = (await self._find(tenant, webhook_id, now))[1]
        if webhook is None or webhook.removed:
            raise NotFound("There is no webhook with this id: GET /webhooks lists them.")
        return webhook

    async def _find(self, tenant: str, webhook_id: str, now: Micros) -> tuple[Entry | None, Webhook | None]:
        if not is_student_id(webhook_id):
            return None, None
        (entry,) = await self._registry.find("webhooks", [f"{tenant}/{webhook_id}"], now)
        return entry, None if entry is None else unpack_webhook(entry.value)

    async def _all(self, tenant: str, now: Micros) -> list[Webhook]:
        found: list[Webhook] = []
        after = ""
        while True:
            page = await self._registry.page("webhooks", f"{tenant}/", after, PAGE, now)
            found += [webhook for entry in page if not (webhook := unpack_webhook(entry.value)).removed]
            if len(page) < PAGE:
                return found
            after = page[-1].key

    async def _check_room(self, tenant: str, now: Micros) -> None:
        if len(await self._all(tenant, now)) >= MOST_WEBHOOKS:
            raise Conflict(f"There are {MOST_WEBHOOKS} webhooks already, which is the most: remove one first.")


def _check_id(webhook_id: str) -> None:
    if not is_student_id(webhook_id):
        raise InvalidInput(f"webhook_id {FORMS[STUDENT_ID].partition(';')[0]}.", field="webhook_id")


def _description(text: str) -> str:
    """Raises InvalidInput for control characters: terminals show it."""
    return normal_id(text, "description", LONGEST_DESCRIPTION) if text.strip() else ""


def _key(webhook: Webhook) -> str:
    return f"{webhook.tenant}/{webhook.webhook_id}"


def _new(tenant: str, webhook_id: str, change: WebhookChange, now: Micros) -> Webhook:
    if change.url is None:
        raise InvalidInput("A new webhook needs a url.", field="url")
    return Webhook(webhook_id, tenant, change.url, (RESULTS_TOPIC, EVENTS_TOPIC), "", (), now, now)
