"""The status list: which badges were revoked, as bits (W3C Bitstring Status List 1.0).

Badges stand at places by chance among many that are empty, so that neither the list nor a place in it tells anything
about others.
"""

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import Any

from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.errors import InvalidInput
from mastery_engine.out.badges.contexts import CREDENTIALS
from mastery_engine.out.badges.issuer import Issuer

LENGTH = 131_072  # bits: the least that the standard allows
MOST_BYTES = 4 * 1024 * 1024  # of a list of others
GZIP = 16 + zlib.MAX_WBITS
MARK = "u"  # Multibase: base64url without padding
NOTHING_REVOKED = bytes(LENGTH // 8)


class NotAList(InvalidInput):
    """The status list cannot be read, or lacks the place."""


def with_bit(bits: bytes, index: int) -> bytes:
    """The bits with one more set; the first is the highest bit of the first byte. Raises NotAList."""
    _check_place(bits, index)
    changed = bytearray(bits)
    changed[index // 8] |= 0x80 >> index % 8
    return bytes(changed)


def is_set(bits: bytes, index: int) -> bool:
    """Raises NotAList for a place that the list lacks."""
    _check_place(bits, index)
    return bool(bits[index // 8] & 0x80 >> index % 8)


def encoded(bits: bytes) -> str:
    """The bits as a list has them: packed by gzip, without a time in it, as base64url."""
    packer = zlib.compressobj(9, zlib.DEFLATED, GZIP)
    return MARK + urlsafe_b64encode(packer.compress(bits) + packer.flush()).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """The bits of a list. Raises NotAList."""
    unpacker = zlib.decompressobj(GZIP)
    try:
        packed = urlsafe_b64decode(text[1:] + "=" * (-(len(text) - 1) % 4))
        bits = unpacker.decompress(packed, MOST_BYTES)
    except (NotBase64, ValueError, zlib.error) as error:
        raise NotAList("The status list is not packed as the standard says.", field="encodedList") from error
    if text[:1] != MARK or not unpacker.eof or len(bits) < LENGTH // 8:
        raise NotAList("The status list is shorter or longer than the standard allows.", field="encodedList")
    return bits


def status_list_credential(issuer: Issuer, number: int, bits: bytes, at: Micros) -> dict[str, Any]:
    """The credential that says which badges of a list were revoked, as of a moment; nobody has signed it yet."""
    address = issuer.status_list(number)
    return {
        "@context": [CREDENTIALS],
        "id": address,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer.did,
        "validFrom": rfc3339(at),
        "credentialSubject": {
            "id": f"{address}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": encoded(bits),
        },
    }


def _check_place(bits: bytes, index: int) -> None:
    if not 0 <= index < 8 * len(bits):
        raise NotAList("The status list has no such place.", field="statusListIndex")
