"""Bodies that another platform signs: a JSON Web Token (RFC 7519) whose claims are the message.

Canvas sends its Live Events so, by keys that it publishes and rotates once a month. The signature says that Canvas sent
the body, and not for which of its schools: that is for the call's credential to say. No claim of time is asked, since
what is delivered once more counts once.
"""

import re

import jwt

from mastery_engine.auth.jwks import FAMILIES, KeySet
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import Unauthenticated

_FORM = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
UNREADABLE = "The signed body is not valid: it is not a JSON Web Token that can be read."


def signed_text(body: bytes) -> str | None:
    """The token that a body is, perhaps as a JSON text; None where it is none."""
    bare = body.strip().strip(b'"')
    return bare.decode() if _FORM.fullmatch(bare) else None


class SignedBodies:
    """Checks signed bodies by the keys of one platform."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    async def message(self, token: str, now: Micros) -> bytes:
        """What was signed, as it was written.

        Raises Unauthenticated, and Unavailable where its key is not known and cannot be read.
        """
        algorithm, key_id = _header(token)  # before any key is read: what no key could make valid waits for none
        await self._keys.refresh(now)
        key = self._keys.find(key_id, algorithm)
        if key is None:
            await self._keys.read_again(now)
            key = self._keys.find(key_id, algorithm)
        if key is None:
            raise Unauthenticated("The signed body is not valid: it is signed with an unknown key.")
        try:
            message: bytes = jwt.PyJWS().decode(token, key, [key.algorithm_name])
        except jwt.InvalidSignatureError:
            raise Unauthenticated("The signed body is not valid: its signature is wrong.") from None
        except jwt.InvalidTokenError:
            raise Unauthenticated(UNREADABLE) from None
        return message


def _header(token: str) -> tuple[str, str | None]:
    """The algorithm and the id of the key that a token names. Raises Unauthenticated."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise Unauthenticated(UNREADABLE) from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in FAMILIES:
        raise Unauthenticated(f"The signed body is not valid: its algorithm is none of {', '.join(FAMILIES)}.")
    return algorithm, key_id if isinstance(key_id, str) else None
