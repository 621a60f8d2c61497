"""What is known of a person beside their evidence: a name, a language, and who they are on other platforms."""

import unicodedata
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mastery_engine.domain.given_ids import normal_id
from mastery_engine.domain.language import check_language
from mastery_engine.domain.people.identity import Identity, identity
from mastery_engine.errors import InvalidInput

LONGEST_DISPLAY_NAME = 200
MOST_IDENTITIES = 32

Words: TypeAlias = tuple[str, ...]


class ProfileChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to set of a profile; what is left out stays, and null takes a name or a language away.

    ``language`` is a BCP 47 tag. ``external`` lists all identities of the person on other platforms.
    """

    display_name: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    external: Annotated[tuple[Identity, ...], Meta(max_length=MOST_IDENTITIES)] | UnsetType = UNSET


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person's name, language and identities on other platforms; what nobody set is None, or empty."""

    display_name: str | None = None
    language: str | None = None
    external: tuple[Identity, ...] = ()

    def changed(self, change: ProfileChange) -> "Profile":
        """The profile after a change. Raises InvalidInput, which names the field and never what it holds."""
        return Profile(
            self.display_name if change.display_name is UNSET else _name(change.display_name),
            self.language if change.language is UNSET else _language(change.language),
            self.external if change.external is UNSET else _identities(change.external),
        )

    def joined(self, other: "Profile") -> "Profile":
        """The profile with what another one of the same person has more: ours decides where both say something."""
        external = tuple(sorted({*self.external, *other.external}))
        return Profile(self.display_name or other.display_name, self.language or other.language, external)


NO_PROFILE = Profile()


def _name(given: str | None) -> str | None:
    return None if given is None else normal_id(given, "display_name", LONGEST_DISPLAY_NAME)


def _language(given: str | None) -> str | None:
    return None if given is None else check_language(given)


def _identities(given: tuple[Identity, ...]) -> tuple[Identity, ...]:
    """Each in its one spelling, sorted. Raises InvalidInput where two are the same."""
    if len(given) > MOST_IDENTITIES:
        raise InvalidInput(f"external must list at most {MOST_IDENTITIES} identities.", field="external")
    spelled = [identity(one.system, one.id, f"external[{place}]") for place, one in enumerate(given)]
    if len(set(spelled)) < len(spelled):
        raise InvalidInput("external names the same identity twice.", field="external")
    return tuple(sorted(spelled))


def folded(text: str) -> str:
    """A text as it is searched: without case and without accents (NFKD, its marks dropped)."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join([part for part in parts if not unicodedata.combining(part)])


def searched(student_id: str, display_name: str | None) -> str:
    """What the words of a search are looked for in: the name and the id, a line each."""
    return f"{folded(display_name or '')}\n{student_id.lower()}"


def words_of(query: str) -> Words:
    """The words of a search, in any order; none where the query is blank."""
    return tuple(folded(query).split())


def has_words(text: str, words: Words) -> bool:
    """Whether a ``searched`` text has all words, each anywhere in it."""
    return all(word in text for word in words)
