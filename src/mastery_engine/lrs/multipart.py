"""Bodies with attachments: ``multipart/mixed`` (RFC 2046; xAPI 1.0.3 Communication 1.5.2)."""

import re
from collections.abc import Iterable
from email.message import Message

import msgspec

from mastery_engine.lrs.broken import RuleBroken

MOST_PARTS = 200
LONGEST_HEAD = 8_192
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=? -]{0,69}[A-Za-z0-9'()+_,./:=?-]").fullmatch


class BodyPart(msgspec.Struct, frozen=True):
    """One part of a body; the names of its ``headers`` are in lower case."""

    headers: dict[str, str]
    content: bytes


def boundary_is_named(content_type: str) -> str:
    """The boundary that a multipart's content type names. Raises RuleBroken."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or not _BOUNDARY(boundary):
        raise RuleBroken("boundary_is_named", "Content-Type", "must name the boundary of its parts")
    return boundary


def parts_of(body: bytes, boundary: str) -> list[BodyPart]:
    """The parts of a body. Raises RuleBroken where it is not framed by the boundary."""
    delimiter = b"\r\n--" + boundary.encode()
    framed = b"\r\n" + body
    if b"\r\n" not in body:
        raise _unframed("has no part")
    pieces = framed.split(delimiter)
    if len(pieces) < 3:
        raise _unframed("is not framed by the boundary that the Content-Type names")
    if len(pieces) - 2 > MOST_PARTS:
        raise _unframed(f"has more than {MOST_PARTS} parts")
    if not pieces[-1].startswith(b"--"):
        raise _unframed("does not end with the closing boundary")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> BodyPart:
    padding, line_end, rest = piece.partition(b"\r\n")
    if padding.strip(b" \t") or not line_end:
        raise _unframed("has a part that does not begin on a new line")
    if rest.startswith(b"\r\n"):
        return BodyPart({}, rest[2:])
    head, blank, content = rest.partition(b"\r\n\r\n")
    if not blank or len(head) > LONGEST_HEAD:
        raise _unframed("has a part whose headers do not end with an empty line")
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise _unframed("has a part with a header without a colon")
        headers[name.strip().lower()] = value.strip()
    return BodyPart(headers, content)


def _unframed(message: str) -> RuleBroken:
    return RuleBroken("parts_are_framed", "The body", message)


def written(parts: Iterable[BodyPart], boundary: str) -> bytes:
    """A body of these parts; the boundary is in none of them."""
    body = bytearray()
    for part in parts:
        body += f"--{boundary}\r\n".encode()
        for name, value in part.headers.items():
            body += f"{name}: {value}\r\n".encode()
        body += b"\r\n" + part.content + b"\r\n"
    return bytes(body + f"--{boundary}--\r\n".encode())
