"""The W3C's test vectors for Ed25519 proofs reproduce with every value on the way."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mastery_engine.out.badges.multibase import from_base58, key_in, multikey, to_base58
from mastery_engine.out.badges.proofs import ProofBroken, check_proofs, hashed
from tests.support.badges import FOREIGN, NEEDS_FOREIGN, examples

VECTORS = FOREIGN / "vc-di-eddsa"
CITIZENSHIP = "https://w3id.org/citizenship/v4rc1"
SCHEMA, TYPED = "https://schema.org/", "http://www.w3.org/2001/XMLSchema#dateTime"
# The words of that context that the vector uses, by what its canonical document says of them.
CITIZENS: Mapping[str, Any] = {
    "Person": f"{SCHEMA}Person",
    "EmployablePerson": "https://w3id.org/citizenship#EmployablePerson",
    "EmploymentAuthorizationDocument": "https://w3id.org/citizenship#EmploymentAuthorizationDocument",
    "EmploymentAuthorizationDocumentCredential": (
        "https://w3id.org/citizenship#EmploymentAuthorizationDocumentCredential"
    ),
    "employmentAuthorizationDocument": "https://w3id.org/citizenship#employmentAuthorizationDocument",
    "lprCategory": "https://w3id.org/citizenship#lprCategory",
    "lprNumber": "https://w3id.org/citizenship#lprNumber",
    "birthCountry": "https://w3id.org/citizenship#birthCountry",
    "residentSince": {"@id": "https://w3id.org/citizenship#residentSince", "@type": TYPED},
    "birthDate": {"@id": f"{SCHEMA}birthDate", "@type": TYPED},
    "image": {"@id": f"{SCHEMA}image", "@type": "@id"},
    **{name: f"{SCHEMA}{name}" for name in ("givenName", "additionalName", "familyName", "gender", "identifier")},
}
SUITES = [
    ("eddsa-rdfc-2022", "DataInt"),
    ("eddsa-rdfc-2022/employ", "DataInt"),
    ("eddsa-jcs-2022", "JCS"),
    ("Ed25519Signature2020", "EdSig"),
]
pytestmark = NEEDS_FOREIGN


def _named(address: str) -> Mapping[str, Any]:
    return {"@context": CITIZENS} if address == CITIZENSHIP else examples(address)


def _own_key(method: str) -> Any:
    return key_in(method.partition("#")[2])


@pytest.mark.parametrize(("folder", "ending"), SUITES)
def test_each_value_on_the_way_to_a_signature(folder: str, ending: str) -> None:
    def value(name: str) -> str:
        return (VECTORS / folder / f"{name}{ending}.txt").read_text()

    pair = json.loads((VECTORS / "keyPair.json").read_text())
    key = Ed25519PrivateKey.from_private_bytes(from_base58(pair["privateKeyMultibase"])[2:])
    secured = json.loads((VECTORS / folder / f"signed{ending}.json").read_text())
    options = {name: part for name, part in secured["proof"].items() if name != "proofValue"}

    found = hashed(secured, options, _named)
    assert multikey(key.public_key()) == pair["publicKeyMultibase"]
    assert found.document.decode() == value("canonDoc")
    assert found.proof.decode() == value("proofCanon")
    assert sha256(found.document).hexdigest() == value("docHash").strip()
    assert sha256(found.proof).hexdigest() == value("proofHash").strip()
    assert found.digest.hex() == value("combinedHash").strip()
    signature = key.sign(found.digest)
    assert signature.hex() == value("sigHex").strip()
    assert to_base58(signature) == value("sigBTC58").strip() == secured["proof"]["proofValue"]
    assert check_proofs(secured, _own_key, _named) == [options["verificationMethod"]]


@pytest.mark.parametrize("number", [1, 2])
def test_a_set_of_proofs_is_checked_one_by_one(number: int) -> None:
    secured = json.loads((VECTORS / f"proof-set-chain/signedProofSet{number}.json").read_text())
    assert len(check_proofs(secured, _own_key, _named)) == number
    first, *others = secured["proof"] if isinstance(secured["proof"], list) else [secured["proof"]]
    broken = {**secured, "proof": [{**first, "created": "2023-02-24T23:36:39Z"}, *others]}
    with pytest.raises(ProofBroken):
        check_proofs(broken, _own_key, _named)


def test_a_chain_of_proofs_is_refused_by_name() -> None:
    secured = json.loads((VECTORS / "proof-set-chain/signedProofChain1.json").read_text())
    with pytest.raises(ProofBroken, match="chain"):
        check_proofs(secured, _own_key, _named)
