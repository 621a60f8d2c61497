"""What the tests of badges share: a badge, a key that signs it, the documents of others, and a foreign verifier."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from openbadgeslib.ob3 import OB3LdpVerifier, OB3Verifier

from mastery_engine.domain.moments import DAY, SECOND
from mastery_engine.out.badges.badge import Badge, StatusPlace
from mastery_engine.out.badges.contexts import context
from mastery_engine.out.badges.credential import credential_of
from mastery_engine.out.badges.issuer import Issuer, document_address
from mastery_engine.out.badges.multibase import multikey
from mastery_engine.out.badges.proofs import signed
from mastery_engine.out.badges.status_list import NOTHING_REVOKED, status_list_credential
from mastery_engine.out.badges.tokens import token_of
from mastery_engine.out.badges.verify import KnownIssuers

FOREIGN = Path(__file__).parents[3] / "shared/data/foreign"
NEEDS_FOREIGN = pytest.mark.skipif(not FOREIGN.is_dir(), reason="the shared files are not beside this repository")
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
AWARDED = 1_768_386_600 * SECOND  # 2026-01-14T10:30:00Z
LATER = AWARDED + DAY
SCHOOL = Issuer("https://school.example")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = multikey(KEY.public_key())
METHOD = SCHOOL.method(PUBLIC)
BADGE = Badge(
    "default", "default.k3v9", "s_1", "py", "Python & Co", "proficient", 0.75, AWARDED, AWARDED, StatusPlace(0, 4711)
)
NAMED = Badge(
    "default",
    "default.k3v9",
    "s_1",
    "py",
    "Python & Co",
    "expert",
    0.9,
    AWARDED,
    AWARDED,
    StatusPlace(0, 5),
    "Ada Lovelace",
)


def examples(address: str) -> Mapping[str, Any]:
    """The contexts that the W3C's test vectors name beside ours."""
    if address == EXAMPLES:
        return {"@context": {"@vocab": "https://www.w3.org/ns/credentials/examples#"}}
    return context(address)


def signed_badge(badge: Badge = BADGE, **fields: Any) -> dict[str, Any]:
    return signed({**credential_of(badge, SCHOOL), **fields}, KEY, METHOD, AWARDED)


def badge_token(badge: Badge = BADGE, **fields: Any) -> str:
    return token_of({**credential_of(badge, SCHOOL), **fields}, KEY, METHOD)


def served_list(bits: bytes = NOTHING_REVOKED, *, as_token: bool = False) -> bytes:
    """The status list as its address answers."""
    found = status_list_credential(SCHOOL, 0, bits, AWARDED)
    if as_token:
        return token_of(found, KEY, METHOD).encode()
    return json.dumps(signed(found, KEY, METHOD, AWARDED)).encode()


def known(bits: bytes = NOTHING_REVOKED, *keys: str) -> KnownIssuers:
    """What whoever knows the school knows."""
    return KnownIssuers({SCHOOL.did: SCHOOL.document(keys or (PUBLIC,))}, {SCHOOL.status_list(0): served_list(bits)})


class ForeignVerifier:
    """openbadgeslib, which fetches what the school serves, and nothing else."""

    def __init__(self, served: Mapping[str, bytes], issuer: Issuer = SCHOOL) -> None:
        self._served = served
        self._issuer = issuer

    def download(self, address: str, *_: object, **__: object) -> bytes:
        return self._served[address]

    def check_document(self, document: str | bytes) -> None:
        """Raises what the library raises; the status is looked up, and the signature of its list with it."""
        verifier = OB3LdpVerifier.for_issuer_did(self._issuer.did, download=self.download)
        verifier.verify(document, check_status=True, verify_status_list=False, download=self.download)

    def check_token(self, token: str, *, lists_are_tokens: bool = True) -> None:
        verifier = OB3Verifier.for_issuer_did(self._issuer.did, download=self.download)
        verifier.verify(token, check_status=True, verify_status_list=lists_are_tokens, download=self.download)


def foreign(bits: bytes = NOTHING_REVOKED, *keys: str, as_token: bool = True) -> ForeignVerifier:
    """It, with the school's DID document and status list."""
    document = json.dumps(SCHOOL.document(keys or (PUBLIC,))).encode()
    return ForeignVerifier(
        {document_address(SCHOOL.did): document, SCHOOL.status_list(0): served_list(bits, as_token=as_token)}
    )


def public_pem(key: Ed25519PrivateKey = KEY) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
