"""Ids that derive from their causes."""

import itertools
import json
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from mastery_engine.domain.ids import (
    ID_BYTES,
    SEEN_BYTES,
    derived_id,
    id_hash,
    seen_hash,
    short_id,
    value_hash,
    whole_id,
)

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


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts, max_size=3),
    max_leaves=8,
)


def turned(value: object) -> object:
    """The same value with the names of every object in another order."""
    if isinstance(value, dict):
        return {name: turned(part) for name, part in reversed(value.items())}
    return [turned(part) for part in value] if isinstance(value, list) else value


@given(values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_a_value_has_one_hash_however_it_is_written(value: object, indent: int | str | None, escaped: bool) -> None:
    document = json.dumps(value).encode()
    again = json.dumps(turned(value), indent=indent, ensure_ascii=escaped).encode(errors="surrogatepass")
    assert value_hash(document) == value_hash(b"\xef\xbb\xbf" + again)
    assert value_hash(document) != value_hash(json.dumps([value]).encode())


def test_values_that_differ_have_different_hashes() -> None:
    documents = [
        b"1",
        b'"1"',
        b"1.5",
        b"true",
        b"null",
        b"[1]",
        b"[]",
        b"{}",
        b'{"a":1}',
        b'{"a":2}',
        b"[1,2]",
        b"[2,1]",
    ]
    documents += [
        b"12345678901234567890123",
        b"12345678901234567890124",
        b"1" * 4_000,
        b"1e308",
        b"1e400",
        b"{",
        b"\xff",
    ]
    documents += [b"[" * 100_000, b"9" * 5_000]
    assert len({value_hash(document) for document in documents}) == len(documents)
    for same in ((b"1", b"1.0", b"1e0"), (b"0", b"-0.0"), (b'{"a":1,"b":2}', b' {"b":2.0, "a":1}')):
        assert len({value_hash(document) for document in same}) == 1


def test_documents_know_an_event_by_the_first_bytes_of_its_hash() -> None:
    assert seen_hash("a") == id_hash("a")[:SEEN_BYTES]


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.uuids().map(str))
@example("0f8fad5b-d9cb-469f-a165-708677289500")
@example("0F8FAD5B-d9cb-469f-a165-708677289500")
@example("0f8fad5b-d9cb-469f-a165-70867728950x")
@example("0f8fad5b-d9cb469f-a165-70867-7289500")
@example("sixteen-letters.")
@example("=fifteen.letters")
@example("=")
def test_an_id_is_whole_again_after_it_was_short(event_id: str) -> None:
    assert whole_id(short_id(event_id)) == event_id


def test_a_uuid_is_held_in_its_16_bytes() -> None:
    assert len(short_id("0f8fad5b-d9cb-469f-a165-708677289500")) == 16
    assert short_id("event-1") == b"event-1"
