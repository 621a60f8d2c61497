"""Which webhooks are known: those of a moment ago, also while the store is away or holds what nobody can read."""

import asyncio

import pytest

from mastery_engine.backends.memory.registry import MemoryRegistry
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import Unavailable
from mastery_engine.out.webhooks.webhook import Webhook
from mastery_engine.ports.registry import Entry, RegistryWrite, Table
from mastery_engine.services.known_webhooks import CACHED_FOR, PAGE, KnownWebhooks, pack_webhook
from tests.support.samples import NOW


class CountedRegistry(MemoryRegistry):
    """Counts readings, may be away, and may be slow."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = 0
        self.is_away = False

    async def page(self, table: Table, prefix: str, after: str, limit: int, now: Micros) -> list[Entry]:
        if self.is_away:
            raise Unavailable("The store is away.")
        self.pages += 1
        found = await super().page(table, prefix, after, limit, now)
        await asyncio.sleep(0)
        return found


def webhook(webhook_id: str, tenant: str = "default", *types: str, inactive: str = "") -> Webhook:
    return Webhook(webhook_id, tenant, "https://a.example.org/", types or ("mastery.events",), "", (), 1, 1, inactive)


async def put(registry: MemoryRegistry, *webhooks: Webhook) -> None:
    writes = [RegistryWrite(f"{one.tenant}/{one.webhook_id}", pack_webhook(one)) for one in webhooks]
    await registry.write("webhooks", writes, NOW)


def wanted(known: KnownWebhooks, tenant: str = "default", kind: str = "mastery.threshold.reached") -> list[str]:
    return [one.webhook_id for one in known.wanting(tenant, kind)]


async def test_they_are_read_once_a_second_and_at_once_after_a_change_here() -> None:
    registry = CountedRegistry()
    known = KnownWebhooks(registry)
    for _ in range(3):
        await known.refresh(NOW)
    assert (registry.pages, wanted(known)) == (1, [])
    await put(registry, webhook("a"), webhook("b", "school-1"), webhook("c", "default", "mastery.updated"))
    await known.refresh(NOW + CACHED_FOR - 1)
    assert wanted(known) == []
    await known.refresh(NOW + CACHED_FOR)
    assert (wanted(known), wanted(known, "school-1")) == (["a"], ["b"])
    assert wanted(known, kind="mastery.updated") == ["c"]
    await put(registry, webhook("a", inactive="it was switched off"))
    known.forget()
    await known.refresh(NOW + CACHED_FOR)
    assert wanted(known) == []
    assert len(known.by_sink) == 3


async def test_all_pages_are_read() -> None:
    registry = CountedRegistry()
    await put(registry, *[webhook(f"w-{number:04d}") for number in range(2 * PAGE + 1)])
    known = KnownWebhooks(registry)
    await known.refresh(NOW)
    assert (len(wanted(known)), registry.pages) == (2 * PAGE + 1, 3)


async def test_what_is_known_stays_while_the_store_is_away_and_nothing_is_known_before() -> None:
    registry = CountedRegistry()
    await put(registry, webhook("a"))
    known = KnownWebhooks(registry)
    registry.is_away = True
    with pytest.raises(Unavailable):
        await known.refresh(NOW)
    registry.is_away = False
    await known.refresh(NOW)
    registry.is_away = True
    await known.refresh(NOW + 10 * CACHED_FOR)
    assert wanted(known) == ["a"]


async def test_a_record_that_nobody_can_read_keeps_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    registry = CountedRegistry()
    await put(registry, webhook("a"), webhook("z"))
    await registry.write("webhooks", [RegistryWrite("default/broken", b"\xc1")], NOW)
    known = KnownWebhooks(registry)
    await known.refresh(NOW)
    assert wanted(known) == ["a", "z"]
    assert caplog.text.count("a webhook cannot be read") == 1
