"""The routes of the pages about webhooks: what became of each message, and sending it again, after a question."""

from typing import cast, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mastery_engine.auth.access import Caller
from mastery_engine.errors import InvalidInput
from mastery_engine.http.dashboard.routing import with_error_pages
from mastery_engine.http.dashboard.session import caller_of, check_same_origin
from mastery_engine.http.dashboard.templates import page
from mastery_engine.http.dashboard.words import N_
from mastery_engine.http.incoming import engine_of
from mastery_engine.responses.webhooks import ShownState, TriedWebhook

STATES: tuple[ShownState, ...] = get_args(ShownState)
ROWS = 25

router = APIRouter(include_in_schema=False, prefix="/dashboard/webhooks")


@router.get("/{webhook_id}")
@with_error_pages
async def show(request: Request, webhook_id: str) -> Response:
    return await _shown(request, await caller_of(request), webhook_id, None)


@router.post("/{webhook_id}/deliveries/{delivery_id}/resend")
@with_error_pages
async def resend(request: Request, webhook_id: str, delivery_id: str) -> Response:
    check_same_origin(request)
    caller = await caller_of(request)
    await engine_of(request).webhooks.resend(caller, webhook_id, delivery_id)
    return RedirectResponse(f"/dashboard/webhooks/{webhook_id}", 303)


@router.post("/{webhook_id}/test")
@with_error_pages
async def send_test(request: Request, webhook_id: str) -> Response:
    check_same_origin(request)
    caller = await caller_of(request)
    return await _shown(request, caller, webhook_id, await engine_of(request).webhooks.test(caller, webhook_id))


async def _shown(request: Request, caller: Caller, webhook_id: str, tried: TriedWebhook | None) -> Response:
    """The page of a webhook; with ``resend`` in the address it asks whether that message is to be sent again."""
    asked = {name: request.query_params.get(name, "").strip() for name in ("state", "cursor", "resend")}
    if asked["state"] not in ("", *STATES):
        raise InvalidInput(N_("No message is in such a state: choose one of those on the page."), field="state")
    state = cast("ShownState", asked["state"]) if asked["state"] else None
    webhooks = engine_of(request).webhooks
    found = await webhooks.deliveries(caller, webhook_id, state=state, limit=ROWS, cursor=asked["cursor"] or None)
    if asked["resend"] and all(one.id != asked["resend"] for one in found.deliveries):
        await webhooks.delivery(caller, webhook_id, asked["resend"])
    older = {"state": asked["state"], "cursor": found.next_cursor}
    return page(
        "webhook.html",
        caller,
        webhook=await webhooks.show(caller, webhook_id),
        deliveries=found.deliveries,
        names=await engine_of(request).people.names_for(caller, {one.student_id for one in found.deliveries}),
        older="" if found.next_cursor is None else urlencode({name: value for name, value in older.items() if value}),
        state=asked["state"],
        states=STATES,
        asked=asked["resend"],
        tried=tried,
    )
