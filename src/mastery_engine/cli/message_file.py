"""A file of other platforms' messages: a JSON value that holds them, or a line for each; plain or gzip."""

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mastery_engine.domain.faults import malformed
from mastery_engine.domain.json_text import check_not_wide, without_mark
from mastery_engine.errors import InvalidInput

if TYPE_CHECKING:
    from mastery_engine.doors.drafts import DoorName

_GZIP = b"\x1f\x8b"


def content_of(path: Path) -> bytes:
    """The bytes of a file, or of standard input for ``-``, unpacked. Raises InvalidInput where it is damaged."""
    content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise InvalidInput("The compressed file is damaged: copy it again.") from error
    check_not_wide(content)
    return without_mark(content)


def documents_in(content: bytes) -> Iterator[tuple[str, object]]:
    """What a file holds, each with where it is: the file as one JSON value, else its lines; a bad one is its error."""
    try:
        yield "", msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as whole:
        lines = [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
        if len(lines) < 2:
            yield "", malformed(whole, source=content)
            return
        for number, line in lines:
            yield f"line {number}", _decoded(line)


def messages_of(documents: Iterable[tuple[str, object]], door: "DoorName") -> Iterator[tuple[str, object]]:
    """Each message of documents with where it is: a number in the file, or a line; what is no JSON is its error."""
    from mastery_engine.doors.translating import messages_in

    for where, document in documents:
        if isinstance(document, InvalidInput):
            yield where or "the file", document
            continue
        messages = messages_in(door, document)
        for place, message in enumerate(messages, 1):
            number = f"message {place}" if not where or len(messages) > 1 else ""
            yield ", ".join(part for part in (where, number) if part), message


def _decoded(line: bytes) -> object:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return malformed(error, source=line)
