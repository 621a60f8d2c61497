"""Ids that derive from their causes."""

import itertools
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.ids import ID_BYTES, derived_id, id_hash

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=5)


@given(texts)
def test_a_derived_id_is_a_uuid_of_version_8_and_always_the_same(parts: list[str]) -> None:
    found = derived_id(*parts)
    assert UUID(found).version == 8
    assert str(UUID(found)) == found
    assert derived_id(*parts) == found


@given(texts, texts)
def test_no_two_lists_of_parts_give_the_same_id(one: list[str], other: list[str]) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other)


def test_parts_do_not_run_into_each_other() -> None:
    lists = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("abc", ""),
        ("", "abc"),
        ("1:a", "1:bc"),
        ("a1:b", "c"),
        ("11:", "a"),
        (),
    ]
    for one, other in itertools.combinations(lists, 2):
        assert derived_id(*one) != derived_id(*other)


def test_an_event_is_known_by_8_bytes_that_tell_cases_apart() -> None:
    names = ["a", "A", "a.", "a:", "a-b", "a_b", "x" * 100, "x" * 99]
    assert {len(id_hash(name)) for name in names} == {ID_BYTES}
    assert len({id_hash(name) for name in names}) == len(names)
    assert id_hash("a") == id_hash("a")
