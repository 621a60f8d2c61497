"""The purge: removes what is older than the retention from the stores and the log, daily and on request."""

import asyncio
import logging
from collections.abc import Sequence

from mastery_engine.clock import Clock
from mastery_engine.domain.moments import DAY, Day, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import DocumentKey, Student, StudentKey
from mastery_engine.domain.transition import aged
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Logs, Stores
from mastery_engine.ports.deliveries import ENDED_LIFE
from mastery_engine.ports.documents import DocumentChange
from mastery_engine.ports.idempotency import KEY_LIFE
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.moving import Moving
from mastery_engine.services.retention import Retention

logger = logging.getLogger(__name__)

PAGE = 500
LOOK_EVERY_S = 60.0
FROZEN_FOR: Micros = DAY  # far longer than what a store may lose of its last seconds


class Purge:
    """Removes what is older than the retention from every part of the stores and logs."""

    def __init__(
        self,
        stores: Stores,
        logs: Logs,
        consents: Consents,
        moving: Moving,
        courses: Courses,
        retention: Retention,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._retention = retention
        self._stores = stores
        self._logs = logs
        self._consents = consents
        self._moving = moving
        self._courses = courses
        self._rules = rules
        self._clock = clock

    async def run(self) -> tuple[int, int]:
        """Purge now; returns (documents changed or removed, records removed). Raises Unavailable."""
        now = self._clock()
        await self._consents.refresh()
        await self._moving.finish_all()  # before what was frozen is removed
        await self._retention.purge_begins(now)
        before = (day_of(now) - self._rules.retention_days) * DAY
        logs, stores = self._logs, self._stores
        removed = {
            "events": await logs.events.purge(before),
            "results": await logs.results.purge(before),
            "dead letters": await logs.dead_letters.purge(before),
            "audit trail": await stores.audit_log.purge(before),
            "batches": await stores.jobs.purge(before),
            "refusals": await stores.refusals.purge(before),
            "statements": 0 if stores.statements is None else await stores.statements.purge(before),
            "xAPI documents": 0 if stores.record_documents is None else await stores.record_documents.purge(before),
            "idempotency keys": await stores.idempotency.purge(now - KEY_LIFE),
            "small records": await stores.registry.purge(now),
            "deliveries": await stores.deliveries.purge(now - ENDED_LIFE),
        }
        await stores.cohorts.purge(day_of(before))
        documents = 0
        page: list[DocumentKey] = []
        async for key in stores.documents.all_keys():
            page.append(key)
            if len(page) == PAGE:
                documents += await self._age(page, now)
                page = []
        documents += await self._age(page, now)
        await self._retention.purge_ended(now, documents, {part: number for part, number in removed.items() if number})
        return documents, sum(removed.values())

    async def _age(self, keys: Sequence[DocumentKey], now: Micros) -> int:
        """Age these documents; returns how many were changed or removed.

        A document that a fold changes meanwhile is left to the next purge; queries never count what is too old.
        """
        documents = self._stores.documents
        stored = {
            key: document
            for key, document in zip(keys, await documents.load(keys), strict=True)
            if document is not None and not _stays_frozen(document.student, now)
        }
        setups = await self._courses.of_many(list({key.course for key in stored}), now)
        due = [key for key, document in stored.items() if _is_due(document.student, now, setups[key.course].rules)]
        changes: list[DocumentChange] = []
        for key, cold in zip(due, await documents.load_cold(due), strict=True):
            student = stored[key].student
            left = None if student.moved else aged(student, cold, now, setups[key.course].rules)
            changes.append(
                DocumentChange(key, stored[key].version, left.student if left else None, left.cold if left else None)
            )
        won = await documents.commit(changes) if changes else []
        for change, took in zip(changes, won, strict=True):
            if took and change.student is None:
                await self._leave_cohorts(change.key.student, stored[change.key].student.cohorts)
        return sum(won)

    async def _leave_cohorts(self, student: StudentKey, cohort_ids: Sequence[str]) -> None:
        """Take a student out of cohorts that a document named which is gone, but for those that another one names."""
        (courses,) = await self._stores.documents.of_students([student])
        named = {cohort_id for document in courses.values() for cohort_id in document.student.cohorts}
        await self._stores.cohorts.leave(student, [cohort_id for cohort_id in cohort_ids if cohort_id not in named])

    async def keep_running(self) -> None:
        """Purge at the start and at each new day (UTC), until cancelled."""
        purged_on: Day | None = None
        while True:
            today = day_of(self._clock())
            if today != purged_on:
                try:
                    documents, records = await self.run()
                    purged_on = today
                    logger.info("purged", extra={"documents": documents, "records": records})
                except Unavailable as error:
                    logger.warning("the purge cannot run yet: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)


def _stays_frozen(student: Student, now: Micros) -> bool:
    """Whether a document of which the evidence moved must stay: the store might lose where it went."""
    return bool(student.moved) and student.updated > now - FROZEN_FOR


def _is_due(student: Student, now: Micros, rules: Rules) -> bool:
    """Whether a document may hold what is older than the retention."""
    return student.floor < rules.first_day(rules.day_of(now))
