"""What is older than the retention leaves the store and the log: once a day, and on request."""

import asyncio
import logging
from collections.abc import Sequence

from mastery_engine.domain.moments import DAY, Day, day_of
from mastery_engine.domain.student import StudentKey
from mastery_engine.domain.transition import aged
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import Change
from mastery_engine.services import Mastery

logger = logging.getLogger(__name__)

PAGE = 500
LOOK_EVERY_S = 60.0


async def purge(mastery: Mastery) -> tuple[int, int]:
    """Take out what is older than the retention: (documents that changed or went, records that went)."""
    before = (day_of(mastery.clock()) - mastery.rules.retention_days) * DAY
    records = await mastery.log.purge(before) + await mastery.store.purge(before)
    documents = 0
    page: list[StudentKey] = []
    async for key in mastery.store.students():
        page.append(key)
        if len(page) == PAGE:
            documents += await _age(mastery, page)
            page = []
    return documents + await _age(mastery, page), records


async def _age(mastery: Mastery, keys: Sequence[StudentKey]) -> int:
    """Age some documents. One that a fold changes meanwhile waits for the next purge; no reading counts what is old."""
    today = day_of(mastery.clock())
    held = {key: one for key, one in zip(keys, await mastery.store.load(keys), strict=True) if one is not None}
    due = [key for key, one in held.items() if one.student.floor <= today - mastery.rules.retention_days]
    changes: list[Change] = []
    for key, cold in zip(due, await mastery.store.load_cold(due), strict=True):
        left = aged(held[key].student, cold, mastery.clock(), mastery.rules)
        changes.append(Change(key, held[key].version, left.student if left else None, left.cold if left else None))
    won = await mastery.store.commit(changes) if changes else []
    for change, took in zip(changes, won, strict=True):
        if took and change.student is None:
            await mastery.store.leave(change.key, held[change.key].student.cohorts)
    return sum(won)


async def keep_purging(mastery: Mastery) -> None:
    """Purge at the start and at each new day (UTC), until cancelled."""
    purged_on: Day | None = None
    while True:
        today = day_of(mastery.clock())
        if today != purged_on:
            try:
                documents, records = await purge(mastery)
                purged_on = today
                logger.info("purged", extra={"documents": documents, "records": records})
            except Unavailable as error:
                logger.warning("the purge waits: %s", error)
        await asyncio.sleep(LOOK_EVERY_S)
