"""Ids that others give: one spelling, and nothing that is a command to an address, a page or a file."""

import unicodedata
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.faults import plain_words
from mastery_engine.domain.given_ids import (
    EVENT_ID,
    LONGEST_ID,
    LONGEST_NAME,
    MOST_KNOWN,
    STUDENT_ID,
    TENANT,
    KnownIds,
    check_student_id,
    normal_id,
    normal_name,
)
from mastery_engine.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("loops", "loops"),
        ("  loops\t\n", "loops"),
        ("\u3000ループ\xa0", "ループ"),
        ("gro\u0308\u00dfe", "größe"),
        ("a  b", "a  b"),
        ("edX/DemoX/2026", "edX/DemoX/2026"),
        ("course-v1:edX+DemoX+2026", "course-v1:edX+DemoX+2026"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner within a word is spelling
        ("👩\u200d💻", "👩\u200d💻"),
        (".hidden", ".hidden"),
        ("...", "..."),
        ("e\u0301" * LONGEST_NAME, "é" * LONGEST_NAME),
        ("\u1100\u1161\u11a8" * LONGEST_NAME, "각" * LONGEST_NAME),
        ("\u1f82", "\u1f82"),
    ],
)
def test_an_id_has_one_spelling(text: str, spelled: str) -> None:
    assert normal_name(text) == spelled
    assert normal_id(text, "topic") == spelled


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must have 1 to 100 characters besides blanks"),
        (" \n\u3000", "must have 1 to 100 characters besides blanks"),
        ("\u200b\u200d\ufeff", "must have 1 to 100 characters besides blanks"),
        ("x" * 101, "must have at most 100 characters"),
        ("e\u0301" * 101, "must have at most 100 characters"),
        ("x" * 1_000_000, "must have at most 100 characters"),
        ("a\x00b", "may not hold a control character, and this one holds U+0000"),
        ("a\nb", "may not hold a control character, and this one holds U+000A"),
        ("a\x7f", "may not hold a control character, and this one holds U+007F"),
        ("a\x85b", "may not hold a control character, and this one holds U+0085"),
        ("a\u2028b", "may not hold a control character, and this one holds U+2028"),
        ("a\u202eb", "may not hold a control character, and this one holds U+202E"),
        ("\u2067a\u2069", "may not hold a control character, and this one holds U+2067"),
        ("a\ud800", "may not hold a control character, and this one holds U+D800"),
        (".", "may not be . or .., which no address can name"),
        (" .. ", "may not be . or .., which no address can name"),
    ],
)
def test_what_is_no_id_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        normal_id(text, "data.topic")
    assert (refused.value.message, refused.value.field) == (f"data.topic {why}.", "data.topic")
    with pytest.raises(ValueError, match="m") as said:
        normal_name(text)
    assert str(said.value) == why


@given(st.text(max_size=12) | st.text(st.characters(categories=["Mn", "Zs", "Cf", "Lo"]), max_size=300))
def test_normal_forms_are_their_own_normal_forms(text: str) -> None:
    try:
        spelled = normal_id(text, "item_id", LONGEST_ID)
    except InvalidInput:
        return
    assert normal_id(spelled, "item_id", LONGEST_ID) == spelled
    assert normal_id(f" {unicodedata.normalize('NFD', spelled)}\n", "item_id", LONGEST_ID) == spelled
    assert 1 <= len(spelled.encode()) <= 4 * LONGEST_ID


def test_marks_without_end_are_refused_before_they_are_sorted() -> None:
    """Normalisation sorts the marks of one letter, which takes quadratic time."""
    marks = "a" + "\u0301\u0316" * 250_000
    started = process_time()
    with pytest.raises(InvalidInput):
        normal_id(marks, "topic")
    assert process_time() - started < 1


@pytest.mark.parametrize("student_id", ["ada@school.example", "ada.lovelace", "x" * 51, "", "ada\n", "größe", "a b"])
def test_a_student_id_that_is_none_says_what_to_do(student_id: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_student_id(student_id)
    assert refused.value.message == (
        "student_id may hold only A-Z, a-z, 0-9, _ and -, at least one and at most 50 characters; to keep an e-mail "
        "address out of the ids, use an opaque id of your own."
    )
    assert refused.value.field == "student_id"


@pytest.mark.parametrize("form", [STUDENT_ID, EVENT_ID, TENANT])
def test_no_form_is_told_as_a_pattern(form: str) -> None:
    for said in (f"Expected `str` matching regex '{form}'", f"String should match pattern '{form}'"):
        assert plain_words(said).startswith("may hold only ")
        assert "^" not in plain_words(said)


def test_known_ids_are_those_in_normal_form_and_not_more_than_so_many() -> None:
    known = KnownIds(LONGEST_NAME)
    assert known.spelled(" loops ", "topic") == "loops"
    assert known == {None, "loops"}
    with pytest.raises(InvalidInput):
        known.spelled("x" * 101, "topic")
    for number in range(2 * MOST_KNOWN):
        known.spelled(f"e-{number}", "topic")
        assert None in known
        assert len(known) <= MOST_KNOWN
