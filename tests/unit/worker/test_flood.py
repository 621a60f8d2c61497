"""The flood guard's counting: which records count, and when a partition is flooded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.errors import Flooded
from mastery_engine.ports.event_log import Batch, Position, Record
from mastery_engine.worker.flood import LATEST, MOST, counted


def batch(start: int, number: int, partition: int = 0, *, step: int = 1) -> Batch:
    """Records of one partition; on Kafka offsets have gaps."""
    records = tuple(
        Record(partition, start + step * n, 0, "default", None, None, f"e-{start + step * n}") for n in range(number)
    )
    return Batch(records, {partition: start}, {partition: start + step * number})


def poison(*offsets: int, partition: int = 0) -> set[Position]:
    return {Position(partition, offset) for offset in offsets}


def test_five_hundred_in_a_row_are_a_flood_and_one_less_is_none() -> None:
    assert counted({}, batch(0, MOST - 1), poison(*range(MOST - 1)), {})
    with pytest.raises(Flooded, match=r"--after-flood") as raised:
        counted({}, batch(0, MOST), poison(*range(MOST)), {})
    assert raised.value.partition == 0


def test_half_of_the_last_thousand_are_a_flood_wherever_the_batches_end() -> None:
    latest: dict[int, int] = {}
    for start in range(0, LATEST - 2, 2):
        latest = counted(latest, batch(start, 2), poison(start), {})
    with pytest.raises(Flooded):
        counted(latest, batch(LATEST - 2, 2), poison(LATEST - 2), {})


def test_what_lies_further_back_than_a_thousand_is_forgotten() -> None:
    latest = counted({}, batch(0, MOST - 1), poison(*range(MOST - 1)), {})
    latest = counted(latest, batch(MOST - 1, LATEST), (), {})
    assert counted(latest, batch(2_000, MOST - 1), poison(*range(2_000, 2_000 + MOST - 1)), {})


def test_a_flood_that_ends_inside_a_batch_is_one_all_the_same() -> None:
    with pytest.raises(Flooded):
        counted({}, batch(0, 20_000), poison(*range(MOST)), {})


def test_each_partition_has_a_count_of_its_own() -> None:
    latest: dict[int, int] = {}
    for partition in range(4):
        latest = counted(latest, batch(0, 400, partition), poison(*range(400), partition=partition), {})
    with pytest.raises(Flooded) as raised:
        counted(latest, batch(400, 100, 3), poison(*range(400, 500), partition=3), {})
    assert raised.value.partition == 3


def test_records_that_were_worked_before_do_not_count_again() -> None:
    first, unreadable = batch(0, 400), poison(*range(400))
    latest = counted({}, first, unreadable, {0: 0})
    assert counted(latest, first, unreadable, {0: 400}) == latest
    assert counted(latest, batch(0, 600), unreadable, {0: 400})[0].bit_count() == 400


def test_the_count_given_is_left_as_it_was() -> None:
    latest = counted({}, batch(0, 10), poison(3), {})
    before = dict(latest)
    counted(latest, batch(10, 10), poison(13), {})
    assert latest == before


@given(
    st.lists(st.tuples(st.integers(1, 700), st.floats(0, 1), st.integers(1, 3)), min_size=1, max_size=8), st.randoms()
)
def test_the_guard_agrees_with_a_plain_count(runs: list[tuple[int, float, int]], chance: object) -> None:
    outcomes: list[bool] = []
    latest: dict[int, int] = {}
    start = 0
    for number, share, step in runs:
        bad = [chance.random() < share for _ in range(number)]  # type: ignore[attr-defined]
        read = batch(start, number, step=step)
        unreadable = poison(*(one.offset for one, is_bad in zip(read.records, bad, strict=True) if is_bad))
        flooded = False
        for is_bad in bad:
            outcomes.append(is_bad)
            flooded = flooded or sum(outcomes[-LATEST:]) >= MOST
        if flooded:
            with pytest.raises(Flooded):
                counted(latest, read, unreadable, {})
            return
        latest = counted(latest, read, unreadable, {})
        assert latest[0].bit_count() == sum(outcomes[-LATEST:])
        start = read.ends[0]
