"""A seal for private keys that are kept in a store: who reads the store alone does not have them.

AES-256-GCM under a key that is derived (HKDF, RFC 5869) from PSEUDONYM_KEY, which all replicas share and which is in no
store. Where that is lost, or changed, what was sealed cannot be opened.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


class Seal:
    """Seals and opens values for one purpose: what was sealed for another does not open."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        """``secret`` is PSEUDONYM_KEY."""
        info = f"mastery-engine {purpose}".encode()
        self._cipher = AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret))

    def close(self, value: bytes, nonce: bytes) -> bytes:
        """The value, sealed. ``nonce`` is 12 random bytes, another one each time."""
        return nonce + self._cipher.encrypt(nonce, value, None)

    def open(self, sealed: bytes) -> bytes | None:
        """The value; None where it was sealed under another key, for another purpose, or was changed."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None
