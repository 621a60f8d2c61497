"""The audit trail waits for a store that is away: it says so once, and loses nothing."""

import logging
from collections.abc import Sequence

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory.store import MemoryStore
from mastery_engine.errors import Unavailable
from mastery_engine.ports.audit_log import AuditRecord
from mastery_engine.services.audit import Trail
from tests.support.samples import Clock


class AwayStore(MemoryStore):
    """Takes audit records unless it is away."""

    is_away = True

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        if self.is_away:
            raise Unavailable("The store is away.")
        await super().audit(records)


async def test_an_outage_is_said_once_and_what_waited_is_written(caplog: pytest.LogCaptureFixture) -> None:
    store = AwayStore()
    trail = Trail(store, Clock(), lambda key: key.student_id)
    with caplog.at_level(logging.WARNING):
        for outage in (1, 2):
            store.is_away = True
            trail.note(Caller("ada", "teacher"), "query", f"student_{outage}", allowed=True)
            for _ in range(3):
                await trail.flush()
            assert len(caplog.records) == outage
            store.is_away = False
            await trail.flush()
    assert [one.student_id for one in await store.audited("default", limit=9)] == ["student_2", "student_1"]
