"""What may be wrong with JSON as bytes: the mark in front of it, and its encoding (RFC 8259, section 8.1)."""

import re

from mastery_engine.errors import InvalidInput

MARK = b"\xef\xbb\xbf"  # U+FEFF, the byte-order mark, which some editors and spreadsheets put before UTF-8
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_HALF = re.compile(rb"(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]")


def without_mark(value: bytes) -> bytes:
    """The document without a leading byte-order mark."""
    return value.removeprefix(MARK)


def is_wide(value: bytes) -> bool:
    """Whether bytes begin with the mark of UTF-16 or UTF-32, which no UTF-8 begins with."""
    return value.startswith(_OTHER_MARKS)


def check_not_wide(value: bytes) -> None:
    """Raises InvalidInput if bytes begin with the mark of UTF-16 or UTF-32."""
    if is_wide(value):
        raise not_utf8(value)


def not_utf8(value: bytes) -> InvalidInput:
    """The error for bytes that are not UTF-8."""
    if is_wide(value):
        return InvalidInput("The text is UTF-16 or UTF-32: save or send it as UTF-8.")
    return InvalidInput("The text is not UTF-8: save or send it as UTF-8.")


def holds_half_character(value: bytes) -> bool:
    r"""Whether a document that cannot be parsed may be so for half of a surrogate pair, such as ``\ud800``."""
    return _HALF.search(value) is not None


HALF_CHARACTER = r"The text holds one half of a surrogate pair (\ud800 to \udfff) alone: send whole characters."
