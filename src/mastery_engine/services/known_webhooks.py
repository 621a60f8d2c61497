"""The webhooks of all tenants, as they were a moment ago: what publishing and sending go by."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import Unavailable
from mastery_engine.out.webhooks.webhook import Webhook
from mastery_engine.ports.registry import Entry, RegistryStore

CACHED_FOR: Micros = SECOND  # so that a change counts everywhere within two
PAGE = 500

logger = logging.getLogger(__name__)

pack_webhook = msgspec.msgpack.Encoder().encode
unpack_webhook = msgspec.msgpack.Decoder(Webhook).decode


class KnownWebhooks:
    """Reads the webhooks again each second, if somebody asks. Where the store is away, what is known stays."""

    def __init__(self, registry: RegistryStore) -> None:
        self._registry = registry
        self._was_read = False
        self._reading = asyncio.Lock()
        self._asked: Micros | None = None
        self._entries: dict[str, tuple[Entry, Webhook]] = {}
        self._wanting: Mapping[tuple[str, str], Sequence[Webhook]] = {}
        self.by_sink: Mapping[str, Webhook] = {}

    async def refresh(self, now: Micros) -> None:
        """Know the webhooks as they were at most a second ago. Raises Unavailable if they were never read."""
        async with self._reading:  # else a slow reading could end after a newer one
            if self._asked is not None and self._was_read and abs(now - self._asked) < CACHED_FOR:
                return
            self._asked = now
            try:
                await self._read_all(now)
            except Unavailable:
                if not self._was_read:
                    raise

    def wanting(self, tenant: str, event_type: str) -> Sequence[Webhook]:
        """The webhooks that get a tenant's results of this type."""
        return self._wanting.get((tenant, event_type), ())

    def forget(self) -> None:
        """One was changed here: read them again when next asked."""
        self._asked = None

    async def _read_all(self, now: Micros) -> None:
        entries: list[Entry] = []
        after = ""
        while True:
            page = await self._registry.page("webhooks", "", after, PAGE, now)
            entries += page
            if len(page) < PAGE:
                break
            after = page[-1].key
        self._take(entries)
        self._was_read = True

    def _take(self, entries: Sequence[Entry]) -> None:
        known = {}
        for entry in entries:
            before = self._entries.get(entry.key)
            if before is not None and before[0].version == entry.version:
                known[entry.key] = before
                continue
            try:
                known[entry.key] = entry, unpack_webhook(entry.value)
            except msgspec.DecodeError as error:  # one broken record must not keep results from the others
                logger.error("a webhook cannot be read: %s", error, extra={"webhook": entry.key})
        self._entries = known
        webhooks = [webhook for _, webhook in known.values()]
        self.by_sink = {webhook.sink: webhook for webhook in webhooks}
        wanting: dict[tuple[str, str], list[Webhook]] = defaultdict(list)
        for webhook in webhooks:
            for kind in webhook.wants():
                wanting[webhook.tenant, kind].append(webhook)
        self._wanting = dict(wanting)
