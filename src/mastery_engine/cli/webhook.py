"""``webhook``: where a school's results go, and what became of each message."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from mastery_engine.cli.console import AsJson, Tenant, counted, opened, operator, say, settings

if TYPE_CHECKING:
    from mastery_engine.auth.access import Caller
    from mastery_engine.responses.webhooks import DeliveryEntry, SetWebhook, WebhookRecord
    from mastery_engine.services.webhooks import Webhooks

T = TypeVar("T")

app = typer.Typer(help="The webhooks of a school: where its results go.", no_args_is_help=True)

WebhookId = Annotated[str, typer.Argument(help="The webhook's id.", metavar="ID")]


def _done(tenant: str, work: Callable[["Webhooks", "Caller"], Awaitable[T]]) -> T:
    async def done() -> T:
        async with opened(settings()) as engine:
            return await work(engine.webhooks, operator(tenant))

    return asyncio.run(done())


@app.callback()
def webhook() -> None:
    """The webhooks of a school: signed messages with its results, by Standard Webhooks."""


@app.command()
def put(
    webhook_id: WebhookId,
    url: Annotated[
        str | None, typer.Option(help="Where to send: an https address. A new webhook needs it.", show_default=False)
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="A type of result, or mastery.results or mastery.events for all of a topic; may be repeated. A new "
            "webhook gets all.",
            metavar="TYPE",
            show_default=False,
        ),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for, as in a list.", show_default=False)] = None,
    rotate_secret: Annotated[
        bool, typer.Option("--rotate-secret", help="Make a new secret; the old one signs too for 24 hours.")
    ] = False,
    off: Annotated[bool, typer.Option("--off", help="Send nothing, until it is set again.")] = False,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Set parts of a webhook; what is left out stays. Prints the secret of a new one, which is shown only now.

    It works beside a running serve, and counts within 2 seconds.

    \b
    Example:
      mastery-engine webhook put lms --url https://lms.example.org/hooks/mastery
    """
    import msgspec

    from mastery_engine.domain.faults import malformed
    from mastery_engine.out.webhooks.webhook import WebhookChange

    given: dict[str, Any] = {"url": url, "types": kinds, "description": description}
    fields = {name: value for name, value in given.items() if value is not None}
    try:
        change = msgspec.convert({**fields, "rotate_secret": rotate_secret, "active": not off}, WebhookChange)
    except msgspec.ValidationError as error:
        raise malformed(error, kind=WebhookChange) from None
    record: SetWebhook = _done(tenant, lambda webhooks, caller: webhooks.put(caller, webhook_id, change))
    lines = [_line(record)]
    if record.secret is not None:
        lines += [f"secret: {record.secret}", "The secret is not shown again: give it to the receiver now."]
    say(as_json, record, *lines)


@app.command()
def show(webhook_id: WebhookId, tenant: Tenant = "default", as_json: AsJson = False) -> None:
    """Show a webhook, without its secret.

    \b
    Example:
      mastery-engine webhook show lms
    """
    record = _done(tenant, lambda webhooks, caller: webhooks.show(caller, webhook_id))
    say(as_json, record, _line(record))


@app.command("list")
def list_all(tenant: Tenant = "default", as_json: AsJson = False) -> None:
    """List the webhooks of a school, without their secrets.

    \b
    Example:
      mastery-engine webhook list
    """
    found = _done(tenant, lambda webhooks, caller: webhooks.all(caller))
    say(as_json, found, *(map(_line, found.webhooks) if found.webhooks else ["There are no webhooks."]))


@app.command()
def delete(webhook_id: WebhookId, tenant: Tenant = "default", as_json: AsJson = False) -> None:
    """Remove a webhook, with all that was sent to it and what waits for it.

    \b
    Example:
      mastery-engine webhook delete lms
    """
    removed = _done(tenant, lambda webhooks, caller: webhooks.remove(caller, webhook_id))
    words = counted(removed.deliveries, "delivery").replace("deliverys", "deliveries")
    say(as_json, removed, f"Removed {removed.webhook_id}, with {words}.")


@app.command()
def deliveries(
    webhook_id: WebhookId,
    state: Annotated[
        Literal["waiting", "delivered", "failed"] | None,
        typer.Option(help="Only those: waiting, delivered or failed.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(help="The most to list.", min=1, max=100)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.", show_default=False)] = None,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """List what was sent to a webhook or waits for it, newest first.

    \b
    Example:
      mastery-engine webhook deliveries lms --state failed
    """
    found = _done(
        tenant,
        lambda webhooks, caller: webhooks.deliveries(caller, webhook_id, state=state, limit=limit, cursor=cursor),
    )
    lines = [_delivery_line(one) for one in found.deliveries] or ["There are none."]
    more = [] if found.next_cursor is None else [f"Older ones: --cursor {found.next_cursor}"]
    say(as_json, found, *lines, *more)


@app.command()
def resend(
    webhook_id: WebhookId,
    delivery_id: Annotated[str, typer.Argument(help="The message's webhook-id.", metavar="WEBHOOK-ID")],
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Send a message again under its webhook-id: the running serve or worker does it within 2 seconds.

    \b
    Example:
      mastery-engine webhook resend lms 3c1b5a3e-7d0f-5a64-8a4e-6f4f6d0d7a11
    """
    entry = _done(tenant, lambda webhooks, caller: webhooks.resend(caller, webhook_id, delivery_id))
    say(as_json, entry, f"{entry.id} is sent again.")


@app.command("test")
def send_test(webhook_id: WebhookId, tenant: Tenant = "default", as_json: AsJson = False) -> None:
    """Send a message of the type webhook.test from here, now and once, and say what the receiver answered.

    \b
    Example:
      mastery-engine webhook test lms
    """
    tried = _done(tenant, lambda webhooks, caller: webhooks.test(caller, webhook_id))
    say(as_json, tried, f"{tried.id}: {'delivered' if tried.delivered else 'not delivered'}, {tried.outcome}.")
    if not tried.delivered:
        raise typer.Exit(1)


def _line(record: "WebhookRecord") -> str:
    state = "active" if record.active else f"not active, since {record.inactive_because}"
    about = f" ({record.description})" if record.description else ""
    return f"{record.webhook_id}{about}: {', '.join(record.types)} to {record.url}, {state}"


def _delivery_line(entry: "DeliveryEntry") -> str:
    next_attempt = f", again {entry.next_attempt}" if entry.next_attempt else ""
    attempts = counted(entry.attempts, "attempt")
    outcome = f": {entry.outcome}" if entry.outcome else ""
    about = f"{entry.id}  {entry.queued}  {entry.type}  {entry.student_id}"
    return f"{about}  {entry.state}, {attempts}{next_attempt}{outcome}"
