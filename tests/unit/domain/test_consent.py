"""Consent goes by the time of receipt; an erasure ends all that came before it."""

import hmac
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.consent import (
    ConsentChange,
    History,
    allowed_at,
    counts,
    erased_at,
    merged,
    now_allowed,
    pack_note,
    pseudonym,
    unpack_note,
    without_repeats,
)
from mastery_engine.domain.student import StudentKey
from tests.support.samples import NOW, helped

changes = st.builds(
    lambda at, processing, profiling, erased: ConsentChange(
        NOW + at, processing and not erased, profiling and not erased, erased
    ),
    st.integers(0, 20),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
histories = st.lists(changes, max_size=8, unique_by=lambda one: one.at).map(lambda some: merged(tuple(some), ()))


def plainly(history: History, received: int, timed: int, *, default: bool) -> bool:
    """The contract's words, one after the other."""
    erasures = [one.at for one in history if one.erased]
    if erasures and (received <= max(erasures) or timed <= max(erasures)):
        return False
    before = [one for one in history if one.at <= received]
    return max(before, key=lambda one: one.at).processing if before else default


@given(histories, st.integers(-2, 22), st.integers(0, 5), st.booleans())
def test_an_event_counts_by_what_was_allowed_at_its_receipt(
    history: History, received: int, earlier: int, default: bool
) -> None:
    event = helped(at=NOW + received - earlier, received=NOW + received)
    assert counts(event, history, default=default) is plainly(history, event.received, event.at, default=default)


@given(histories, histories, histories)
def test_histories_merge_in_any_order_to_the_same(one: History, two: History, three: History) -> None:
    assert merged(one, two) == merged(two, one)
    assert merged(merged(one, two), three) == merged(one, merged(two, three))
    assert merged(one, one) == one


@given(histories, changes, st.integers(-5, 30))
def test_a_note_takes_the_time_of_its_record_and_keeps_its_order(
    settled: History, latest: ConsentChange, at: int
) -> None:
    assert unpack_note(pack_note(settled), NOW) == settled
    *before, last = unpack_note(pack_note(settled, latest), NOW + at)
    assert tuple(before) == settled
    assert last.at == (max(NOW + at, settled[-1].at + 1) if settled else NOW + at)
    assert msgspec.structs.replace(last, at=latest.at) == latest


@given(histories, st.integers(-2, 22), st.booleans())
def test_what_is_shown_says_the_same_in_as_few_words_as_can_be(history: History, at: int, default: bool) -> None:
    shown = without_repeats(history)
    states = [msgspec.structs.replace(change, at=0) for change in shown]
    assert all(one != two for one, two in pairwise(states))
    assert set(shown) <= set(history)
    known, told = (allowed_at(changes, NOW + at, default=default) for changes in (history, shown))
    assert (known.processing, known.profiling, known.erased) == (told.processing, told.profiling, told.erased)


def test_of_whom_nothing_was_said_the_default_holds() -> None:
    for default in (True, False):
        assert allowed_at((), NOW, default=default) == now_allowed((), default=default)
        assert now_allowed((), default=default).processing is default
    assert erased_at(()) is None


def test_pseudonyms_depend_on_key_tenant_and_student() -> None:
    ada = StudentKey("default", "ada")
    names = {pseudonym(b"k", ada), pseudonym(b"other", ada), pseudonym(b"k", StudentKey("defaulta", "da"))}
    assert len(names) == 3
    assert pseudonym(b"k", ada) in names
    assert "ada" not in "".join(names)


@given(st.binary(max_size=200), st.text(max_size=50), st.text(max_size=50))
def test_a_pseudonym_is_the_librarys_hmac(secret: bytes, tenant: str, student_id: str) -> None:
    named = f"{len(tenant)}:{tenant}{student_id}".encode()
    assert pseudonym(secret, StudentKey(tenant, student_id)) == hmac.digest(secret, named, "sha256").hex()
