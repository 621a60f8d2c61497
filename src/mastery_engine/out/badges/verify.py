"""Verifying a badge, wherever it comes from: its shape, its signature, when it counts, and its status.

Nothing is fetched. The keys of an issuer are those of its DID document, where it is known. Of an issuer without
did:web, a key that names itself (did:key, an address that ends in the key, a token's ``jwk``) shows that nothing was
changed, but not whose it is: ``is_issuer_known`` tells the two apart. A status that cannot be looked up leaves a badge
unverified.
"""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mastery_engine.domain.moments import MINUTE, Micros
from mastery_engine.errors import InvalidInput
from mastery_engine.out.badges.baking import is_picture, taken_out
from mastery_engine.out.badges.canonical import ContextNamed
from mastery_engine.out.badges.contexts import context
from mastery_engine.out.badges.issuer import document_address
from mastery_engine.out.badges.multibase import key_in
from mastery_engine.out.badges.proofs import ProofBroken, check_proofs
from mastery_engine.out.badges.shape import dates_of, faults_of, moment_in
from mastery_engine.out.badges.status_list import decoded, is_set
from mastery_engine.out.badges.tokens import TokenKey, read_token

CheckName: TypeAlias = Literal["shape", "signature", "dates", "status"]
SKEW: Micros = 5 * MINUTE
LARGEST = 256 * 1024  # bytes of a credential
KEY_TYPES = ("Multikey", "Ed25519VerificationKey2020", "JsonWebKey", "JsonWebKey2020")
LIST_TYPE, ENTRY_TYPE = "BitstringStatusListCredential", "BitstringStatusListEntry"
MOST_STATUSES = 10


class KnownIssuers(msgspec.Struct, frozen=True):
    """What a verifier knows: DID documents by their DID, and status lists, as they were served, by their address."""

    documents: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    lists: Mapping[str, bytes] = MappingProxyType({})
    named: ContextNamed = context


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at; ``message`` says what is wrong, if anything is."""

    name: CheckName
    passed: bool
    message: str


class Verdict(msgspec.Struct, frozen=True):
    """What is to be thought of a badge. ``keys`` are the addresses of those that signed it."""

    verified: bool
    is_issuer_known: bool
    checks: list[Check]
    issuer: str | None = None
    keys: list[str] = []
    credential: dict[str, Any] = {}


class Opened(msgspec.Struct, frozen=True):
    """A credential whose signature fits, with the claims of its token if it came as one."""

    credential: dict[str, Any]
    keys: list[str]
    claims: Mapping[str, Any] = MappingProxyType({})


def verify(document: bytes, now: Micros, known: KnownIssuers) -> Verdict:
    """Look at a badge: a JSON document, a token, or a picture with one of them. It raises nothing."""
    try:
        text = _text_of(document)
        credential = _unsigned(text)
    except InvalidInput as error:
        return Verdict(False, False, [Check("shape", False, error.message)])
    issuer = issuer_of(credential)
    checks = [_checked("shape", _check_shape, credential)]
    keys: list[str] = []
    claims: Mapping[str, Any] = {}
    try:
        opened = open_credential(text, known)
        keys, claims = opened.keys, opened.claims
        checks.append(Check("signature", True, "The signature fits."))
    except InvalidInput as error:
        checks.append(Check("signature", False, error.message))
    checks += [
        _checked("dates", _check_dates, credential, claims, now),
        _checked("status", _check_status, credential, issuer, now, known),
    ]
    is_known = issuer in known.documents
    return Verdict(all(one.passed for one in checks), is_known, checks, issuer, keys, credential)


def open_credential(text: str, known: KnownIssuers) -> Opened:
    """The credential of a signed document or token. Raises InvalidInput where the signature does not fit."""
    if not text.startswith("{"):
        read = read_token(text, lambda header, claims: _key_of_token(header, claims, known))
        return Opened(read.credential, [read.method], read.claims)
    credential = _json(text)
    issuer = issuer_of(credential)
    keys = check_proofs(credential, lambda method: _key_at(method, issuer, known), known.named)
    return Opened(credential, keys)


def status_lists_of(document: bytes) -> list[str]:
    """The addresses of the status lists that a badge names, whoever signed it; none where it is no badge."""
    try:
        given = _unsigned(_text_of(document)).get("credentialStatus")
    except InvalidInput:
        return []
    entries = given if isinstance(given, list) else [given]
    found = [one.get("statusListCredential") for one in entries[:MOST_STATUSES] if isinstance(one, dict)]
    return [one for one in found if isinstance(one, str)]


def issuer_of(credential: Mapping[str, Any]) -> str | None:
    issuer = credential.get("issuer")
    found = issuer.get("id") if isinstance(issuer, dict) else issuer
    return found if isinstance(found, str) else None


def _text_of(document: bytes) -> str:
    if is_picture(document):
        return taken_out(document)
    if len(document) > LARGEST:
        raise InvalidInput(f"It has more than {LARGEST:,} bytes.")
    try:
        return document.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InvalidInput("It is neither a text in UTF-8 nor a picture of the kinds PNG and SVG.") from error


def _unsigned(text: str) -> dict[str, Any]:
    """The credential in a document or token, whoever signed it."""
    if text.startswith("{"):
        return _json(text)
    try:
        claims = jwt.decode(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise InvalidInput("It is neither a JSON document nor a signed token.") from error
    wrapped = claims.get("vc")
    return wrapped if isinstance(wrapped, dict) else dict(claims)


def _json(text: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise InvalidInput("It gives a field twice, so that readers may differ about it.")
        return found

    def none(_: str) -> None:
        raise InvalidInput("It has a number that is none.")

    try:
        credential = json.loads(text, object_pairs_hook=once, parse_constant=none)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("It is no JSON.") from error
    if not isinstance(credential, dict):
        raise InvalidInput("It is no JSON object.")
    return credential


def _checked(name: CheckName, check: Callable[..., str], *given: Any) -> Check:
    try:
        return Check(name, True, check(*given))
    except InvalidInput as error:
        return Check(name, False, error.message)


def _check_shape(credential: Mapping[str, Any]) -> str:
    faults = faults_of(credential)
    if faults:
        raise InvalidInput(" ".join(faults[:5]))
    return "It is a badge of Open Badges 3.0."


def _check_dates(credential: Mapping[str, Any], claims: Mapping[str, Any], now: Micros) -> str:
    """It counts at this moment, by all that it says of that."""
    first, last = dates_of(credential)
    proofs = credential.get("proof")
    ends = [one.get("expires") for one in (proofs if isinstance(proofs, list) else [proofs]) if isinstance(one, dict)]
    starts = [_moment(credential.get(first)), _seconds(claims.get("nbf"))]
    if any(start is not None and start > now + SKEW for start in starts):
        raise InvalidInput(f"It does not count yet: {first} is later than now.")
    until = [_moment(credential.get(last)), _seconds(claims.get("exp")), *map(_moment, ends)]
    if any(end is not None and end < now - SKEW for end in until):
        raise InvalidInput("It has expired.")
    return "It counts now."


def _moment(value: object) -> Micros | None:
    if value is None:
        return None
    found = moment_in(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidInput("It has a date that cannot be read.")
    return found


def _seconds(value: object) -> Micros | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise InvalidInput("It has a date that cannot be read.")
    return int(value * 1_000_000)


def _check_status(credential: Mapping[str, Any], issuer: str | None, now: Micros, known: KnownIssuers) -> str:
    given = credential.get("credentialStatus")
    entries = given if isinstance(given, list) else [] if given is None else [given]
    if len(entries) > MOST_STATUSES or not all(isinstance(one, dict) for one in entries):
        raise InvalidInput(f"credentialStatus must be an object, or a list of at most {MOST_STATUSES}.")
    for entry in entries:
        _check_entry(entry, issuer, now, known)
    return "It was not revoked." if entries else "It has no status: its issuer cannot revoke it."


def _check_entry(entry: Mapping[str, Any], issuer: str | None, now: Micros, known: KnownIssuers) -> None:
    if entry.get("type") != ENTRY_TYPE:
        raise InvalidInput(f"Its status is of a kind that is not known here: {str(entry.get('type'))[:100]!r}.")
    address, purpose = entry.get("statusListCredential"), entry.get("statusPurpose")
    served = known.lists.get(address) if isinstance(address, str) else None
    if served is None:
        raise InvalidInput(f"Its status is not known: nothing is fetched, and the list at {address} was not given.")
    opened = open_credential(_text_of(served), known)
    subject = opened.credential.get("credentialSubject")
    types = opened.credential.get("type")
    if not isinstance(subject, dict) or LIST_TYPE not in (types if isinstance(types, list) else [types]):
        raise InvalidInput("Its status list is none.")
    if issuer_of(opened.credential) != issuer:
        raise InvalidInput("Its status list is of another issuer.")
    _check_dates(opened.credential, opened.claims, now)
    if purpose != subject.get("statusPurpose"):
        raise InvalidInput("Its status list is for another purpose.")
    place = str(entry.get("statusListIndex"))
    if not place.isascii() or not place.isdigit() or len(place) > 9:
        raise InvalidInput("statusListIndex must be a number.")
    if is_set(decoded(str(subject.get("encodedList"))), int(place)):
        raise InvalidInput("It was revoked." if purpose == "revocation" else f"Its status is set: {purpose}.")


def _key_at(method: str, issuer: str | None, known: KnownIssuers) -> Ed25519PublicKey:
    """The key at an address, which must be the issuer's."""
    owner, _, name = method.partition("#")
    if owner != issuer:
        raise ProofBroken("It is signed by a key that is not its issuer's.")
    document = known.documents.get(owner)
    try:
        if document is not None:
            found = _key_in(document, method)
        elif owner.startswith("did:key:") and name in ("", owner.removeprefix("did:key:")):
            found = key_in(owner.removeprefix("did:key:"))
        elif owner.startswith("did:web:"):
            raise ProofBroken(
                f"Its key is in the DID document at {document_address(owner)[:200]}, which was not given."
            )
        elif owner.startswith("did:"):
            raise ProofBroken(f"Its key is at an address of a kind that is not known here: {owner[:100]!r}.")
        else:
            found = key_in(name)
    except ValueError as error:
        raise ProofBroken(f"Its key cannot be had of {method[:200]!r}: nothing is fetched.") from error
    if not isinstance(found, Ed25519PublicKey):
        raise ProofBroken("Its key is none of Ed25519.")
    return found


def _key_in(document: Mapping[str, Any], method: str) -> TokenKey:
    """The key of this address in a DID document, which must be one for asserting. Raises ProofBroken, ValueError."""
    if method not in document.get("assertionMethod", ()):
        raise ProofBroken("Its issuer has no such key.")
    for one in document.get("verificationMethod", ()):
        if one.get("id") == method and one.get("type") in KEY_TYPES:
            if "publicKeyMultibase" in one:
                return key_in(str(one["publicKeyMultibase"]))
            return _jwk(one.get("publicKeyJwk"))
    raise ProofBroken("Its issuer has no such key.")


def _key_of_token(header: Mapping[str, Any], claims: Mapping[str, Any], known: KnownIssuers) -> tuple[TokenKey, str]:
    """The key of a token, and its address: the issuer's where it is known, else one that the token itself names."""
    issuer, method, own = claims.get("iss"), header.get("kid"), header.get("jwk")
    if isinstance(issuer, str) and issuer in known.documents:
        if not isinstance(method, str):
            raise ProofBroken("The token does not name its issuer's key (kid).")
        return _key_in(known.documents[issuer], method), method
    if isinstance(method, str) and "#" in method and own is None:
        return _key_at(method, issuer, known), method
    if own is None or str(issuer).startswith("did:web:"):
        raise ProofBroken("The token names no key that can be had without fetching it.")
    return _jwk(own), str(method or "jwk")


def _jwk(given: Any) -> TokenKey:
    """A public key that is written as a JSON Web Key. Raises ProofBroken."""
    try:
        if not isinstance(given, dict) or "d" in given or given.get("kty") not in ("RSA", "EC", "OKP"):
            raise ProofBroken("Its key must be a public one, of RSA, P-256 or Ed25519.")
        return jwt.PyJWK(given, algorithm=_ALGORITHM[given["kty"]]).key
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise ProofBroken("Its key cannot be read.") from error


_ALGORITHM = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
