"""What every backend promises of the audit trail."""

import asyncio

import pytest

from mastery_engine.backends.memory.statements import MemoryStatements
from mastery_engine.domain.moments import SECOND
from mastery_engine.errors import InvalidInput
from mastery_engine.ports.audit_log import AuditFilter, AuditRecord
from mastery_engine.ports.backend import Stores
from tests.support.samples import NOW
from tests.support.stores import newest, record, stores_fixture

stores = stores_fixture()


async def test_the_trail_is_read_newest_first(stores: Stores) -> None:
    assert await newest(stores, limit=5) == []
    await stores.audit_log.append([])
    await stores.audit_log.append([record(0), record(1, student_id=None)])
    await stores.audit_log.append([record(2, at=NOW - 9), record(3, tenant="school-1"), record(4)])
    expected = [record(4), record(2, at=NOW - 9), record(1, student_id=None), record(0)]
    assert await newest(stores) == expected
    assert await newest(stores, limit=2) == expected[:2]
    assert await newest(stores, "school-1") == [record(3, tenant="school-1")]


async def test_the_same_access_twice_is_on_record_twice(stores: Stores) -> None:
    await stores.audit_log.append([record(), record()])
    assert await newest(stores) == [record(), record()]


async def test_texts_of_any_letters_come_back_as_they_were(stores: Stores) -> None:
    written = AuditRecord(NOW, "default", "größe \"'\\", "admin", "query\n", "ループ\t\x7f", True, "::1", "%7D{}")
    await stores.audit_log.append([written])
    assert await newest(stores) == [written]


async def test_writers_at_once_lose_no_record(stores: Stores) -> None:
    await asyncio.gather(*[stores.audit_log.append([record(2 * n), record(2 * n + 1)]) for n in range(50)])
    written = await newest(stores, limit=1_000)
    assert sorted(written, key=lambda written: int(written.subject[5:])) == [record(n) for n in range(100)]


async def test_the_trail_is_filtered_and_paged_newest_first(stores: Stores) -> None:
    written = [record(n, at=NOW + n // 2 * SECOND, student_id="ada" if n % 3 else None) for n in range(20)]
    await stores.audit_log.append([*written, record(0, tenant="school-1")])
    newest_first = written[::-1]

    async def pages(wanted: AuditFilter, limit: int) -> list[list[AuditRecord]]:
        pages: list[list[AuditRecord]] = []
        cursor: str | None = None
        while not pages or cursor is not None:
            page = await stores.audit_log.page("default", wanted, limit=limit, cursor=cursor)
            pages.append(page.records)
            cursor = page.cursor
        return pages

    assert await pages(AuditFilter(), 100) == [newest_first]
    assert await pages(AuditFilter(), 10) == [newest_first[:10], newest_first[10:]]
    assert await pages(AuditFilter(call="other"), 10) == [[]]
    wanted = {
        AuditFilter(student="ada"): [written for written in newest_first if written.student_id == "ada"],
        AuditFilter(subject="user-7", call="query"): [written[7]],
        AuditFilter(allowed=False): newest_first[::2],
        AuditFilter(start=NOW + SECOND, end=NOW + 3 * SECOND): written[2:6][::-1],
    }
    for filtered, expected in wanted.items():
        assert [found for page in await pages(filtered, 3) for found in page] == expected
    for bad in ("x", "-1", "1-x"):
        with pytest.raises(InvalidInput):
            await stores.audit_log.page("default", AuditFilter(), limit=1, cursor=bad)


async def test_a_purge_takes_those_from_before_a_moment_and_pages_go_on_where_they_were(stores: Stores) -> None:
    await stores.audit_log.append([record(number, at=NOW + number * SECOND) for number in range(-3, 5)])
    page = await stores.audit_log.page("default", AuditFilter(), limit=2)
    assert await stores.audit_log.purge(NOW) == 3
    after = await stores.audit_log.page("default", AuditFilter(), limit=9, cursor=page.cursor)
    assert [(found.at - NOW) // SECOND for found in [*page.records, *after.records]] == [4, 3, 2, 1, 0]
    assert after.cursor is None
    assert await stores.audit_log.purge(NOW) == 0


async def test_it_precedes_nothing_that_is_written_elsewhere(stores: Stores) -> None:
    assert not stores.audit_log.precedes(object())
    assert not stores.audit_log.precedes(MemoryStatements())
