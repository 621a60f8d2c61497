"""``purge``: what is older than the retention goes, now."""

import asyncio

import msgspec

from mastery_engine.cli.console import AsJson, counted, opened, say, settings


class Purged(msgspec.Struct, frozen=True):
    """What a purge took out: documents that changed or went, and records that went."""

    documents: int
    records: int
    retention_days: int


def purge(as_json: AsJson = False) -> None:
    """Take out what is older than GDPR_RETENTION_DAYS. The worker does so by itself once a day.

    \b
    Example:
      GDPR_RETENTION_DAYS=30 mastery-engine purge
    """
    done = asyncio.run(_purge())
    say(
        as_json,
        done,
        f"Of what is older than {counted(done.retention_days, 'day')}: {counted(done.documents, 'document')} "
        f"made smaller or removed, {counted(done.records, 'record')} removed.",
    )


async def _purge() -> Purged:
    from mastery_engine.worker.purge import purge

    async with opened(settings()) as mastery:
        documents, records = await purge(mastery)
        return Purged(documents, records, mastery.rules.retention_days)
