"""Changes of consent in memory."""

from collections.abc import Mapping

from mastery_engine.domain.moments import Micros
from mastery_engine.ports.consent_ledger import ConsentRecord


class MemoryConsentLedger:
    """See ``ConsentLedger``. What was replaced is read too: the newest record comes last."""

    def __init__(self) -> None:
        self._records: list[ConsentRecord] = []

    async def put_all(self, values: Mapping[str, bytes], at: Micros) -> None:
        self._records += [ConsentRecord(name, value, at) for name, value in values.items()]

    async def read(self, after: int) -> tuple[list[ConsentRecord], int]:
        return self._records[after:], len(self._records)
