"""Calls about webhooks: where a school's results go, and what became of each message."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import StringConstraints

from mastery_engine.domain.given_ids import EVENT_ID, STUDENT_ID
from mastery_engine.http.body import read_struct
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key, json_body
from mastery_engine.http.openapi import KEYED, responds, takes
from mastery_engine.out.webhooks.webhook import WebhookChange
from mastery_engine.responses.webhooks import (
    DeliveryEntry,
    DeliveryList,
    RemovedWebhook,
    SetWebhook,
    ShownState,
    TriedWebhook,
    WebhookList,
    WebhookRecord,
)
from mastery_engine.services.webhooks import PAGE

router = APIRouter(route_class=EnvelopeRoute, tags=["webhooks"])

WebhookId = Annotated[str, StringConstraints(pattern=STUDENT_ID)]
DeliveryId = Annotated[str, StringConstraints(pattern=EVENT_ID), Path(description="the webhook-id of the message")]


@router.put("/webhooks/{webhook_id}", openapi_extra=responds(SetWebhook, limit=None) | KEYED | takes(WebhookChange))
async def set_webhook(engine: TheEngine, caller: Authenticated, request: Request, webhook_id: WebhookId) -> SetWebhook:
    """Set parts of a webhook: its url, types and description. What is left out stays.

    A new one is answered with its secret, which is never shown again. It counts for what happens from then on, in all
    processes within 2 seconds.
    """
    body = await json_body(request)
    change = read_struct(WebhookChange, body)
    return await engine.webhooks.put(caller, webhook_id, change, key=idempotency_key(request, body))


@router.get("/webhooks/{webhook_id}", openapi_extra=responds(WebhookRecord, limit="query"))
async def webhook(engine: TheEngine, caller: Authenticated, webhook_id: WebhookId) -> WebhookRecord:
    """A webhook, without its secret."""
    return await engine.webhooks.show(caller, webhook_id)


@router.delete("/webhooks/{webhook_id}", openapi_extra=responds(RemovedWebhook, limit=None))
async def delete_webhook(engine: TheEngine, caller: Authenticated, webhook_id: WebhookId) -> RemovedWebhook:
    """Remove a webhook, with all that was sent to it and what waits for it."""
    return await engine.webhooks.remove(caller, webhook_id)


@router.get("/webhooks", openapi_extra=responds(WebhookList, limit="query"))
async def webhooks(engine: TheEngine, caller: Authenticated) -> WebhookList:
    """The tenant's webhooks, without their secrets."""
    return await engine.webhooks.all(caller)


@router.get("/webhooks/{webhook_id}/deliveries", openapi_extra=responds(DeliveryList, limit="query"))
async def deliveries(
    engine: TheEngine,
    caller: Authenticated,
    webhook_id: WebhookId,
    state: ShownState | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> DeliveryList:
    """What was sent to a webhook or waits for it, newest first: what became of each, and when it is tried again."""
    return await engine.webhooks.deliveries(caller, webhook_id, state=state, limit=limit, cursor=cursor)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/resend", openapi_extra=responds(DeliveryEntry, limit=None)
)
async def resend_delivery(
    engine: TheEngine, caller: Authenticated, webhook_id: WebhookId, delivery_id: DeliveryId
) -> DeliveryEntry:
    """Send a message again under its webhook-id, at once, and with new attempts if it fails."""
    return await engine.webhooks.resend(caller, webhook_id, delivery_id)


@router.post("/webhooks/{webhook_id}/test", openapi_extra=responds(TriedWebhook, limit=None))
async def try_webhook(engine: TheEngine, caller: Authenticated, webhook_id: WebhookId) -> TriedWebhook:
    """Send a message of the type `webhook.test` now and once, and say what the receiver answered."""
    return await engine.webhooks.test(caller, webhook_id)
