"""Bytes as texts that name their own alphabet (Multibase), and public keys in them (Multikey, W3C CID 1.0)."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # base58btc, whose mark is z
ED25519_PUBLIC = b"\xed\x01"
KEY_BYTES = 32
LONGEST = 200  # characters: a signature has 89, and the time grows with the square

_PLACES = {digit: place for place, digit in enumerate(ALPHABET)}


def to_base58(data: bytes) -> str:
    """Bytes in base58btc with their mark, ``z``."""
    number = int.from_bytes(data)
    digits = []
    while number:
        number, place = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[place])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "z" + ALPHABET[0] * zeros + "".join(reversed(digits))


def from_base58(text: str) -> bytes:
    """The bytes of a text in base58btc. Raises ValueError where it is none, or too long to be a key or a signature."""
    if not text.startswith("z") or len(text) > LONGEST:
        raise ValueError("It is no text of base58btc, which begins with z.")
    number = 0
    for digit in text[1:]:
        place = _PLACES.get(digit)
        if place is None:
            raise ValueError("It has a character that base58btc lacks.")
        number = number * len(ALPHABET) + place
    zeros = len(text) - 1 - len(text[1:].lstrip(ALPHABET[0]))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)


def multikey(key: Ed25519PublicKey) -> str:
    """A public key as Multikey writes it: ``z6Mk…``."""
    return to_base58(ED25519_PUBLIC + key.public_bytes_raw())


def key_in(text: str) -> Ed25519PublicKey:
    """The Ed25519 key of a Multikey. Raises ValueError where it is none."""
    found = from_base58(text)
    if not found.startswith(ED25519_PUBLIC) or len(found) != len(ED25519_PUBLIC) + KEY_BYTES:
        raise ValueError("It is no public key of Ed25519.")
    return Ed25519PublicKey.from_public_bytes(found.removeprefix(ED25519_PUBLIC))
