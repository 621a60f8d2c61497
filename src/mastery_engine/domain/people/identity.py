"""A person as another platform knows them, and the id that such a person has here where nobody linked them."""

import hmac
from base64 import b32encode
from functools import lru_cache

import msgspec

from mastery_engine.domain.given_ids import LONGEST_ID, MOST_KNOWN, normal_id

DERIVED = "x-"
DERIVED_BYTES = 16

_encode = msgspec.json.Encoder().encode


class Identity(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """A person's ``id`` in a ``system``: an issuer and its ``sub``, a mailbox, a ``sourcedId`` of a roster.

    Both are any text of up to 300 characters, NFC-normalised and trimmed.
    """

    system: str
    id: str


@lru_cache(MOST_KNOWN)  # the same people come again and again; an error is not remembered
def identity(system: str, id_there: str, field: str = "external") -> Identity:
    """An identity in its one spelling. Raises InvalidInput, which names the field and not the text."""
    return Identity(normal_id(system, f"{field}.system", LONGEST_ID), normal_id(id_there, f"{field}.id", LONGEST_ID))


def external_student_id(key: bytes, tenant: str, person: Identity) -> str:
    """The student_id of a person whom no profile names: the same at every door and replica, without a look-up.

    It is ``x-`` and the lower-case base32 (RFC 4648), without padding, of the first 16 bytes of HMAC-SHA-256 under
    ``key`` (PSEUDONYM_KEY) of the compact JSON ``[tenant, system, id]``: 28 characters.
    """
    digest = hmac.digest(key, _encode([tenant, person.system, person.id]), "sha256")
    return DERIVED + b32encode(digest[:DERIVED_BYTES]).decode().rstrip("=").lower()
