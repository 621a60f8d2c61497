"""Badges on every store: once through crashes and at the same time, one key for all, and what an erasure leaves."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.domain.courses.course import CourseChange
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Updated
from mastery_engine.engine import Engine
from mastery_engine.errors import Gone, Unavailable
from mastery_engine.out.badges.badge import StatusPlace, unpack_badge
from mastery_engine.out.badges.status_list import is_set
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.registry import RegistryWrite, Table
from mastery_engine.services.badge_statuses import BadgeStatuses
from tests.support.composed import composed
from tests.support.samples import NOW
from tests.support.stores import ADA, stores_fixture

stores = stores_fixture()
ADMIN = Caller("root", "admin", at=NOW)
MANY = 60


class Cut:
    """A registry that goes away at its n-th write."""

    def __init__(self, registry: Any, at: int) -> None:
        self._registry = registry
        self._left = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    async def write(self, table: Table, writes: Sequence[RegistryWrite], now: Micros) -> list[bool]:
        if self._left == 0:
            raise Unavailable("The store is away.")
        self._left -= 1
        written: list[bool] = await self._registry.write(table, writes, now)
        if self._left == 0:
            raise Unavailable("The store is away, after it has written.")
        return written


def reached(number: int = 0, at: Micros = NOW) -> Updated:
    student_id = "ada" if number == 0 else f"s_{number}"
    return Updated("default", student_id, at, ("e",), 0.95, 0.1, "expert", (0.95,) * 4, 1.0)


async def engine_on(stores: Stores, logs: Any = None, **more: Any) -> Engine:
    """An engine of its own on these stores, as another process has it."""
    return composed(stores, logs or memory_logs.open_logs(), public_url="https://school.example", **more)


async def claimed(statuses: BadgeStatuses, names: Sequence[str]) -> dict[str, StatusPlace]:
    """The places, asked for again as long as others keep a store busy, as the worker does."""
    for _ in range(50):
        with suppress(Unavailable):
            return await statuses.claim(names, NOW)
    raise AssertionError("it was busy all the time")


async def badges_in(stores: Stores) -> list[Any]:
    found = await stores.registry.page("badges", "default/", "", 1_000, NOW)
    return [unpack_badge(entry.value) for entry in found]


async def test_one_badge_for_each_however_often_and_from_wherever(stores: Stores) -> None:
    logs = memory_logs.open_logs()
    engines = [await engine_on(stores, logs) for _ in range(3)]
    await engines[0].courses.put(ADMIN, "default", CourseChange(badges="competent"))
    results = [reached(number) for number in range(MANY)]
    await asyncio.gather(*[engine.badges.follow(results) for engine in engines])
    await (await engine_on(stores, logs)).badges.follow(results)
    badges = await badges_in(stores)
    assert sorted(badge.student_id for badge in badges) == sorted(one.student_id for one in results)
    assert len({badge.status for badge in badges}) == MANY
    assert {badge.level for badge in badges} == {"competent"}
    keys = {(await engine.badge_credentials._keys.signing(NOW)).public for engine in engines}
    assert len(keys) == 1
    credentials = {await engine.badge_credentials.credential(badges[0], "document", NOW) for engine in engines}
    assert len(credentials) == 1


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_a_crash_at_each_write_leads_to_the_same_badge(stores: Stores, writes: int) -> None:
    logs = memory_logs.open_logs()
    engine = await engine_on(stores, logs)
    await engine.courses.put(ADMIN, "default", CourseChange(badges="competent"))
    dying = await engine_on(msgspec.structs.replace(stores, registry=Cut(stores.registry, writes)), logs)
    with pytest.raises(Unavailable):
        await dying.badges.follow([reached()])
    places = await stores.registry.page("badge-statuses", "used/", "", 10, NOW)
    await engine.badges.follow([reached()])
    (badge,) = await badges_in(stores)
    assert badge.awarded == NOW
    claimed = await stores.registry.page("badge-statuses", "used/", "", 10, NOW)
    assert [one.key for one in claimed] == [f"used/0/{badge.status.index}"]
    assert [one.key for one in places] in ([], [one.key for one in claimed])


async def test_an_erasure_leaves_a_bit_and_no_student(stores: Stores) -> None:
    engine = await engine_on(stores)
    await engine.courses.put(ADMIN, "default", CourseChange(badges="competent"))
    await engine.badges.follow([reached(), reached(1)])
    (mine,) = await engine.badge_credentials._kept.of(ADA, NOW)
    await engine.privacy.erase(ADMIN, "ada")
    with pytest.raises(Gone):
        await engine.badge_credentials.badge(mine.badge.badge_id, NOW)
    assert await stores.registry.owned(ADA, NOW) == []
    status = await engine.badge_credentials._statuses.list(0, NOW)
    assert status is not None
    assert is_set(status.bits, mine.badge.status.index)
    (other,) = [badge for badge in await badges_in(stores) if getattr(badge, "student_id", None) == "s_1"]
    assert not is_set(status.bits, other.status.index)


async def test_places_are_given_once_and_again_to_the_same(stores: Stores) -> None:
    first, second = (BadgeStatuses(stores.registry, b"secret") for _ in range(2))
    names = [f"badge-{number}" for number in range(MANY)]
    ours = await first.claim(names, NOW)
    assert await second.claim(names[::-1], NOW) == ours
    assert len(set(ours.values())) == MANY
    few = [f"both-{number}" for number in range(3)]
    mine, theirs = await asyncio.gather(claimed(first, few), claimed(second, few))
    assert mine == theirs
    assert {place.number for place in ours.values()} == {0}
    taken = [RegistryWrite(f"used/0/{place.index}", b"another") for place in first._all_places("new", 0)]
    await stores.registry.write("badge-statuses", taken, NOW)
    assert (await first.claim(["new"], NOW))["new"].number == 1, "the next list, once all that are tried are taken"
    assert await first.list(1, NOW) is not None
    assert await first.list(2, NOW) is None


async def test_bits_that_are_set_at_the_same_time_all_stay(stores: Stores) -> None:
    several = [BadgeStatuses(stores.registry, b"secret") for _ in range(4)]
    await asyncio.gather(
        *[one.revoke([StatusPlace(0, 10 * number)], NOW) for number, one in enumerate(several)],
    )
    status = await several[0].list(0, NOW)
    assert status is not None
    assert [is_set(status.bits, 10 * number) for number in range(5)] == [True] * 4 + [False]
