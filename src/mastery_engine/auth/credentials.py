"""Credentials of platforms: a key and a secret, by HTTP's Basic scheme (RFC 7617), or the secret alone as a bearer.

A secret has 256 random bits, so that a single SHA-256 keeps it: nobody can guess it, and no check has to be slow. It
names its key, by which it is found, and has a prefix of its own, by which scanners of published code find it.
"""

import binascii
import hmac
from base64 import b64decode
from hashlib import sha256
from typing import NamedTuple

from mastery_engine.auth.access import Caller
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import WrongCredential
from mastery_engine.ports.credentials import Credential

BEGINNING = "mes_"
LONGEST_SHOWN = 8_192
ASK = "This call needs a platform's credential: send its key and secret by Basic authentication"


class Shown(NamedTuple):
    """A key and a secret, as a call shows them."""

    key: str
    secret: str


class PlatformCaller(NamedTuple):
    """A platform that sends through a door: as which caller, and to which course where what it sends names none."""

    caller: Caller
    course_id: str | None


def make_secret(key: str, random: str) -> str:
    """The secret of a key. ``random`` has 256 random bits, as text of letters, digits, ``-`` and ``_``."""
    return f"{BEGINNING}{key}_{random}"


def hash_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return sha256(secret.encode()).digest()


def fits(credential: Credential | None, secret: str) -> bool:
    """Whether this is the credential's secret, in a time that tells nothing about it."""
    return hmac.compare_digest(b"" if credential is None else credential.hash, hash_of(secret))


def is_secret(token: str) -> bool:
    """Whether a bearer token is a platform's secret, and no JSON Web Token."""
    return token.startswith(BEGINNING)


def shown_in(authorization: str, *, may_be_bearer: bool) -> Shown:
    """The key and secret in the header Authorization. Raises WrongCredential where there are none."""
    scheme, _, given = authorization.strip().partition(" ")
    given = given.strip()
    if len(given) > LONGEST_SHOWN:
        raise WrongCredential(f"The header Authorization has more than {LONGEST_SHOWN:,} characters.")
    match scheme.lower():
        case "basic":
            return _basic(given)
        case "bearer" if may_be_bearer and is_secret(given):
            return Shown(given.removeprefix(BEGINNING).partition("_")[0], given)
    raise WrongCredential(f"{ASK}{', or its secret as a bearer token' if may_be_bearer else ''}.")


def _basic(given: str) -> Shown:
    try:
        key, colon, secret = b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        key, colon, secret = "", "", ""
    if not colon:
        raise WrongCredential("The Basic authentication is not KEY:SECRET in Base64 of UTF-8.")
    return Shown(key, secret)


def caller_of(credential: Credential, *, address: str, request_id: str, at: Micros) -> Caller:
    """The caller that a platform is: a service of its tenant, named by its key, since the key is no secret."""
    subject = f"credential:{credential.key}"
    return Caller(subject, "service", credential.tenant, address=address, request_id=request_id, at=at)
