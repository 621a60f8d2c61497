"""Changes of consent in memory."""

from mastery_engine.domain.moments import Micros
from mastery_engine.ports.consent_ledger import ConsentRecord


class MemoryConsentLedger:
    """See ``ConsentLedger``. What was replaced is read too: the newest record comes last."""

    def __init__(self) -> None:
        self._records: list[ConsentRecord] = []

    async def put(self, name: str, value: bytes, at: Micros) -> None:
        self._records.append(ConsentRecord(name, value, at))

    async def read(self, after: int) -> tuple[list[ConsentRecord], int]:
        return self._records[after:], len(self._records)
