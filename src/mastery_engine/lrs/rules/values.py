"""The data types of xAPI: identifiers, languages, times, durations (xAPI 1.0.3 Data 4.0; IEEE 9274.1.1, 4.2.7)."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from mastery_engine.domain.moments import Micros, moment_of
from mastery_engine.lrs.broken import RuleBroken, is_object, is_text, shown

_VARIANTS = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}  # of RFC 4122, whatever the digit was

Version: TypeAlias = Literal["1.0.3", "2.0.0"]

MOST_KNOWN = 4_096
LONGEST_KNOWN = 400
LONGEST_IRI = 4_000

# RFC 3987: a scheme, and no character that neither an IRI nor a URI may hold, nor one that turns the direction of text
# (4.1); a percent sign leads two hex digits. Brackets in a query are no fault: senders leave them as they are.
_IRI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:"
    r"(?:[^\x00-\x20\x7f-\xa0<>\"{}|\\^`%"
    r"\u200e\u200f\u202a-\u202e\ud800-\udfff\ue000-\uf8ff\ufff0-\uffff]|%[0-9A-Fa-f]{2})+"
).fullmatch
_HIERARCHICAL = re.compile(
    r"[^:]+://(?:[^/?#@]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\s]+)(?::[0-9]*)?(?:[/?#].*)?", re.DOTALL
).fullmatch
_WITH_AUTHORITY = re.compile(r"(?:https?|ftps?|wss?):", re.IGNORECASE).match
_UUID = re.compile(
    r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[1-8][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}"
).fullmatch
_LANGUAGE = re.compile(
    r"(?:[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4}|[A-Za-z]{5,8})"  # a language with its extensions
    r"(?:-[A-Za-z]{4})?"  # script
    r"(?:-(?:[A-Za-z]{2}|[0-9]{3}))?"  # region
    r"(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*"  # variants
    r"(?:-[0-9A-WY-Za-wy-z](?:-[A-Za-z0-9]{2,8})+)*"  # extensions
    r"(?:-[xX](?:-[A-Za-z0-9]{1,8})+)?"  # private use
    r"|[xX](?:-[A-Za-z0-9]{1,8})+"
    r"|[iI]-[A-Za-z]{3,8}(?:-[A-Za-z]{2,8})?|sgn-(?:BE-FR|BE-NL|CH-DE)|en-GB-oed|zh-min(?:-nan)?"
).fullmatch
_DURATION = re.compile(
    r"P(?:\d+(?:[.,]\d+)?W|(?=\d|T\d)(?:\d+(?:[.,]\d+)?Y)?(?:\d+(?:[.,]\d+)?M)?(?:\d+(?:[.,]\d+)?D)?"
    r"(?:T(?=\d)(?:\d+(?:[.,]\d+)?H)?(?:\d+(?:[.,]\d+)?M)?(?:\d+(?:[.,]\d+)?S)?)?)",
    re.ASCII,
).fullmatch
_TIMESTAMP = re.compile(
    r"(\d{4})-?(\d{2})-?(\d{2})(?:[Tt ](\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d+))?)?)?"
    r"([Zz]|[+-]\d{2}(?::?\d{2})?)?)?",
    re.ASCII,
).fullmatch
_USUAL_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+\d\d:\d\d|-(?!00:00)\d\d:\d\d)", re.ASCII
).fullmatch
_NEGATIVE_ZERO = frozenset(("-00", "-0000", "-00:00"))
_MAILBOX = re.compile(r"mailto:[^@\s:/?#]+@[^@\s:/?#]+", re.IGNORECASE).fullmatch
_SHA1 = re.compile(r"[0-9A-Fa-f]{40}").fullmatch
_SHA2 = re.compile(r"(?:[0-9A-Fa-f]{56}|[0-9A-Fa-f]{64}|[0-9A-Fa-f]{96}|[0-9A-Fa-f]{128})").fullmatch
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+*-]{1,127}(?:\s*;.*)?", re.ASCII).fullmatch
_VERSIONS = {"1.0.3": re.compile(r"1\.0(?:\.\d+)?").fullmatch, "2.0.0": re.compile(r"[12]\.0(?:\.\d+)?").fullmatch}


@lru_cache(MOST_KNOWN)
def _has_form_of_iri(value: str) -> bool:
    if not _IRI(value):
        return False
    return not _WITH_AUTHORITY(value) or _HIERARCHICAL(value) is not None


def iri_is_absolute(value: Any, at: str) -> str:
    """An IRI has a scheme, and none of the characters that RFC 3987 leaves out."""
    text = is_text(value, at)
    looks_right = _has_form_of_iri if len(text) <= LONGEST_KNOWN else _has_form_of_iri.__wrapped__
    if len(text) > LONGEST_IRI or not looks_right(text):
        message = f"must be an IRI with a scheme, as http://example.com/a, not {shown(value)}"
        raise RuleBroken("iri_is_absolute", at, message)
    return text


def uuid_is_standard(value: Any, at: str) -> str:
    """A UUID in the standard string form (RFC 4122); in lower case, by which it is compared."""
    if not _UUID(is_text(value, at)):
        raise RuleBroken("uuid_is_standard", at, f"must be a UUID, not {shown(value)}")
    return str(value).lower()


@lru_cache(MOST_KNOWN)
def _has_form_of_language(tag: str) -> bool:
    return _LANGUAGE(tag) is not None


def language_is_tagged(value: Any, at: str) -> str:
    """A language is a tag of RFC 5646, as ``en-US``."""
    text = is_text(value, at)
    if len(text) > 100 or not _has_form_of_language(text):
        raise RuleBroken("language_is_tagged", at, f"must be a language tag of RFC 5646, as en-US, not {shown(value)}")
    return text


def language_map_has_texts(value: Any, at: str) -> None:
    """A language map gives a text for each language tag."""
    for tag, text in is_object(value, at).items():
        language_is_tagged(tag, at)
        is_text(text, at)


def extensions_have_iris(value: Any, at: str) -> None:
    """The keys of extensions are IRIs; their values are anything."""
    for name in is_object(value, at):
        iri_is_absolute(name, at)


def duration_is_iso8601(value: Any, at: str) -> None:
    """A duration is written as ISO 8601:2004, 4.4.3.2 says: ``PT4H35M59.14S``, or in weeks alone; never below zero."""
    if len(is_text(value, at)) > 200 or not _DURATION(value):
        message = f"must be an ISO 8601 duration, as PT4H35M59.14S, not {shown(value)}"
        raise RuleBroken("duration_is_iso8601", at, message)


def timestamp_is_iso8601(value: Any, at: str) -> Micros:
    """A timestamp is of ISO 8601 and RFC 3339, and never at ``-00:00``; without an offset it is taken as UTC.

    What is finer than a microsecond is cut off.
    """
    if len(is_text(value, at)) <= 40 and _USUAL_TIMESTAMP(value):
        try:
            return moment_of(datetime.fromisoformat(value))  # C, at a quarter of the price
        except ValueError:  # a leap second, or no date
            pass
    match = _TIMESTAMP(value) if len(value) <= 100 else None
    if match is None or match[8] in _NEGATIVE_ZERO:
        raise _no_timestamp(value, at)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        seconds = int(second or 0)
        is_leap = seconds == 60  # at the end of a day, now and then
        minutes = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), seconds - is_leap, tzinfo=UTC
        )
        return moment_of(minutes + timedelta(seconds=is_leap, microseconds=micros) - _offset(zone))
    except (ValueError, OverflowError):
        raise _no_timestamp(value, at) from None


def _offset(zone: str | None) -> timedelta:
    """How far a zone is ahead of UTC. Raises ValueError."""
    if zone is None or zone in "Zz":
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if zone[0] == "-" else ahead


def _no_timestamp(value: object, at: str) -> RuleBroken:
    return RuleBroken("timestamp_is_iso8601", at, f"must be a time as 2026-01-14T10:30:00Z, not {shown(value)}")


def mailbox_is_address(value: Any, at: str) -> str:
    """A mailbox is ``mailto:`` and an address."""
    if not _MAILBOX(is_text(value, at)):
        raise RuleBroken("mailbox_is_address", at, "must be mailto: and an address")
    return str(value)


def sha1_is_hex(value: Any, at: str) -> str:
    """A hash of a mailbox is a SHA-1 of 40 hex digits; in lower case, by which it is compared."""
    if not _SHA1(is_text(value, at)):
        raise RuleBroken("sha1_is_hex", at, "must be 40 hex digits")
    return str(value).lower()


def sha2_is_hex(value: Any, at: str) -> str:
    """An attachment's hash is a SHA-2 of 224, 256, 384 or 512 bits, in hex digits."""
    if not _SHA2(is_text(value, at)):
        raise RuleBroken("sha2_is_hex", at, f"must be a SHA-2 hash in hex digits, not {shown(value)}")
    return str(value).lower()


def media_type_is_named(value: Any, at: str) -> None:
    """A content type is an Internet media type (RFC 2046)."""
    if len(is_text(value, at)) > 300 or not _MEDIA_TYPE(value):
        raise RuleBroken("media_type_is_named", at, f"must be a media type, as text/plain, not {shown(value)}")


def version_is_known(value: Any, at: str, version: Version) -> None:
    """A statement's version is one of its resource's: 1.0.x, or in 2.0 that or 2.0.x."""
    if not _VERSIONS[version](is_text(value, at)):
        expected = "1.0.x" if version == "1.0.3" else "2.0.x"
        raise RuleBroken("version_is_known", at, f"must be {expected}, not {shown(value)}")


def derived_uuid(digest: bytes) -> str:
    """A UUID made of the first 16 bytes of a digest, marked as made from a name (version 5)."""
    text = digest[:16].hex()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:]}"
