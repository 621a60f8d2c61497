"""Secrets that must be readable to be used, such as those we sign with: they are kept sealed under a key of ours.

AES-SIV (RFC 5297): the same secret under the same name is sealed alike, and no chance can be used twice by mistake.
"""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mastery_engine.errors import Unavailable

KEY_BYTES = 64
PURPOSE = b"mastery-engine: sealed secrets, 1"
PURPOSE_DERIVED = b"mastery-engine: derived secrets, 1"


class Seal:
    """Seals and opens. What was sealed under one name opens under no other, so that a record cannot be moved."""

    def __init__(self, key: bytes) -> None:
        """``key`` is PSEUDONYM_KEY, which all processes share and which never changes; ours is derived from it."""
        self._cipher = AESSIV(HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE).derive(key))
        self._key = HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE_DERIVED).derive(key)

    def seal(self, secret: bytes, name: str) -> bytes:
        """The secret as it may be kept; ``name`` says what it is of."""
        return self._cipher.encrypt(secret, [name.encode()])

    def open(self, sealed: bytes, name: str) -> bytes:
        """The secret again. Raises Unavailable if it was sealed under another key or name, or was changed."""
        try:
            return self._cipher.decrypt(sealed, [name.encode()])
        except (InvalidTag, ValueError):
            raise Unavailable("A secret cannot be read: it was kept under another PSEUDONYM_KEY.") from None

    def derive(self, name: str) -> bytes:
        """The secret of 32 bytes that belongs to a name: always the same, and known to nobody without the key."""
        return hmac.digest(self._key, name.encode(), "sha256")
