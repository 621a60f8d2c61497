"""How a message is signed, by Standard Webhooks 1.0 (symmetric signatures, v1)."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence

from mastery_engine.domain.moments import SECOND, Micros

BEGINNING = "whsec_"
SECRET_BYTES = 32  # the standard asks for 24 to 64


def shown_secret(secret: bytes) -> str:
    """A secret as receivers are given it."""
    return BEGINNING + b64encode(secret).decode()


def signed_headers(message_id: str, body: bytes, at: Micros, secrets: Sequence[bytes]) -> Mapping[str, str]:
    """The headers by which a receiver checks a message. While secrets change there is a signature by each."""
    stamp = str(at // SECOND)
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    signatures = [b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
