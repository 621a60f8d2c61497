"""The records of purges and erasures, by which an operator sees that they happen, and what has not ended."""

from collections.abc import Mapping

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import DAY, Micros, day_of, iso_date, rfc3339
from mastery_engine.ports.registry import Entry, RegistryStore, RegistryWrite, Table
from mastery_engine.responses.operations import OutstandingErasure, PurgeReport, RetentionState
from mastery_engine.services.access_control import AccessControl

LAST, BEGUN = "last", "begun"
ERASURES_LIFE: Micros = 90 * DAY
PAGE, MOST_PAGES = 500, 20
MOST_SHOWN = 20
SHORT = 12  # characters of a keyed hash that tell one from another


class PurgeRecord(msgspec.Struct, frozen=True):
    """A purge as it is kept."""

    began: Micros
    ended: Micros = 0
    documents: int = 0
    removed: dict[str, int] = {}


class ErasureRecord(msgspec.Struct, frozen=True):
    """An erasure as it is kept, under the student's keyed hash; ``done`` is 0 until it has ended."""

    asked: Micros
    done: Micros = 0
    stays_until: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_purge = msgspec.msgpack.Decoder(PurgeRecord).decode
_erasure = msgspec.msgpack.Decoder(ErasureRecord).decode


class Retention:
    """Notes what purges and erasures do, and shows it. All calls raise Unavailable when the store is away."""

    def __init__(self, registry: RegistryStore, access: AccessControl, clock: Clock, retention_days: int) -> None:
        self._registry = registry
        self._access = access
        self._clock = clock
        self._retention_days = retention_days

    async def purge_begins(self, now: Micros) -> None:
        await self._write("purges", BEGUN, _encode(PurgeRecord(now)), now)

    async def purge_ended(self, began: Micros, documents: int, removed: Mapping[str, int]) -> None:
        now = self._clock()
        await self._write("purges", LAST, _encode(PurgeRecord(began, now, documents, dict(removed))), now)

    async def erasure_begins(self, tenant: str, pseudonym: str, now: Micros) -> None:
        await self._write("erasures", f"{tenant}/{pseudonym}", _encode(ErasureRecord(now)), now, now + ERASURES_LIFE)

    async def erasure_ended(self, tenant: str, pseudonym: str, asked: Micros, stays_until: str | None) -> None:
        record = ErasureRecord(asked, max(asked, self._clock()), stays_until)
        await self._write("erasures", f"{tenant}/{pseudonym}", _encode(record), asked, asked + ERASURES_LIFE)

    async def state(self, caller: Caller) -> RetentionState:
        """The purges, which are of all schools, and the erasures of the caller's. Raises Forbidden."""
        self._access.check_act(caller, Act.OPERATE, "retention")
        now = caller.moment(self._clock)
        last, begun = (
            None if entry is None else _purge(entry.value)
            for entry in await self._registry.find("purges", [LAST, BEGUN], now)
        )
        erasures = {entry.key: _erasure(entry.value) for entry in await self._erasures(caller.tenant, now)}
        open_ones = sorted((one.asked, key.partition("/")[2]) for key, one in erasures.items() if not one.done)
        next_day = day_of(now) + 1
        stays = [one.stays_until for one in erasures.values() if one.stays_until is not None]
        return RetentionState(
            retention_days=self._retention_days,
            last=None if last is None else _shown(last),
            unended=None if begun is None or (last and begun.began <= last.began) else rfc3339(begun.began),
            next_day=iso_date(next_day),
            next_before=iso_date(next_day - self._retention_days),
            asked=len(erasures),
            done=len(erasures) - len(open_ones),
            outstanding=[OutstandingErasure(rfc3339(asked), name[:SHORT]) for asked, name in open_ones[:MOST_SHOWN]],
            stays_until=max((one for one in stays if one > rfc3339(now)), default=None),
        )

    async def _erasures(self, tenant: str, now: Micros) -> list[Entry]:
        found: list[Entry] = []
        for _ in range(MOST_PAGES):
            page = await self._registry.page("erasures", f"{tenant}/", found[-1].key if found else "", PAGE, now)
            found += page
            if len(page) < PAGE:
                break
        return found

    async def _write(self, table: Table, key: str, value: bytes, now: Micros, expires: Micros | None = None) -> None:
        await self._registry.write(table, [RegistryWrite(key, value, expires=expires)], now)


def _shown(purge: PurgeRecord) -> PurgeReport:
    return PurgeReport(rfc3339(purge.began), rfc3339(purge.ended), purge.documents, purge.removed)
