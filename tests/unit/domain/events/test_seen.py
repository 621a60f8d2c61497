"""Twice is once for the whole retention, and the ids of a document stay few."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.cooling import cooled, filter_of
from mastery_engine.domain.events.seen import BITS_PER_ID, IdsByDay, Seen, _places, holds, with_ids
from mastery_engine.domain.ids import id_hash
from tests.support.samples import TODAY

names = st.lists(st.integers(0, 10**6).map(str), unique=True, max_size=40)


def packed(*ids: str) -> bytes:
    return b"".join(map(id_hash, ids))


def test_nothing_was_seen_before() -> None:
    assert not Seen().holds(id_hash("a"))
    assert not Seen().may_be_cold(id_hash("a"))
    assert not Seen().is_due(TODAY)


def test_what_was_seen_is_known_by_its_id_whatever_the_day() -> None:
    seen = with_ids(Seen(), {TODAY: packed("a", "b", "d"), TODAY - 1: packed("c")})
    seen = with_ids(seen, {TODAY: packed("e")})
    assert [seen.holds(id_hash(name)) for name in "abcdef"] == [True, True, True, True, True, False]
    assert seen.recent == {TODAY: packed("a", "b", "d", "e"), TODAY - 1: packed("c")}


def test_an_id_is_only_found_where_one_begins() -> None:
    """The bytes of two ids side by side can read like a third across their border."""
    one, two = b"\x01\x02\x03\x04\x05\x06\x07\x08", b"\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
    across = (one + two)[3:11]
    assert not holds({TODAY: one + two}, across)
    assert holds({TODAY: one + two + across}, across)
    assert holds({TODAY: one, TODAY - 1: across}, across)
    repeating = b"\x01" * 8
    assert holds({TODAY: b"\x02" + b"\x01" * 7 + repeating}, repeating)
    assert not holds({TODAY: b"\x02" + b"\x01" * 8 + b"\x02" * 7}, repeating)


def test_ids_stay_in_the_document_for_the_day_of_their_receipt_and_six_more() -> None:
    seen = with_ids(Seen(), {TODAY: packed("a")})
    assert not seen.is_due(TODAY + 6)
    assert seen.is_due(TODAY + 7)
    assert cooled(seen, {}, TODAY + 6, 90) == (seen, {})
    moved, cold = cooled(seen, {}, TODAY + 7, 90)
    assert moved.recent == {}
    assert cold == {TODAY: packed("a")}
    assert moved.may_be_cold(id_hash("a"))


def test_ids_are_cold_for_the_whole_retention_from_their_receipt() -> None:
    seen, cold = cooled(with_ids(Seen(), {TODAY: packed("a")}), {}, TODAY + 7, 90)
    for later in (8, 30, 89, 91):
        seen, cold = cooled(seen, cold, TODAY + later, 90)
        assert holds(cold, id_hash("a"))
        assert seen.may_be_cold(id_hash("a"))
    seen, cold = cooled(seen, cold, TODAY + 92, 90)
    assert (seen, cold) == (Seen(), {})


def test_ids_move_to_those_that_are_cold_already() -> None:
    seen = with_ids(Seen(), {TODAY - 9: packed("late"), TODAY: packed("new")})
    moved, cold = cooled(seen, {TODAY - 9: packed("old"), TODAY - 92: packed("gone")}, TODAY, 90)
    assert moved.recent == {TODAY: packed("new")}
    assert cold == {TODAY - 9: packed("old", "late")}


@given(st.dictionaries(st.integers(TODAY - 95, TODAY), names, max_size=6), st.integers(TODAY, TODAY + 95))
def test_no_id_of_the_retention_is_ever_missed(ids: dict[int, list[str]], today: int) -> None:
    seen = Seen()
    for day, some in ids.items():
        seen = with_ids(seen, {day: packed(*some)})
    moved, cold = cooled(seen, {}, today, 90)
    for day, some in ids.items():
        for name in some:
            known = moved.holds(id_hash(name)) or (moved.may_be_cold(id_hash(name)) and holds(cold, id_hash(name)))
            elsewhere = any(name in others for other, others in ids.items() if other >= today - 91)
            assert known == (day >= today - 91 or elsewhere)


@pytest.mark.parametrize("count", [1, 3, 50, 1_000])
def test_few_unknown_ids_ask_for_the_cold_value(count: int) -> None:
    cold: IdsByDay = {TODAY - 10: packed(*[f"known-{n}" for n in range(count)])}
    seen, _ = cooled(Seen(), cold, TODAY, 90)
    assert all(seen.may_be_cold(id_hash(f"known-{n}")) for n in range(count))
    asked = sum(seen.may_be_cold(id_hash(f"unknown-{n}")) for n in range(5_000))
    assert asked / 5_000 < (0.05 if count < 50 else 0.02)
    assert len(seen.cold_filter) <= count * 10 / 8 + 1


@pytest.mark.parametrize("count", [1, 2, 7, 130, 1_000])
def test_the_filter_is_the_one_that_sets_the_places_of_each_id(count: int) -> None:
    """Bit by bit, as engines wrote it before it was made in arrays: what is stored stays as it is."""
    chance = Random(count)
    cold = {TODAY - 20: chance.randbytes(8 * (count // 2)), TODAY - 9: chance.randbytes(8 * (count - count // 2))}
    size = (count * BITS_PER_ID + 7) // 8 * 8
    bits = bytearray(size // 8)
    for ids in cold.values():
        for start in range(0, len(ids), 8):
            for place in _places(ids[start : start + 8], size):
                bits[place >> 3] |= 1 << (place & 7)
    assert filter_of(cold) == bytes(bits)
