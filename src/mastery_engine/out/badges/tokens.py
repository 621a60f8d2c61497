"""A credential as a VC-JWT: the credential itself as the claims of a signed token (Open Badges 3.0, 8.2).

A token has one form: another writing of the same bytes in base64url is refused, so that no changed byte passes.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mastery_engine.domain.moments import SECOND
from mastery_engine.out.badges.proofs import ProofBroken
from mastery_engine.out.badges.shape import moment_in

MEDIA_TYPE = "application/vc+jwt"
ALGORITHMS = ("EdDSA", "RS256", "ES256")  # we sign by the first; Open Badges asks of verifiers to know the others
LONGEST = 256 * 1024
TokenKey: TypeAlias = Any
FindTokenKey: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[TokenKey, str]]


class ReadToken(msgspec.Struct, frozen=True):
    """A token whose signature fits: its claims, the credential among them, and the address of the key."""

    claims: dict[str, Any]
    credential: dict[str, Any]
    method: str


def token_of(credential: Mapping[str, Any], key: Ed25519PrivateKey, method: str) -> str:
    """The credential, without a proof of its own, as a token that counts when it does."""
    issuer, first, last = credential["issuer"], credential["validFrom"], credential.get("validUntil")
    claims = {
        **credential,
        "iss": issuer if isinstance(issuer, str) else issuer["id"],
        "jti": credential["id"],
        "sub": credential["credentialSubject"]["id"],
        "nbf": (moment_in(first) or 0) // SECOND,
    }
    if last is not None:
        claims["exp"] = (moment_in(last) or 0) // SECOND
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"typ": "vc+jwt", "kid": method})


def read_token(token: str, find_key: FindTokenKey) -> ReadToken:
    """Check a token's signature, and what its claims say twice; ``find_key`` gives the key by header and claims.

    Raises ProofBroken and what ``find_key`` raises. When it counts is not looked at here.
    """
    header, claims = _opened(token)
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or "crit" in header:
        raise ProofBroken(f"The token must be signed by one of {', '.join(ALGORITHMS)}, and is not.")
    key, method = find_key(header, claims)
    try:
        if (algorithm == "EdDSA") != isinstance(key, Ed25519PublicKey):
            raise ProofBroken("The token is signed by an algorithm that is not its key's.")
        jwt.decode(token, key, algorithms=[algorithm], options=_SIGNATURE_ALONE)
    except jwt.PyJWTError as error:
        raise ProofBroken("The token's signature does not fit: it was changed, or another key signed it.") from error
    wrapped = claims.get("vc")
    credential = wrapped if isinstance(wrapped, dict) else claims
    _check_said_twice(claims, credential)
    return ReadToken(claims, credential, method)


_SIGNATURE_ALONE: Any = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def _opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, unchecked. Raises ProofBroken where it is none, or written in another way."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > LONGEST or not token.isascii():
        raise ProofBroken("It is no token of three parts.")
    try:
        opened = [urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts]
        header, claims = (msgspec.json.decode(part, type=dict[str, Any]) for part in opened[:2])
    except (NotBase64, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise ProofBroken("The token is not written as RFC 7515 says.") from error
    if any(urlsafe_b64encode(plain).decode().rstrip("=") != part for plain, part in zip(opened, parts, strict=True)):
        raise ProofBroken("The token is not written in the one way that RFC 7515 allows.")
    return header, claims


def _check_said_twice(claims: Mapping[str, Any], credential: Mapping[str, Any]) -> None:
    """Raises ProofBroken where a claim of the token says other than the credential."""
    issuer, subject = credential.get("issuer"), credential.get("credentialSubject")
    said = {
        "iss": issuer.get("id") if isinstance(issuer, dict) else issuer,
        "jti": credential.get("id"),
        "sub": subject.get("id") if isinstance(subject, dict) else None,
    }
    for name, value in said.items():
        if name in claims and claims[name] != value:
            raise ProofBroken(f"The token's {name} is other than what its credential says.")
    if "iss" not in claims:
        raise ProofBroken("The token has no iss, which says who issued it.")
