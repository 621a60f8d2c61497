"""The logs in memory: for tests, and for folds that nobody keeps."""

from mastery_engine.backends.memory.consent_ledger import MemoryConsentLedger
from mastery_engine.backends.memory.dead_letters import MemoryDeadLetters
from mastery_engine.backends.memory.event_log import MemoryEventLog
from mastery_engine.backends.memory.result_log import MemoryResultLog
from mastery_engine.ports.backend import Danger, Logs


def open_logs(*, batch_size: int = 500) -> Logs:
    """New, empty logs. ``batch_size`` is the most that one batch of events holds."""
    events = MemoryEventLog(batch_size=batch_size)
    return Logs(events, MemoryResultLog(), MemoryDeadLetters(events), MemoryConsentLedger(), MemoryLogConnection())


class MemoryLogConnection:
    """See ``Connection``: there is none, and it is always up."""

    async def ping(self) -> None:
        return

    async def dangers(self) -> list[Danger]:
        return []

    async def close(self) -> None:
        return
