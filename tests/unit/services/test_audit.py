"""The audit trail waits for a store that is away: it says so once, and loses nothing."""

import logging
from collections.abc import Sequence

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory.audit_log import MemoryAuditLog
from mastery_engine.errors import Unavailable
from mastery_engine.ports.audit_log import AuditFilter, AuditRecord
from mastery_engine.services.audit import Audit
from tests.support.samples import Clock


class AwayLog(MemoryAuditLog):
    """Takes audit records unless it is away."""

    is_away = True

    async def append(self, records: Sequence[AuditRecord]) -> None:
        if self.is_away:
            raise Unavailable("The store is away.")
        await super().append(records)


async def test_an_outage_is_said_once_and_what_waited_is_written(caplog: pytest.LogCaptureFixture) -> None:
    log = AwayLog()
    audit = Audit(log, Clock(), lambda key: key.student_id)
    with caplog.at_level(logging.WARNING):
        for outage in (1, 2):
            log.is_away = True
            audit.note(Caller("ada", "teacher"), "query", f"student_{outage}", allowed=True)
            for _ in range(3):
                await audit.flush()
            assert len(caplog.records) == outage
            log.is_away = False
            await audit.flush()
    assert [record.student_id for record in (await log.page("default", AuditFilter(), limit=9)).records] == [
        "student_2",
        "student_1",
    ]


async def test_a_change_waits_for_its_record_unless_one_file_keeps_their_order() -> None:
    log = AwayLog()
    audit, made = Audit(log, Clock(), lambda key: key.student_id), []

    async def change() -> int:
        made.append(1)
        return len(made)

    with pytest.raises(Unavailable):
        await audit.write_then(Caller("ada", "teacher"), "put", [None], change, log)
    assert not made
    log.is_away = False
    assert await audit.write_then(Caller("ada", "teacher"), "put", [None], change, log) == 1
    assert len((await log.page("default", AuditFilter(), limit=9)).records) == 1
