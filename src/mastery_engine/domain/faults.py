"""What a decoder or a validator found wrong, in plain words: no message to a user has a library's own wording.

``plain_words`` knows the messages of msgspec and Pydantic; one that it does not know stays as it is.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin

import msgspec

from mastery_engine.domain.given_ids import FORMS
from mastery_engine.domain.json_text import HALF_CHARACTER, MARK, holds_half_character, not_utf8
from mastery_engine.errors import InvalidInput

_AT_PATH = re.compile(r"(?P<message>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_STEPS = re.compile(r"[.\[\]0-9]+")  # from a field to one within it, by way of lists
_AT_BYTE = re.compile(r"\(byte (?P<byte>\d+)\)")
_ENUM = re.compile(r"Invalid enum value (?P<given>.+)", re.DOTALL)
_NAMED = re.compile(r"(?:required|unknown) field `(?P<name>[^`]*)`")
_NO_LINE_BREAK = r"(?!\n)"  # what our patterns end with
_KINDS = {
    "array": "a list",
    "bool": "true or false",
    "boolean": "true or false",
    "bytes": "bytes",
    "date": "a date",
    "datetime": "a date and time",
    "dictionary": "an object",
    "float": "a number",
    "int": "a whole number",
    "integer": "a whole number",
    "list": "a list",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "str": "a text",
    "string": "a text",
}
_EXAMPLES = {"date": "2026-01-14", "datetime": "2026-01-14T10:30:00Z"}
_PARTS = {"array": "item", "object": "key", "str": "character"}
_SECONDS = ("<=", "86400")  # the only bound of this size is that of durations
_BOUNDS = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}


def malformed(error: Exception, within: str = "", source: bytes = b"", kind: Any = None) -> InvalidInput:
    """What a decoder did not take, as an error that names the field, which lies ``within`` another one.

    ``source`` is the document, if the error may be about how it is written; ``kind`` is what it was decoded as, whose
    fields may have a few known values.
    """
    if isinstance(error, UnicodeDecodeError):
        return not_utf8(error.object)
    if isinstance(error, RecursionError):
        return InvalidInput("The JSON is nested too deeply.")
    if not isinstance(error, msgspec.ValidationError) and holds_half_character(source):
        return InvalidInput(HALF_CHARACTER)
    match = _AT_PATH.fullmatch(str(error))
    message, path = (match["message"], match["path"] or "") if match else (str(error), "")
    message = message.replace(repr(_NO_LINE_BREAK)[1:-1], "").replace(_NO_LINE_BREAK, "")
    named = _NAMED.search(message)
    field = ".".join(name for name in (within, path, named["name"] if named else "") if name) or None
    mark = _mark_at(message, source)
    if mark is not None:
        message = f"There is a byte-order mark (U+FEFF) at byte {mark}, which may only begin a file: remove it"
    enum = _ENUM.fullmatch(message)
    values = [] if enum is None or kind is None else _values_of(kind, path)
    if enum is not None and values:
        message = f"must be one of {', '.join(values)}, not {enum['given']}"
    return InvalidInput(f"{sentence(message, field)}.", field=field)


def _mark_at(message: str, source: bytes) -> int | None:
    """Where the byte-order mark is that a decoder did not take; None if it was another byte."""
    at = _AT_BYTE.search(message)
    if at is None:
        return None
    end = int(at["byte"])  # of what comes after a whole value, the decoder names the second byte
    return next((place for place in (end, end - 1) if place >= 0 and source.startswith(MARK, place)), None)


def _values_of(kind: Any, path: str) -> list[str]:
    """The values that a field of a struct, or of one within it, may have; none if it is no field of few values."""
    kinds = [kind]
    for name in _STEPS.sub(".", path).strip(".").split("."):
        structs = [part for outer in kinds for part in _parts(outer) if msgspec.inspect.is_struct_type(part)]
        kinds = [field.type for part in structs for field in msgspec.structs.fields(part) if field.name == name]
    return [
        value for outer in kinds for part in _parts(outer) if get_origin(part) is Literal for value in get_args(part)
    ]


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind):
        yield from _parts(part)


def sentence(message: str, field: str | None) -> str:
    """One fault as a sentence without its full stop, about the field at fault or about the value as a whole."""
    words = plain_words(message)
    if re.match(r"(?:must|may|is|has) ", words):
        return f"{field or 'The value'} {words}"
    return words[:1].upper() + words[1:]


def plain_words(message: str) -> str:
    """A library's message as what follows the name of the field (``must be at least 1``), or as a whole sentence."""
    for pattern, words in _MESSAGES:
        match = pattern.fullmatch(message)
        if match is not None:
            return words(match)
    return message


def _kinds(names: str) -> str:
    """The kinds that a library lists, ``int | null``, in words."""
    words = [_KINDS.get(name, name) for name in names.split(" | ")]
    return " or ".join(dict.fromkeys(words))


def _valid(kind: str) -> str:
    example = f", as in {_EXAMPLES[kind]}" if kind in _EXAMPLES else ""
    return f"must be {_KINDS.get(kind, f'a {kind}')}{example}"


def _bound(match: re.Match[str]) -> str:
    limit = match[2].removesuffix(".0")
    if (match[1], limit) == _SECONDS:
        return "must be seconds, at most 86,400 (did you send milliseconds?)"
    return f"must be {_BOUNDS[match[1]]} {limit}"


def _size(match: re.Match[str]) -> str:
    return f"must have {match[1]} {int(match[2]):,} {match[3]}"


def _form(pattern: str) -> str:
    """What a form of ids asks for, or the pattern where nothing is said of it."""
    return FORMS.get(pattern, f"must match {pattern}")


def _length(match: re.Match[str]) -> str:
    number = int(match[3])
    return f"must have {_BOUNDS[match[2]]} {number:,} {_PARTS.get(match[1], 'item')}{'' if number == 1 else 's'}"


_WORDS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    # msgspec's
    (r"Expected `int`, got `float`", lambda _: "must be a whole number, without a decimal point"),
    (r"Expected `([^`]+)`, got `([^`]+)`", lambda match: f"must be {_kinds(match[1])}, not {_kinds(match[2])}"),
    (r"Expected `(?:int|float)` (>=|<=|>|<) (\S+)", _bound),
    (r"Expected `(\w+)` of length (>=|<=) (\d+)", _length),
    (r"Expected `str` matching regex '?(.+?)'?", lambda match: _form(match[1])),
    (r"Object missing required field `[^`]*`", lambda _: "is required"),
    (r"Object contains unknown field `[^`]*`", lambda _: "is not a known field"),
    (r"Invalid enum value (.+)", lambda match: f"must be one of the known values, not {match[1]}"),
    (
        r"Expected `datetime` with a timezone component",
        lambda _: "must have Z or an offset, as in 2026-01-14T10:30:00Z",
    ),
    (r"Invalid RFC3339 encoded (datetime|date)", lambda match: _valid(match[1])),
    (r"Number out of range", lambda _: "is a number that is too large"),
    (r"Input data was truncated", lambda _: "This is not JSON: it ends too early"),
    (r"JSON is malformed: (.+) \(byte (\d+)\)", lambda match: f"This is not JSON: {match[1]} at byte {match[2]}"),
    (r"MessagePack data is malformed: .+", lambda _: "This is not MessagePack"),
    # Pydantic's
    (r"Field required", lambda _: "is required"),
    (r"Extra inputs are not permitted", lambda _: "is not a known field"),
    (r"Value error, (.+)", lambda match: match[1]),
    (r"Invalid JSON: recursion limit exceeded.*", lambda _: "The JSON is nested too deeply"),
    (r"Invalid JSON: EOF .+", lambda _: "This is not JSON: it ends too early"),
    (r"Invalid JSON: (.+)", lambda match: f"This is not JSON: {match[1]}"),
    (r"\w+ should be greater than or equal to (.+)", lambda match: f"must be at least {match[1]}"),
    (r"\w+ should be less than or equal to (.+)", lambda match: f"must be at most {match[1]}"),
    (r"\w+ should be greater than (.+)", lambda match: f"must be above {match[1]}"),
    (r"\w+ should be less than (.+)", lambda match: f"must be below {match[1]}"),
    (r"\w+ should be an? (?:valid )?(\w+)(?: in the format \S+)?(?:, .+| or .+)?", lambda match: _valid(match[1])),
    (r"\w+ should match pattern '?(.+?)'?", lambda match: _form(match[1])),
    (r"\w+ should have (at (?:most|least)) (\d+) (\w+)(?: after validation, not \d+)?", _size),
    (r"\w+ should (.+?)(?: after validation, not \d+)?", lambda match: f"must {match[1]}"),
)
_MESSAGES = [(re.compile(pattern, re.DOTALL), words) for pattern, words in _WORDS]
