"""Twice is once for the whole retention, and the ids of a document stay few."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.cooling import cooled, filters_of
from mastery_engine.domain.events.seen import (
    BITS_PER_ID,
    EVERY,
    MOST_HELD,
    IdsByDay,
    Seen,
    _places,
    each,
    holds,
    with_ids,
)
from mastery_engine.domain.ids import seen_hash
from tests.support.samples import TODAY

names = st.lists(st.integers(0, 10**6).map(str), unique=True, max_size=40)


def packed(*ids: str) -> bytes:
    return b"".join(map(seen_hash, ids))


def test_nothing_was_seen_before() -> None:
    assert not Seen().holds(seen_hash("a"))
    assert not Seen().may_be_cold(seen_hash("a"))
    assert not Seen().is_due(TODAY)


def test_what_was_seen_is_known_by_its_id_whatever_the_day() -> None:
    seen = with_ids(Seen(), {TODAY: packed("a", "b", "d"), TODAY - 1: packed("c")})
    seen = with_ids(seen, {TODAY: packed("e")})
    assert [seen.holds(seen_hash(name)) for name in "abcdef"] == [True, True, True, True, True, False]
    assert seen.recent == {TODAY: packed("a", "b", "d", "e"), TODAY - 1: packed("c")}


def test_an_id_is_only_found_where_one_begins() -> None:
    """The bytes of two ids side by side can read like a third across their border."""
    one, two = b"\x01\x02\x03\x04\x05\x06", b"\x07\x08\x09\x0a\x0b\x0c"
    across = (one + two)[3:9]
    assert not holds({TODAY: one + two}, across)
    assert holds({TODAY: one + two + across}, across)
    assert holds({TODAY: one, TODAY - 1: across}, across)
    repeating = b"\x01" * 6
    assert holds({TODAY: b"\x02" + b"\x01" * 5 + repeating}, repeating)
    assert not holds({TODAY: b"\x02" + b"\x01" * 6 + b"\x02" * 5}, repeating)


@pytest.mark.usefixtures("cold_after_a_week")
def test_ids_stay_in_the_document_for_the_day_of_their_receipt_and_six_more() -> None:
    seen = with_ids(Seen(), {TODAY: packed("a")})
    assert not seen.is_due(TODAY + 6)
    assert seen.is_due(TODAY + 7)
    assert cooled(seen, {}, TODAY + 6, 90) == (seen, {})
    moved, cold = cooled(seen, {}, TODAY + 7, 90)
    assert moved.recent == {}
    assert cold == {TODAY: packed("a")}
    assert moved.may_be_cold(seen_hash("a"))


@pytest.mark.usefixtures("cold_after_a_week")
def test_ids_are_cold_for_the_whole_retention_from_their_receipt() -> None:
    seen, cold = cooled(with_ids(Seen(), {TODAY: packed("a")}), {}, TODAY + 7, 90)
    for later in (8, 30, 89, 91):
        seen, cold = cooled(seen, cold, TODAY + later, 90)
        assert holds(cold, seen_hash("a"))
        assert seen.may_be_cold(seen_hash("a"))
    seen, cold = cooled(seen, cold, TODAY + 92, 90)
    assert (seen, cold) == (Seen(), {})


@pytest.mark.usefixtures("cold_after_a_week")
def test_ids_move_to_those_that_are_cold_already() -> None:
    seen = with_ids(Seen(), {TODAY - 9: packed("late"), TODAY: packed("new")})
    moved, cold = cooled(seen, {TODAY - 9: packed("old"), TODAY - 92: packed("gone")}, TODAY, 90)
    assert moved.recent == {TODAY: packed("new")}
    assert cold == {TODAY - 9: packed("old", "late")}


def test_cold_ids_come_back_where_there_are_few() -> None:
    seen = with_ids(Seen(), {TODAY - 9: packed("late"), TODAY: packed("new")})
    back, cold = cooled(seen, {TODAY - 9: packed("old"), TODAY - 92: packed("gone")}, TODAY, 90)
    assert (back.recent, back.cold_filter, cold) == ({TODAY - 9: packed("old", "late"), TODAY: packed("new")}, b"", {})


def test_the_oldest_ids_go_day_by_day() -> None:
    seen = with_ids(Seen(), {TODAY - 1: packed("a", "b"), TODAY: packed("c")})
    assert seen.since(TODAY - 1) is seen
    assert seen.since(TODAY).recent == {TODAY: packed("c")}
    assert seen.since(TODAY + 1) == Seen()
    assert Seen().since(TODAY) == Seen()


@given(
    st.dictionaries(st.integers(TODAY - 95, TODAY), names, max_size=6),
    st.integers(TODAY, TODAY + 95),
    st.sampled_from([0, 50, MOST_HELD]),
)
def test_no_id_of_the_retention_is_ever_missed(ids: dict[int, list[str]], today: int, most_held: int) -> None:
    seen = Seen()
    for day, some in ids.items():
        seen = with_ids(seen, {day: packed(*some)})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mastery_engine.domain.events.seen.MOST_HELD", most_held)
        moved, cold = cooled(seen, {}, today, 90)
    for day, some in ids.items():
        for name in some:
            known = moved.holds(seen_hash(name)) or (
                moved.may_be_cold(seen_hash(name)) and holds(cold, seen_hash(name))
            )
            elsewhere = any(name in others for other, others in ids.items() if other >= today - 91)
            assert known == (day >= today - 91 or elsewhere)


@pytest.mark.parametrize("count", [1, 3, 50, 1_000])
@pytest.mark.usefixtures("cold_after_a_week")
def test_few_unknown_ids_ask_for_the_cold_value(count: int) -> None:
    cold: IdsByDay = {TODAY - 10: packed(*[f"known-{n}" for n in range(count)])}
    seen, _ = cooled(Seen(), cold, TODAY, 90)
    assert all(seen.may_be_cold(seen_hash(f"known-{n}")) for n in range(count))
    asked = sum(seen.may_be_cold(seen_hash(f"unknown-{n}")) for n in range(5_000))
    assert asked / 5_000 < (0.05 if count < 50 else 0.02)
    assert len(seen.cold_filter) <= count * 10 / 8 + 1


@pytest.mark.parametrize("count", [1, 2, 7, 130, 1_000])
def test_the_filter_is_the_one_that_sets_the_places_of_each_id(count: int) -> None:
    """Bit by bit, as it is read."""
    chance = Random(count)
    cold = {TODAY - 20: chance.randbytes(6 * (count // 2)), TODAY - 9: chance.randbytes(6 * (count - count // 2))}
    size = (count * BITS_PER_ID + 7) // 8 * 8
    bits = bytearray(size // 8)
    for ids in cold.values():
        for one in each(ids):
            for place in _places(one, size):
                bits[place >> 3] |= 1 << (place & 7)
    assert filters_of([cold]) == [bytes(bits)]
    assert filters_of([{}, cold, {}, cold]) == [b"", bytes(bits), b"", bytes(bits)]


@pytest.mark.usefixtures("cold_after_a_week")
def test_a_filter_that_is_not_made_yet_lets_every_id_be_cold_and_is_due() -> None:
    seen = Seen.of({TODAY: packed("a")}, EVERY)
    assert seen.may_be_cold(seen_hash("b"))
    assert seen.is_due(TODAY)
    assert seen.is_due(TODAY, is_busy=True)
    moved, cold = cooled(seen, {TODAY - 9: packed("old")}, TODAY, 90)
    assert (moved.recent, cold) == ({TODAY: packed("a")}, {TODAY - 9: packed("old")})
    assert moved.may_be_cold(seen_hash("old"))
    assert not moved.is_due(TODAY)
    assert len(moved.cold_filter) > len(EVERY), "no filter that is made is taken for one that is not"


@given(st.lists(st.tuples(st.integers(TODAY - 3, TODAY), names.filter(bool)), max_size=6))
def test_ids_are_held_by_the_day_of_their_receipt_in_whatever_order_they_come(
    added: list[tuple[int, list[str]]],
) -> None:
    seen, recent = Seen(), IdsByDay()
    for day, ids in added:
        seen = with_ids(seen, {day: packed(*ids)})
        recent[day] = recent.get(day, b"") + packed(*ids)
    assert seen.recent == recent
    assert seen == Seen.of(recent)
    assert len(seen.ids) == sum(map(len, recent.values()))
