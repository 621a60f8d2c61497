"""What a profile takes, keeps and is found by."""

from typing import Any

import msgspec
import pytest

from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.people.profile import (
    MOST_IDENTITIES,
    NO_PROFILE,
    Profile,
    ProfileChange,
    folded,
    has_words,
    searched,
    words_of,
)
from mastery_engine.errors import InvalidInput

LTI, MAIL = Identity("https://lms.example", "7"), Identity("mailto", "ada@school.example")
ADA = Profile("Ada", "en", (LTI,))


def change(**fields: Any) -> ProfileChange:
    return msgspec.convert(fields, ProfileChange)


def test_what_is_left_out_stays_and_null_takes_away() -> None:
    assert NO_PROFILE.changed(ProfileChange(" Ada ", "en", (MAIL, LTI))) == Profile("Ada", "en", (LTI, MAIL))
    assert ADA.changed(change()) == ADA
    assert ADA.changed(change(display_name="Grace")) == Profile("Grace", "en", (LTI,))
    assert ADA.changed(change(display_name=None, language=None)) == Profile(external=(LTI,))
    assert ADA.changed(change(external=[])) == Profile("Ada", "en")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"display_name": "  "}, "display_name"),
        ({"display_name": "A\u202eda"}, "display_name"),
        ({"display_name": "A" * 201}, "display_name"),
        ({"language": "English please"}, "language"),
        ({"language": "en-" + "x" * 40}, "language"),
        ({"external": [{"system": "mailto", "id": " "}]}, "external[0].id"),
        ({"external": [{"system": "mailto", "id": "a"}, {"system": " mailto", "id": "a"}]}, "external"),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        NO_PROFILE.changed(change(**fields))
    assert refused.value.field == field
    assert "mailto" not in refused.value.message


def test_there_is_an_end_to_identities() -> None:
    many = tuple([Identity("mailto", f"{number}") for number in range(MOST_IDENTITIES + 1)])
    assert len(NO_PROFILE.changed(ProfileChange(external=many[1:])).external) == MOST_IDENTITIES
    with pytest.raises(InvalidInput, match="at most 32"):
        NO_PROFILE.changed(ProfileChange(external=many))


@pytest.mark.parametrize(
    ("name", "query", "is_found"),
    [
        ("Émile Zola", "emile", True),
        ("Emile Zola", "ÉMILE zo", True),
        ("Straße", "STRASSE", True),
        ("Ada", "S-7", True),
        ("Ada", "ada s-7", True),
        ("Ada", "", True),
        (None, "s-7", True),
        ("Ada", "adam", False),
        ("Ada", "ada bob", False),
        ("山田太郎", "太郎", True),
    ],
)
def test_a_name_is_found_without_case_and_accents(name: str | None, query: str, is_found: bool) -> None:
    assert has_words(searched("s-7", name), words_of(query)) is is_found


def test_a_text_is_folded_once() -> None:
    for text in ("Émile", "Straße", "ﬁne", "İstanbul", "Ada"):
        assert folded(folded(text)) == folded(text)


def test_a_profile_joined_with_another_has_what_it_lacks() -> None:
    other = Profile("Grace", "es", (MAIL, LTI))
    assert ADA.joined(other) == Profile("Ada", "en", (LTI, MAIL))
    assert NO_PROFILE.joined(other) == Profile("Grace", "es", (LTI, MAIL))
