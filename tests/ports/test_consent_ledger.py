"""What every ledger of consent promises, whichever backend it is."""

import asyncio

import pytest

from mastery_engine.ports.consent_ledger import ConsentLedger, ConsentRecord
from mastery_engine.wiring_clocks import system_clock
from tests.support.logs import OpenedLogs, logs_fixture
from tests.support.samples import NOW

opened = logs_fixture()
EVERY_BYTE = bytes(range(256))


@pytest.fixture
def ledger(opened: OpenedLogs) -> ConsentLedger:
    return opened.logs.consents


def newest(records: list[ConsentRecord]) -> dict[str, bytes]:
    """What counts for each name: a ledger may still hold what was replaced, but before that which replaced it."""
    return {record.name: record.value for record in records}


async def test_a_new_ledger_is_empty(ledger: ConsentLedger) -> None:
    records, position = await ledger.read(0)
    assert records == []
    assert await ledger.read(position) == ([], position)


async def test_a_record_is_read_as_it_was_put_with_its_time(opened: OpenedLogs, ledger: ConsentLedger) -> None:
    before = system_clock() // 1_000 * 1_000
    await ledger.put_all({"a" * 64: EVERY_BYTE}, NOW + 7)
    (record,), _ = await ledger.read(0)
    assert (record.name, record.value) == ("a" * 64, EVERY_BYTE)
    if opened.stamps:
        assert before <= record.at <= system_clock()
    else:
        assert record.at == NOW + 7


async def test_a_later_record_takes_the_place_of_an_earlier_one(ledger: ConsentLedger) -> None:
    for name, value in (("ada", b"1"), ("bob", b"2"), ("ada", b"3")):
        await ledger.put_all({name: value}, NOW)
    assert newest((await ledger.read(0))[0]) == {"ada": b"3", "bob": b"2"}


async def test_only_what_is_new_is_read_from_where_the_last_reading_ended(ledger: ConsentLedger) -> None:
    await ledger.put_all({"ada": b"1"}, NOW)
    await ledger.put_all({"bob": b"2"}, NOW)
    _, position = await ledger.read(0)
    assert await ledger.read(position) == ([], position)
    await ledger.put_all({"ada": b"3"}, NOW + 1)
    records, after = await ledger.read(position)
    assert [(record.name, record.value) for record in records] == [("ada", b"3")]
    assert await ledger.read(after) == ([], after)


@pytest.mark.parametrize("number", [15, 16, 17, 300])
async def test_all_are_read_however_many_they_are(ledger: ConsentLedger, number: int) -> None:
    expected = {f"student-{n}": b"%d" % n for n in range(number)}
    await asyncio.gather(*[ledger.put_all({name: value}, NOW) for name, value in expected.items()])
    records, position = await ledger.read(0)
    assert newest(records) == expected
    assert len(records) == number
    assert await ledger.read(position) == ([], position)
