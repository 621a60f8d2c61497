"""The signed messages of learning platforms: JSON Web Tokens (RFC 7519) by a platform's own published keys.

Only the signature is checked here, by a key of the platform and the one algorithm that this key is for, whatever the
token says: ``none`` and an HMAC under a public key are no signatures. What the claims mean is for ``lti.claims``.
"""

import json
from typing import Any

import jwt

from mastery_engine.auth.jwks import FAMILIES, KeySet
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import LaunchRefused, Unavailable

LONGEST_TOKEN = 64 * 1024
UNREADABLE = "The launch is not signed: its id_token is not a JSON Web Token that can be read."


async def signed_claims(token: str, keys: KeySet, now: Micros) -> dict[str, Any]:
    """The claims that a platform signed.

    Raises LaunchRefused, and Unavailable where the token's key is not known and the platform's keys cannot be read.
    """
    algorithm, key_id = _header(token)  # before any key is read: what no key could make valid waits for none
    try:
        await keys.refresh(now)
        key = keys.find(key_id, algorithm)
        if key is None:
            await keys.read_again(now)
            key = keys.find(key_id, algorithm)
    except Unavailable:
        raise Unavailable(
            "The launch cannot be checked: the keys of your learning platform cannot be read at the moment. Try again "
            "in a minute."
        ) from None
    if key is None:
        raise LaunchRefused("signature", "The launch is signed with a key that the platform has not published.")
    try:
        claims = json.loads(jwt.PyJWS().decode(token, key, [key.algorithm_name]))
    except jwt.InvalidSignatureError:
        raise LaunchRefused(
            "signature", "The launch's signature is wrong: it was changed, or others made it."
        ) from None
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise LaunchRefused("signature", UNREADABLE) from None
    if not isinstance(claims, dict):
        raise LaunchRefused("signature", UNREADABLE)
    return claims


def claimed_issuer(token: str) -> str:
    """Which platform a token says it is of, by whoever made it; empty where it says none."""
    if len(token) > LONGEST_TOKEN:
        return ""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return ""
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else ""


def _header(token: str) -> tuple[str, str | None]:
    """The algorithm and the id of the key that a token names. Raises LaunchRefused."""
    if len(token) > LONGEST_TOKEN:
        raise LaunchRefused(
            "signature", f"The launch is too long: its id_token has more than {LONGEST_TOKEN:,} characters."
        )
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise LaunchRefused("signature", UNREADABLE) from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in FAMILIES:
        raise LaunchRefused(
            "algorithm", f"The launch is not signed as it must be: its algorithm is none of {', '.join(FAMILIES)}."
        )
    return algorithm, key_id if isinstance(key_id, str) else None
