"""Ids that others give: one rule for whatever a school names, and the forms of the ids that must be plain.

Topics, skills, cohorts and the like are any text, in one spelling: normalised (NFC) and without blanks around it. They
may become part of an address, a page and a file, so they hold nothing that is a command there.
"""

import re
import unicodedata
from string import ascii_letters, digits
from types import MappingProxyType

from mastery_engine.errors import InvalidInput

LONGEST_NAME = 100  # topics, skills, cohorts
LONGEST_ID = 300  # items, exercises, quizzes, submissions, recommendations
MOST_KNOWN = 4_096
LONGEST_SPELLING = 4  # characters that normalisation may make one of

LONGEST_STUDENT_ID, LONGEST_EVENT_ID = 50, 100
STUDENT_ID = rf"^[A-Za-z0-9_-]{{1,{LONGEST_STUDENT_ID}}}$"
EVENT_ID = rf"^[A-Za-z0-9._:-]{{1,{LONGEST_EVENT_ID}}}$"
TENANT = r"^[a-z0-9][a-z0-9-]{0,39}$"
# What each form asks for, in the words that follow the name of the field.
FORMS = MappingProxyType(
    {
        STUDENT_ID: "may hold only A-Z, a-z, 0-9, _ and -, at least one and at most 50 characters; to keep an e-mail "
        "address out of the ids, use an opaque id of your own",
        EVENT_ID: "may hold only A-Z, a-z, 0-9, ., _, : and -, 1 to 100 characters",
        TENANT: "may hold only a-z, 0-9 and -, 1 to 40 characters, and does not start with -",
    }
)

# The characters that these forms allow.
IN_STUDENT_IDS = f"{ascii_letters}{digits}_-".encode()
IN_EVENT_IDS = IN_STUDENT_IDS + b".:"

_is_student_id = re.compile(STUDENT_ID).fullmatch
# Controls, line and paragraph separators, lone surrogates, and what turns the direction of the text that follows.
NOT_ALLOWED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_is_address = re.compile(r"https?://\S+").fullmatch
_DOTS = frozenset((".", ".."))
_UNSEEN = frozenset(("Cf", "Zs"))  # categories of characters that show nothing by themselves


def is_student_id(text: str) -> bool:
    """Whether a text has the form of a student's id."""
    return _is_student_id(text) is not None


def check_student_id(text: str, field: str = "student_id") -> str:
    """The id itself. Raises InvalidInput, which says what to do."""
    if not is_student_id(text):
        raise InvalidInput(f"{field} {FORMS[STUDENT_ID]}.", field=field)
    return text


def normal_name(text: str, *, longest: int = LONGEST_NAME) -> str:
    """A topic, skill or cohort in its one spelling. Raises ValueError with what follows the name of the field."""
    return _normal(text, longest)


def normal_id(text: str, field: str, longest: int = LONGEST_NAME) -> str:
    """The id in its one spelling. Raises InvalidInput, which names the field."""
    try:
        return _normal(text, longest)
    except ValueError as error:
        raise InvalidInput(f"{field} {error}.", field=field) from None


def as_spelled(text: str) -> str:
    """A text in the spelling that ids are compared in: NFC, without blanks around it."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()


def is_address(text: str) -> bool:
    """Whether a text is an address that a page may link to: of the web, in one piece, and nothing else in it."""
    return _is_address(text) is not None and NOT_ALLOWED.search(text) is None


class KnownIds(set[str | None]):
    """Ids that are known to be their own normal form, and None: the same few come again and again, and cost a look-up.

    It holds at most ``MOST_KNOWN`` ids of ``longest`` characters.
    """

    def __init__(self, longest: int) -> None:
        super().__init__((None,))
        self.longest = longest

    def spelled(self, text: str, field: str) -> str:
        """The id in its one spelling, which is known then. Raises InvalidInput, which names the field."""
        spelling = normal_id(text, field, self.longest)
        if len(self) >= MOST_KNOWN:
            self.clear()
            self.add(None)
        self.add(spelling)
        return spelling


def _normal(text: str, longest: int) -> str:
    bare = text.strip()
    if bare.isascii() and bare.isprintable() and 0 < len(bare) <= longest and bare not in _DOTS:
        return bare
    if len(bare) > longest * LONGEST_SPELLING:
        raise ValueError(f"must have at most {longest} characters")
    bare = unicodedata.normalize("NFC", bare).strip()
    if len(bare) > longest:
        raise ValueError(f"must have at most {longest} characters")
    wrong = NOT_ALLOWED.search(bare)
    if wrong is not None:
        raise ValueError(f"may not hold a control character, and this one holds U+{ord(wrong[0]):04X}")
    if all(unicodedata.category(character) in _UNSEEN for character in bare):
        raise ValueError(f"must have 1 to {longest} characters besides blanks")
    if bare in _DOTS:
        raise ValueError("may not be . or .., which no address can name")
    return bare
