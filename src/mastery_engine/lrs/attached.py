"""What comes with statements: the attachments' own bytes, which must be what the statements say (Data 2.4.11)."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from mastery_engine.lrs.broken import Object, RuleBroken
from mastery_engine.lrs.multipart import BodyPart

_IS_HEX = re.compile(rb"[0-9A-Fa-f]+").fullmatch
HASHES = {56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}


def attachments_of(statement: Object) -> list[Object]:
    """The attachments that a statement and its sub-statement describe."""
    found = list(statement.get("attachments", ()))
    target = statement["object"]
    if target.get("objectType") == "SubStatement":
        found += target.get("attachments", ())
    return found


def contents_are_as_described(statements: Sequence[Object], parts: Sequence[BodyPart]) -> dict[str, bytes]:
    """The contents by their hashes. Raises RuleBroken where one is missing, not described, or not as described."""
    contents = {hash_is_named(part): part.content for part in parts}
    described = {one["sha2"].lower(): one for statement in statements for one in attachments_of(statement)}
    for sha2, content in contents.items():
        if sha2 not in described:
            raise RuleBroken("part_is_described", "The body", "has a part that no statement describes as an attachment")
        content_has_hash(content, sha2)
    contents_are_sent_or_linked(statements, contents)
    return contents


def contents_are_sent_or_linked(statements: Sequence[Object], contents: Mapping[str, bytes]) -> None:
    """An attachment's content comes with the statement, or lies at its ``fileUrl``; its length is as described."""
    for statement in statements:
        for one in attachments_of(statement):
            content = contents.get(one["sha2"].lower())
            if content is None:
                if "fileUrl" not in one:
                    message = "need their content in the body, or a fileUrl"
                    raise RuleBroken("contents_are_sent_or_linked", "attachments", message)
            elif not length_is_true(content, one["length"]):
                message = f"say a length of {one['length']}, and {len(content)} bytes came"
                raise RuleBroken("length_is_true", "attachments", message)


def length_is_true(content: bytes, length: int) -> bool:
    """Whether a content has a length; one in hex digits may be told by the bytes that it stands for.

    The standard's own suite sends an image so, with the length of the image and the hash of the digits.
    """
    return len(content) == length or (len(content) == 2 * length and _IS_HEX(content) is not None)


def hash_is_named(part: BodyPart) -> str:
    """A part with an attachment names its hash, and that its content is sent as it is."""
    if part.headers.get("content-transfer-encoding", "").lower() != "binary":
        raise RuleBroken("part_is_binary", "The part", "needs the header Content-Transfer-Encoding: binary")
    if "x-experience-api-hash" not in part.headers:
        raise RuleBroken("hash_is_named", "The part", "needs the header X-Experience-API-Hash")
    return part.headers["x-experience-api-hash"].lower()


def content_has_hash(content: bytes, sha2: str) -> None:
    """The hash of a content is what the statement says (SHA-2, by the length of the hash)."""
    name = HASHES.get(len(sha2))
    if name is None or hashlib.new(name, content).hexdigest() != sha2:
        raise RuleBroken("content_has_hash", "attachments", "must have the content whose hash is their sha2")
