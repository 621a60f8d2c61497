"""Languages by their tags."""

import re

from mastery_engine.errors import InvalidInput

LONGEST_LANGUAGE = 35  # RFC 5646, section 4.4.1

_is_language = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*").fullmatch  # BCP 47: subtags of up to 8 characters


def check_language(tag: str) -> str:
    """The tag itself. Raises InvalidInput where it has not the form of BCP 47."""
    if len(tag) > LONGEST_LANGUAGE or not _is_language(tag):
        raise InvalidInput("language must be a BCP 47 tag, as en, pt-BR or ar.", field="language")
    return tag
