"""Data Integrity proofs of Ed25519 (W3C vc-di-eddsa): what is hashed, the signature, and checking it.

We sign by ``eddsa-rdfc-2022``. Checked are ``eddsa-jcs-2022`` too, which hashes the JSON (RFC 8785) and not its
statements, and ``Ed25519Signature2020``, which badges of the year before have.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeAlias

import msgspec
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.errors import InvalidInput
from mastery_engine.out.badges.canonical import CONTEXT, ContextNamed, Document, canonical
from mastery_engine.out.badges.contexts import context
from mastery_engine.out.badges.multibase import from_base58, to_base58

SUITE = "eddsa-rdfc-2022"
JCS_SUITE = "eddsa-jcs-2022"
OLD_TYPE = "Ed25519Signature2020"
MOST_PROOFS = 5
FindKey: TypeAlias = Callable[[str], Ed25519PublicKey]


class ProofBroken(InvalidInput):
    """A proof is missing, is none that we know, or does not fit the document."""


class Hashed(msgspec.Struct, frozen=True):
    """What is signed of a document: both canonical texts, and the hash of the proof's with that of the document's."""

    proof: bytes
    document: bytes

    @property
    def digest(self) -> bytes:
        return sha256(self.proof).digest() + sha256(self.document).digest()


def hashed(document: Document, options: Mapping[str, Any], named: ContextNamed = context) -> Hashed:
    """What a proof with these options, without its value, signs of a document without its proofs.

    Raises ProofBroken for a kind of proof that we do not know, NotCanonical and UnknownContext.
    """
    unsecured = {name: value for name, value in document.items() if name != "proof"}
    kind, suite = options.get("type"), options.get("cryptosuite")
    if (kind, suite) == ("DataIntegrityProof", JCS_SUITE):
        try:
            return Hashed(rfc8785.dumps(dict(options)), rfc8785.dumps(unsecured))
        except (rfc8785.CanonicalizationError, RecursionError) as error:
            raise ProofBroken("The document is no JSON that RFC 8785 can write.") from error
    if (kind, suite) != ("DataIntegrityProof", SUITE) and kind != OLD_TYPE:
        raise ProofBroken(f"Its proof is of a kind that is not known here: {str(suite or kind)[:100]!r}.")
    configuration = {**options, CONTEXT: document.get(CONTEXT)}
    return Hashed(canonical(configuration, named).encode(), canonical(unsecured, named).encode())


def signed(document: Document, key: Ed25519PrivateKey, method: str, created: Micros) -> dict[str, Any]:
    """The document with a proof; ``method`` is the address of the key. Raises NotCanonical and UnknownContext."""
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": SUITE,
        "created": rfc3339(created),
        "verificationMethod": method,
        "proofPurpose": "assertionMethod",
    }
    signature = key.sign(hashed(document, options).digest)
    return {**document, "proof": {**options, "proofValue": to_base58(signature)}}


def check_proofs(document: Document, find_key: FindKey, named: ContextNamed = context) -> list[str]:
    """Check all proofs of a document, each of the whole; the addresses of their keys.

    ``find_key`` gives the key at an address. Raises ProofBroken, and what it and ``hashed`` raise.
    """
    given = document.get("proof")
    proofs = given if isinstance(given, list) else [given]
    if given is None or not proofs:
        raise ProofBroken("It has no proof: nobody has signed it.")
    objects = [one for one in proofs if isinstance(one, dict)]
    if len(proofs) > MOST_PROOFS or len(objects) < len(proofs):
        raise ProofBroken(f"Its proof must be an object, or a list of at most {MOST_PROOFS}.")
    return [_check(document, proof, find_key, named) for proof in objects]


def _check(document: Document, proof: Mapping[str, Any], find_key: FindKey, named: ContextNamed) -> str:
    if "previousProof" in proof:
        raise ProofBroken("Its proofs are a chain, which is not known here.")
    if proof.get("proofPurpose") != "assertionMethod":
        raise ProofBroken("Its proof is not for asserting: proofPurpose must be assertionMethod.")
    method, value = proof.get("verificationMethod"), proof.get("proofValue")
    if not isinstance(method, str) or not isinstance(value, str):
        raise ProofBroken("Its proof must name its key (verificationMethod) and have a signature (proofValue).")
    options = {name: part for name, part in proof.items() if name != "proofValue"}
    digest = hashed(document, options, named).digest
    key = find_key(method)
    try:
        key.verify(from_base58(value), digest)
    except (InvalidSignature, ValueError) as error:
        raise ProofBroken("Its signature does not fit: it was changed, or another key has signed it.") from error
    return method
