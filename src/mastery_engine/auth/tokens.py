"""Bearer tokens: JSON Web Tokens (RFC 7519), made and checked.

They have ``sub``, ``role``, ``exp`` and optionally ``tenant``, ``students`` and ``cohorts``. They are signed by HS256
with the engine's own secret, or by RS256, ES256 or EdDSA with a key of an identity provider.
"""

from typing import Any

import jwt
import msgspec
from cachetools import FIFOCache

from mastery_engine.auth.access import ROLES, Caller
from mastery_engine.auth.jwks import FAMILIES, KeySet
from mastery_engine.clock import Clock
from mastery_engine.domain.events.event import DEFAULT_TENANT, is_tenant
from mastery_engine.domain.given_ids import FORMS, TENANT, check_student_id, normal_id
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import Forbidden, InvalidInput, StartRefused, Unauthenticated

ALGORITHM = "HS256"
SKEW_S = 60
REMEMBERED = 4_096
MOST_COHORTS = 100
LATEST_S = 253_402_300_799  # the end of the year 9999
UNREADABLE = "it is not a JSON Web Token that can be read"


class UnknownKey(Unauthenticated):
    """The token names a key that is not known; the keys may have changed since they were last read."""


class Tokens:
    """Makes and checks tokens. Verified tokens are cached until they expire."""

    def __init__(
        self,
        secret: str | None,
        clock: Clock,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        keys: KeySet | None = None,
    ) -> None:
        """HS256 tokens need a ``secret``, others need ``keys``. Raises StartRefused if the secret is a public key."""
        if secret is not None:
            _check_secret(secret)
        self._secret = secret
        self._keys = keys
        self._generation = 0
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._verified: FIFOCache[str, tuple[Micros, Caller]] = FIFOCache(REMEMBERED)

    def make(
        self,
        *,
        subject: str,
        role: str,
        tenant: str = DEFAULT_TENANT,
        students: list[str] | None = None,
        cohorts: list[str] | None = None,
        lives_s: int = 3_600,
    ) -> str:
        """A token that is valid for ``lives_s`` seconds. Raises InvalidInput if there is no secret to sign with."""
        if self._secret is None:
            raise InvalidInput(
                "Tokens come from your identity provider (JWT_JWKS_URL): set JWT_SECRET to make tokens here too."
            )
        now = self._clock() // SECOND
        claims: dict[str, Any] = {"sub": subject, "role": role, "tenant": tenant, "iat": now, "exp": now + lives_s}
        claims |= {"iss": self._issuer} if self._issuer else {}
        claims |= {"aud": self._audience} if self._audience else {}
        claims |= {"students": students} if students else {}
        claims |= {"cohorts": cohorts} if cohorts else {}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    async def authenticate(self, token: str, now: Micros | None = None) -> Caller:
        """As ``verify``, with the keys read again if that is due.

        Raises also Unavailable, if the token's key is not known and the keys cannot be read.
        """
        now = self._clock() if now is None else now
        cached = self._cached(token, now)
        if cached is not None:
            if self._keys is not None:
                self._keys.keep_fresh(now)  # the key may be withdrawn by now
            return cached
        if self._keys is None or self.is_own(token):
            return self.verify(token, now)
        await self._keys.refresh(now)
        try:
            return self.verify(token, now)
        except UnknownKey:
            await self._keys.read_again(now)
            return self.verify(token, now)

    def is_own(self, token: str) -> bool:
        """Whether the token claims to be signed with the engine's own secret, or cannot be read at all."""
        try:
            return _algorithm(_header(token)) not in FAMILIES
        except Unauthenticated:
            return True

    def verify(self, token: str, now: Micros | None = None) -> Caller:
        """The caller whom the token names, by the keys known now. Without ``now`` the clock is read.

        Raises Unauthenticated, and Forbidden for an unknown role.
        """
        now = self._clock() if now is None else now
        cached = self._cached(token, now)
        if cached is not None:
            return cached
        claims = self._claims(token, now)
        caller = _caller(claims)
        self._verified[token] = ((int(claims["exp"]) + SKEW_S) * SECOND, caller)
        return caller

    def _cached(self, token: str, now: Micros) -> Caller | None:
        """The caller of a token that was verified before, with the keys known now, and has not expired; else None."""
        if self._keys is not None and self._generation != self._keys.generation:
            self._verified.clear()  # a key may have been withdrawn
            self._generation = self._keys.generation
        known = self._verified.get(token)
        return known[1] if known is not None and known[0] > now else None

    def _claims(self, token: str, at: Micros) -> dict[str, Any]:
        key, algorithm = self._key(token)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                options={
                    "require": ["sub", "role", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(f"The token is not valid: {self._why(error)}.") from error
        now = at / SECOND
        expires, begins = _seconds(claims, "exp"), _seconds(claims, "nbf") if "nbf" in claims else 0
        if expires + SKEW_S <= now:
            raise Unauthenticated("The token has expired: get a new one.")
        if begins - SKEW_S > now:
            raise Unauthenticated("The token is not valid yet: its nbf lies in the future.")
        return claims

    def _key(self, token: str) -> tuple[Any, str]:
        """The key for a token, and the one algorithm that may be used with it, whatever the token itself says."""
        header = _header(token)
        algorithm, key_id = _algorithm(header), header.get("kid")
        if algorithm == ALGORITHM and self._secret is not None:
            return self._secret, ALGORITHM
        if algorithm not in FAMILIES or self._keys is None:
            raise Unauthenticated(f"The token is not valid: {_why_not(algorithm)}.")
        key = self._keys.find(key_id, algorithm)
        if key is None:
            raise UnknownKey("The token is not valid: it is signed with an unknown key.")
        return key, algorithm

    def _why(self, error: jwt.InvalidTokenError) -> str:
        """What is wrong with a token, without the library's words."""
        match error:
            case jwt.MissingRequiredClaimError(claim="aud"):
                return "it has no aud, which JWT_AUDIENCE asks for"
            case jwt.MissingRequiredClaimError(claim="iss"):
                return "it has no iss, which JWT_ISSUER asks for"
            case jwt.MissingRequiredClaimError():
                return f"it has no {error.claim}"
            case jwt.InvalidSignatureError():
                return "its signature is wrong"
            case jwt.InvalidAudienceError() if self._audience is None:
                return "it has an aud, but JWT_AUDIENCE is not set: the operator must set it to the aud of this service"
            case jwt.InvalidAudienceError():
                return "its aud is not that of JWT_AUDIENCE"
            case jwt.InvalidIssuerError():
                return "its iss is not that of JWT_ISSUER"
            case _:
                return UNREADABLE


def _check_secret(secret: str) -> None:
    """Raises StartRefused for a public key, which is no secret: whoever knows it could make tokens."""
    try:
        jwt.get_algorithm_by_name(ALGORITHM).prepare_key(secret)
    except jwt.InvalidKeyError:
        raise StartRefused(
            "JWT_SECRET is a key in PEM or SSH format: set it to random bytes, and JWT_JWKS_URL to where an identity "
            "provider publishes its keys."
        ) from None


def _header(token: str) -> dict[str, Any]:
    """What a token says of itself. Raises Unauthenticated."""
    try:
        return jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, UnicodeEncodeError) as error:
        raise Unauthenticated(f"The token is not valid: {UNREADABLE}.") from error


def _why_not(algorithm: str) -> str:
    """Why no token with this algorithm is accepted."""
    if algorithm == ALGORITHM:
        return f"{ALGORITHM} needs JWT_SECRET, which is not set; tokens come from the identity provider of JWT_JWKS_URL"
    if algorithm in FAMILIES:
        return f"{algorithm} needs the keys of an identity provider, but JWT_JWKS_URL is not set"
    return f"its algorithm is none of {', '.join((ALGORITHM, *FAMILIES))}"


def _seconds(claims: dict[str, Any], name: str) -> float:
    """A moment in seconds since 1970. Raises Unauthenticated for any other value, as milliseconds would be."""
    moment = claims[name]
    if type(moment) not in (int, float) or not 0 <= moment <= LATEST_S:
        raise Unauthenticated(f"The token's {name} must be a number of seconds since 1970.")
    return float(moment)


def _algorithm(header: dict[str, Any]) -> str:
    named = header.get("alg")
    return named if isinstance(named, str) else ""


def _caller(claims: dict[str, Any]) -> Caller:
    subject, role, tenant = claims["sub"], claims["role"], claims.get("tenant", DEFAULT_TENANT)
    if not isinstance(subject, str) or not 1 <= len(subject) <= 200 or not subject.isprintable():
        raise Unauthenticated("The token's sub must be a text of 1 to 200 printable characters.")
    if not isinstance(tenant, str) or not is_tenant(tenant):
        raise Unauthenticated(f"The token's tenant {FORMS[TENANT]}.")
    if role not in ROLES:
        raise Forbidden(f"The token's role must be one of {', '.join(ROLES)}.")
    try:
        students = msgspec.convert(claims.get("students") or [], frozenset[str])
        cohorts = msgspec.convert(claims.get("cohorts") or [], frozenset[str])
        "".join((*students, *cohorts)).encode()  # half a character can be in JSON, but in no store
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise Unauthenticated("The token's students and cohorts must be lists of ids.") from error
    if len(cohorts) > MOST_COHORTS:
        raise Unauthenticated(f"The token may name at most {MOST_COHORTS} cohorts.")
    try:
        for student_id in students:
            check_student_id(student_id)
        cohorts = frozenset([normal_id(cohort_id, "cohort_id") for cohort_id in cohorts])
    except InvalidInput as error:
        raise Unauthenticated(f"The token's students and cohorts must be ids: {error.message}") from error
    return Caller(subject, role, tenant, students, cohorts=cohorts)
