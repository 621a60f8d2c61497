"""What every backend promises of small records by table and key."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any, get_args

import pytest

from mastery_engine.backends.memory.registry import MemoryRegistry
from mastery_engine.domain.moments import MINUTE, Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.registry import Entry, RegistryStore, RegistryWrite, Table
from tests.support.samples import NOW
from tests.support.stores import ADA, BOB, clear, erase, purge, put, stores_fixture

stores = stores_fixture()

HOUR = 60 * MINUTE

ODD = ["default/größe", "default/a}b{c", "default/1||2 3", "default/x\ny", f"default/{'long' * 100}", "default/😀"]


async def written(
    registry: RegistryStore, key: str, value: bytes | None, table: Table = "webhooks", now: Micros = NOW, **more: Any
) -> bool:
    (is_written,) = await registry.write(table, [RegistryWrite(key, value, **more)], now)
    return is_written


async def values(registry: RegistryStore, *keys: str, table: Table = "webhooks", now: Micros = NOW) -> list[Any]:
    return [None if entry is None else entry.value for entry in await registry.find(table, keys, now)]


async def test_a_record_is_found_by_table_and_key_until_it_is_removed(stores: Stores) -> None:
    registry = stores.registry
    for number, key in enumerate(ODD):
        assert await written(registry, key, bytes([number, 0, 255]))
    assert await written(registry, ODD[0], b"another table", table="badges")
    assert await values(registry, *ODD, "default/none") == [*[bytes([n, 0, 255]) for n in range(len(ODD))], None]
    assert await values(registry, ODD[0], ODD[0], table="badges") == [b"another table"] * 2
    assert await registry.find("webhooks", [], NOW) == []
    assert await written(registry, ODD[1], None)
    assert await written(registry, "default/none", None)  # it is not there, as wanted
    assert await written(registry, ODD[2], b"")
    assert await values(registry, *ODD[:3]) == [bytes([0, 0, 255]), None, b""]
    found = await registry.find("webhooks", [ODD[0]], NOW)
    assert [entry.key for entry in found if entry is not None] == [ODD[0]]


async def test_many_records_are_written_and_found_at_once(stores: Stores) -> None:
    keys = [f"default/{number:04}" for number in range(700)]
    writes = [RegistryWrite(key, key.encode()) for key in keys]
    assert await stores.registry.write("lti-people", writes, NOW) == [True] * len(keys)
    assert await values(stores.registry, *keys, table="lti-people") == [key.encode() for key in keys]


async def test_a_write_takes_place_only_over_the_version_that_it_expects(stores: Stores) -> None:
    registry = stores.registry
    versions = set()
    for value, expected in ((b"1", 0), (b"2", None), (b"2", None)):
        assert await written(registry, "default/a", value, expected=expected)
        (entry,) = await registry.find("webhooks", ["default/a"], NOW)
        assert entry is not None
        versions.add(entry.version)
    assert len(versions) == 3
    assert 0 not in versions
    current = entry.version
    for wrong in {0, *versions} - {current}:
        assert not await written(registry, "default/a", b"wrong", expected=wrong)
        assert not await written(registry, "default/a", None, expected=wrong)
    assert await values(registry, "default/a") == [b"2"]
    assert not await written(registry, "default/none", b"x", expected=current)
    assert await written(registry, "default/a", None, expected=current)
    assert await written(registry, "default/a", b"3", expected=0)
    assert not await written(registry, "default/a", b"4", expected=current)  # it is another one that has come back
    writes = [RegistryWrite("default/a", b"5", 0), RegistryWrite("default/b", b"5", 0)]
    assert await registry.write("webhooks", writes, NOW) == [False, True]  # each by itself
    assert await values(registry, "default/a", "default/b") == [b"3", b"5"]


async def test_of_many_who_expect_the_same_one_writes(stores: Stores) -> None:
    registry = stores.registry
    for turn in range(5):
        (before,) = await registry.find("lti-once", ["nonce"], NOW)
        expected = 0 if before is None else before.version
        tried = [written(registry, "nonce", b"same", "lti-once", NOW + turn, expected=expected) for _ in range(8)]
        assert sorted(await asyncio.gather(*tried)) == [False] * 7 + [True]


async def test_a_record_is_there_until_it_expires(stores: Stores) -> None:
    registry = stores.registry
    assert await written(registry, "s/1", b"x", "lti-once", expires=NOW + HOUR, owner=ADA)
    assert await written(registry, "s/2", b"y", "lti-once", expires=NOW + 2 * HOUR)
    assert await written(registry, "s/3", b"z", "lti-once", expires=NOW + HOUR)
    assert await written(registry, "s/3", b"for good", "lti-once")
    for now, there in ((NOW + HOUR - 1, [b"x", b"y"]), (NOW + HOUR, [None, b"y"]), (NOW + 2 * HOUR, [None, None])):
        assert await values(registry, "s/1", "s/2", table="lti-once", now=now) == there
        listed = [entry.value for entry in await registry.page("lti-once", "s/", "", 9, now)]
        assert listed == [*[value for value in there if value is not None], b"for good"]
        owned = [(table, entry.value) for table, entry in await registry.owned(ADA, now)]
        assert owned == ([("lti-once", b"x")] if there[0] else [])
    late = NOW + HOUR
    assert not await written(registry, "s/2", b"again", "lti-once", late, expected=0, expires=late + HOUR)
    assert await written(registry, "s/1", b"again", "lti-once", late, expected=0, expires=late + HOUR)
    await registry.purge(late + MINUTE)
    assert await values(registry, "s/1", "s/2", "s/3", table="lti-once", now=late) == [b"again", b"y", b"for good"]
    await registry.purge(late + HOUR)
    (only,) = await registry.page("lti-once", "", "", 9, late + HOUR)
    assert only.value == b"for good"
    assert await registry.owned(ADA, late + HOUR) == []


async def test_a_table_is_listed_by_prefix_and_in_pages(stores: Stores) -> None:
    registry = stores.registry
    keys = sorted([*ODD, *[f"default/{number}" for number in range(9)], "default", "defaul/z", "school/1", "Default/1"])
    await registry.write("badges", [RegistryWrite(key, key.encode()) for key in keys], NOW)
    await registry.write("badge-keys", [RegistryWrite("default/other", b"table")], NOW)
    listed: list[str] = []
    while page := await registry.page("badges", "default/", listed[-1] if listed else "", 4, NOW):
        assert [entry.value for entry in page] == [entry.key.encode() for entry in page]
        listed += [entry.key for entry in page]
    assert listed == [key for key in keys if key.startswith("default/")]
    assert [entry.key for entry in await registry.page("badges", "", "", 99, NOW)] == keys
    assert await registry.page("badges", "default/", "default/😀", 9, NOW) == []
    assert [entry.key for entry in await registry.page("badges", "school/", "a", 9, NOW)] == ["school/1"]


async def test_what_is_about_a_student_goes_with_them(stores: Stores) -> None:
    registry = stores.registry
    namesake = StudentKey("school", "ada")
    for table in get_args(Table):
        for owner in (ADA, BOB, namesake, None):
            key = "nobody" if owner is None else f"{owner.tenant}/{owner.student_id}"
            assert await written(registry, key, key.encode(), table, owner=owner)
    await written(registry, "default/ada", b"is nobody's now", "badge-statuses")
    await written(registry, "default/bob", b"is hers now", "badge-keys", owner=ADA)
    hers = [("badge-keys", "default/bob")] + [(table, "default/ada") for table in get_args(Table)]
    assert [(table, entry.key) for table, entry in await registry.owned(ADA, NOW)] == sorted(
        set(hers) - {("badge-statuses", "default/ada")}
    )
    assert await registry.erase(ADA) == len(get_args(Table))
    assert await registry.owned(ADA, NOW) == []
    assert await registry.erase(ADA) == 0
    assert len(await registry.owned(BOB, NOW)) == len(get_args(Table)) - 1
    assert len(await registry.owned(namesake, NOW)) == len(get_args(Table))
    assert await values(registry, "default/ada", "nobody") == [None, b"nobody"]
    assert await values(registry, "default/ada", table="badge-statuses") == [b"is nobody's now"]
    assert [entry.key for entry in await registry.page("badges", "default/", "", 9, NOW)] == ["default/bob"]


async def test_no_clearing_purge_or_other_students_erasure_takes_it(stores: Stores) -> None:
    await put(stores.documents, ADA)
    await written(stores.registry, "default/1", b"x", owner=ADA)
    await erase(stores, BOB)
    await clear(stores)
    await purge(stores, NOW + HOUR)
    await stores.registry.purge(NOW + HOUR)
    assert await values(stores.registry, "default/1") == [b"x"]
    await erase(stores, ADA)
    assert await values(stores.registry, "default/1") == [None]


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_is_done_it_is_as_in_memory(stores: Stores, seed: int) -> None:
    """Random calls of a few keys, tables and owners, and time that goes on; versions are compared by what they win."""
    chance, twin, now = Random(seed), MemoryRegistry(), NOW
    seen: dict[RegistryStore, dict[str, int]] = {stores.registry: {}, twin: {}}
    both: Sequence[RegistryStore] = (stores.registry, twin)

    def shown(entries: Sequence[Entry | None]) -> list[Any]:
        return [None if entry is None else (entry.key, entry.value) for entry in entries]

    for _ in range(150):
        table: Table = chance.choice(["webhooks", "lti-once"])
        keys = chance.sample([f"t/{number}" for number in range(4)], chance.randint(1, 3))
        owner = chance.choice([None, ADA, BOB])
        expires = chance.choice([None, now + chance.randint(1, 3) * HOUR])
        call = chance.choice(["write", "write", "write", "find", "page", "owned", "erase", "purge"])
        how, value, limit = (
            chance.choice(["any", "new", "seen"]),
            chance.choice([None, b"", b"v"]),
            chance.randint(1, 3),
        )
        answers: list[Any] = []
        for one in both:
            if call == "write":
                expected = {"any": None, "new": 0}.get(how, 0)
                wanted = [
                    RegistryWrite(
                        key, value, seen[one].get(table + key, 0) if how == "seen" else expected, owner, expires
                    )
                    for key in keys
                ]
                answers.append(await one.write(table, wanted, now))
            elif call == "find":
                found = await one.find(table, keys, now)
                seen[one] |= {table + entry.key: entry.version for entry in found if entry is not None}
                answers.append(shown(found))
            elif call == "page":
                answers.append(shown(await one.page(table, "t/", keys[0] if limit == 1 else "", limit, now)))
            elif call == "owned":
                answers.append([(of, entry.key, entry.value) for of, entry in await one.owned(owner or ADA, now)])
            elif call == "erase":
                await one.erase(owner or BOB)
            else:
                await one.purge(now)
        assert not answers or answers[0] == answers[1], call
        now += chance.choice([0, MINUTE, HOUR])
