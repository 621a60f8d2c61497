"""Text of others made safe to show: what a reader would not see, or a terminal would obey, is escaped as in JSON."""

import json
from collections.abc import Collection


def printable(text: str, *, kept: Collection[str] = (), escaped: Collection[str] = ()) -> str:
    """The text with an escape for each character that is not printable, but for those in ``kept``.

    Those in ``escaped`` are escaped too.
    """
    if text.isprintable() and not any(character in text for character in escaped):
        return text
    return "".join(
        (
            character
            if (character.isprintable() or character in kept) and character not in escaped
            else _escape(character)
        )
        for character in text
    )


def _escape(character: str) -> str:
    escape = json.dumps(character)[1:-1]
    return escape if escape != character else f"\\u{ord(character):04x}"
