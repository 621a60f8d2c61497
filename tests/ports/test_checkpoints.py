"""What every backend promises of checkpoints and floods."""

import pytest

from mastery_engine.errors import FellBack
from mastery_engine.ports.backend import Stores
from tests.support.stores import clear, stores_fixture

stores = stores_fixture()


async def test_checkpoints_are_the_logs_and_the_partitions(stores: Stores) -> None:
    checkpoints = stores.checkpoints
    assert (await checkpoints.read("log-1")).offsets == {}
    epoch = (await checkpoints.read("log-1")).server_epoch
    await checkpoints.move("log-1", {0: 0, 1: 0}, {0: 7, 1: 3}, epoch)
    await checkpoints.move("log-2", {0: 0}, {0: 1}, epoch)
    await checkpoints.move("log-1", {1: 3}, {1: 9}, epoch)
    assert (await checkpoints.read("log-1")).offsets == {0: 7, 1: 9}
    assert (await checkpoints.read("log-2")).offsets == {0: 1}
    assert (await checkpoints.read("log-3")).offsets == {}


async def test_a_checkpoint_moves_only_from_where_it_is_and_never_back(stores: Stores) -> None:
    checkpoints = stores.checkpoints
    epoch = (await checkpoints.read("log")).server_epoch
    await checkpoints.move("log", {0: 0, 1: 0}, {0: 5, 1: 5}, epoch)
    with pytest.raises(FellBack):
        await checkpoints.move("log", {1: 5, 0: 6}, {1: 8, 0: 9}, epoch)
    with pytest.raises(FellBack):
        await checkpoints.move("log", {2: 1}, {2: 2}, epoch)
    assert (await checkpoints.read("log")).offsets == {0: 5, 1: 5}
    await checkpoints.move("log", {0: 0}, {0: 4}, epoch)  # read again from further back
    assert (await checkpoints.read("log")).offsets == {0: 5, 1: 5}
    await checkpoints.move("log", {0: 2}, {0: 8}, epoch)
    assert (await checkpoints.read("log")).offsets == {0: 8, 1: 5}


async def test_a_checkpoint_that_was_read_does_not_move_by_itself(stores: Stores) -> None:
    checkpoints = stores.checkpoints
    epoch = (await checkpoints.read("log")).server_epoch
    await checkpoints.move("log", {0: 0}, {0: 5}, epoch)
    before = await checkpoints.read("log")
    await checkpoints.move("log", {0: 5}, {0: 6}, epoch)
    assert before.offsets == {0: 5}


async def test_clearing_takes_the_checkpoints_of_all_logs(stores: Stores) -> None:
    checkpoints = stores.checkpoints
    epoch = (await checkpoints.read("log")).server_epoch
    for log_id in ("log", "other"):
        await checkpoints.move(log_id, {0: 0}, {0: 5}, epoch)
    await checkpoints.clear()
    await checkpoints.clear()
    for log_id in ("log", "other"):
        assert (await checkpoints.read(log_id)).offsets == {}
    await checkpoints.move("log", {0: 0}, {0: 1}, (await checkpoints.read("log")).server_epoch)
    assert (await checkpoints.read("log")).offsets == {0: 1}


async def test_a_flood_is_known_until_it_is_over_whatever_else_is_removed(stores: Stores) -> None:
    checkpoints = stores.checkpoints
    assert await checkpoints.floods("log") == set()
    for partition in (3, 0, 3):
        await checkpoints.set_flood("log", partition, flooded=True)
    await checkpoints.set_flood("other", 1, flooded=True)
    await clear(stores)
    assert (await checkpoints.floods("log"), await checkpoints.floods("other")) == ({0, 3}, {1})
    for _ in range(2):
        await checkpoints.set_flood("log", 3, flooded=False)
        assert (await checkpoints.floods("log"), await checkpoints.floods("other")) == ({0}, {1})
