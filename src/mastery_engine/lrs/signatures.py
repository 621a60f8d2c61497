"""Signed statements: a JSON Web Signature among the attachments (RFC 7515; xAPI 1.0.3 Data 2.6)."""

from base64 import b64decode, urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from mastery_engine.lrs.broken import Object, RuleBroken
from mastery_engine.lrs.rules.statements import statement_is_valid
from mastery_engine.lrs.rules.values import Version, timestamp_is_iso8601
from mastery_engine.lrs.sameness import content_digest

SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"
OCTETS = "application/octet-stream"
ALGORITHMS: Mapping[str, type[HashAlgorithm]] = {"RS256": SHA256, "RS384": SHA384, "RS512": SHA512}


def signatures_are_of_statement(statement: Object, contents: Mapping[str, bytes], version: Version) -> None:
    """Each signature that comes with a statement is one of it. Raises RuleBroken."""
    for one in statement.get("attachments", ()):
        if one["usageType"] == SIGNATURE:
            signature_is_octets(one)
            content = contents.get(one["sha2"].lower())
            if content is None:
                raise RuleBroken("signature_is_sent", "attachments", "must have a signature's content in the body")
            signature_is_of_statement(statement, content, version)


def signature_is_octets(attachment: Object) -> None:
    """A signature's content type is that of bytes."""
    if attachment["contentType"] != OCTETS:
        raise RuleBroken("signature_is_octets", "attachments.contentType", f"must be {OCTETS} for a signature")


def signature_is_of_statement(statement: Object, content: bytes, version: Version) -> None:
    """A signature has three parts, an algorithm of RSA, a payload that is the statement, and fits its certificate."""
    try:
        head, body, signature = content.decode("ascii").strip().split(".")
        header, payload = msgspec.json.decode(_decoded(head)), msgspec.json.decode(_decoded(body))
        signed = _decoded(signature)
    except (ValueError, RecursionError):
        raise RuleBroken("signature_is_jws", "The signature", "must be a JSON Web Signature in compact form") from None
    algorithm = header.get("alg") if isinstance(header, dict) else None
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise RuleBroken("signature_is_of_rsa", "The signature", f"must be made by {', '.join(ALGORITHMS)}")
    payload_is_statement(payload, statement, version)
    if "x5c" in header:
        signature_fits_certificate(header["x5c"], f"{head}.{body}".encode(), signed, ALGORITHMS[algorithm])


def payload_is_statement(payload: Any, statement: Object, version: Version) -> None:
    """What was signed is the statement before the signature was added."""
    statement_is_valid(payload, version, "The signature's payload")
    unsigned = {name: value for name, value in statement.items() if name != "attachments"}
    attachments = [one for one in statement["attachments"] if one["usageType"] != SIGNATURE]
    if attachments:
        unsigned["attachments"] = attachments
    if not payload.get("attachments", True):
        payload = {name: value for name, value in payload.items() if name != "attachments"}
    same_id = "id" not in payload or payload["id"].lower() == str(statement.get("id", payload["id"])).lower()
    times = [timestamp_is_iso8601(one["timestamp"], "timestamp") for one in (payload, statement) if "timestamp" in one]
    if not same_id or len(set(times)) > 1 or content_digest(payload) != content_digest(unsigned):
        message = "must be the statement without the signature"
        raise RuleBroken("payload_is_statement", "The signature's payload", message)


def signature_fits_certificate(chain: Any, signed: bytes, signature: bytes, algorithm: type[HashAlgorithm]) -> None:
    """The signature was made by the key of the first certificate of its header, if it has any."""
    try:
        key = x509.load_der_x509_certificate(b64decode(chain[0], validate=True)).public_key()
        if not isinstance(key, RSAPublicKey):
            raise TypeError(type(key))
        key.verify(signature, signed, PKCS1v15(), algorithm())
    except (InvalidSignature, ValueError, TypeError, LookupError):
        message = "is not that of the certificate in its header"
        raise RuleBroken("signature_fits_certificate", "The signature", message) from None


def _decoded(part: str) -> bytes:
    """What base64url holds. Raises ValueError."""
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
