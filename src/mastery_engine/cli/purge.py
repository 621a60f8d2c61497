"""``purge``: removes what is older than the retention, now."""

import asyncio

import msgspec

from mastery_engine.cli.console import AsJson, counted, opened, say, settings


class Purged(msgspec.Struct, frozen=True):
    """What a purge did: the documents changed or removed, and the records removed."""

    documents: int
    records: int
    retention_days: int


def purge(as_json: AsJson = False) -> None:
    """Remove what is older than GDPR_RETENTION_DAYS. The worker does this once a day by itself.

    \b
    Example:
      GDPR_RETENTION_DAYS=30 mastery-engine purge
    """
    done = asyncio.run(_purge())
    say(
        as_json,
        done,
        f"Purged what is older than {counted(done.retention_days, 'day')}: {counted(done.documents, 'document')} "
        f"changed or removed, {counted(done.records, 'record')} removed.",
    )


async def _purge() -> Purged:
    async with opened(settings()) as engine:
        documents, records = await engine.purge.run()
        return Purged(documents, records, engine.rules.retention_days)
