"""Bearer tokens: JSON Web Tokens (RFC 7519) with ``sub``, ``role``, ``exp`` and, at will, ``tenant``, ``students``,
``cohorts``. HS256 with the engine's own secret, or RS256, ES256 and EdDSA with the keys of an identity provider.
"""

import re
from collections import OrderedDict
from math import isfinite
from typing import Any

import jwt
import msgspec

from mastery_engine.auth.access import ROLES, Caller
from mastery_engine.auth.jwks import FAMILIES, KeySet
from mastery_engine.domain.events.event import DEFAULT_TENANT, TENANT
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import Forbidden, InvalidInput, Unauthenticated
from mastery_engine.ports.clock import Clock

ALGORITHM = "HS256"
SKEW_S = 60
REMEMBERED = 4_096
MOST_COHORTS = 100


class UnknownKey(Unauthenticated):
    """The token names a key that is not known; the keys may have been changed since they were read."""


class Tokens:
    """Makes and checks tokens. Those that were verified are remembered until they expire."""

    def __init__(
        self,
        secret: str | None,
        clock: Clock,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        keys: KeySet | None = None,
    ) -> None:
        """Without a ``secret`` there are no HS256 tokens, without ``keys`` no others."""
        self._secret = secret
        self._keys = keys
        self._generation = 0
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._verified: OrderedDict[str, tuple[Micros, Caller]] = OrderedDict()

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
        """A token that is good for ``lives_s`` seconds from now. Raises InvalidInput where none can be made here."""
        if self._secret is None:
            raise InvalidInput(
                "Tokens come from your identity provider (JWT_JWKS_URL): set JWT_SECRET to make some here."
            )
        now = self._clock() // SECOND
        claims: dict[str, Any] = {"sub": subject, "role": role, "tenant": tenant, "iat": now, "exp": now + lives_s}
        claims |= {"iss": self._issuer} if self._issuer else {}
        claims |= {"aud": self._audience} if self._audience else {}
        claims |= {"students": students} if students else {}
        claims |= {"cohorts": cohorts} if cohorts else {}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    async def admit(self, token: str) -> Caller:
        """``verify``, with the keys read again where that is due. Raises Unavailable where there are none yet."""
        if self._keys is None or self.is_own(token):
            return self.verify(token)
        if self._keys.is_stale:
            await self._keys.refresh()
        try:
            return self.verify(token)
        except UnknownKey:
            await self._keys.refresh()
            return self.verify(token)

    def is_own(self, token: str) -> bool:
        """Whether the token says that it is signed with the engine's own secret, or cannot be read at all."""
        try:
            return _algorithm(jwt.get_unverified_header(token)) not in FAMILIES
        except jwt.InvalidTokenError:
            return True

    def verify(self, token: str) -> Caller:
        """Who the token speaks for, by the keys known now.

        Raises Unauthenticated, or Forbidden where the role is none of ours.
        """
        if self._keys is not None and self._generation != self._keys.generation:
            self._verified.clear()  # a key may have been taken away
            self._generation = self._keys.generation
        known = self._verified.get(token)
        if known is not None and known[0] > self._clock():
            return known[1]
        claims = self._claims(token)
        caller = _caller(claims)
        self._verified[token] = ((int(claims["exp"]) + SKEW_S) * SECOND, caller)
        if len(self._verified) > REMEMBERED:
            self._verified.popitem(last=False)
        return caller

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            key, algorithm = self._key(token)
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
                },
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(f"The token is not valid: {error}.") from error
        now = self._clock() / SECOND
        expires, begins = claims["exp"], claims.get("nbf", 0)
        if not all(isinstance(moment, int | float) and isfinite(moment) for moment in (expires, begins)):
            raise Unauthenticated("The token's exp and nbf must be numbers.")
        if expires + SKEW_S <= now:
            raise Unauthenticated("The token has expired: get a new one.")
        if begins - SKEW_S > now:
            raise Unauthenticated("The token is not valid yet.")
        return claims

    def _key(self, token: str) -> tuple[Any, str]:
        """The key for a token, and the one algorithm that goes with it; the token's word alone decides nothing."""
        header = jwt.get_unverified_header(token)
        algorithm, key_id = _algorithm(header), header.get("kid")
        if algorithm == ALGORITHM and self._secret is not None:
            return self._secret, ALGORITHM
        if algorithm not in FAMILIES or self._keys is None:
            raise Unauthenticated("The token is not valid: its algorithm is not accepted here.")
        key = self._keys.find(key_id, algorithm)
        if key is None:
            raise UnknownKey("The token is not valid: its key is not known.")
        return key, algorithm


def _algorithm(header: dict[str, Any]) -> str:
    named = header.get("alg")
    return named if isinstance(named, str) else ""


def _caller(claims: dict[str, Any]) -> Caller:
    subject, role, tenant = claims["sub"], claims["role"], claims.get("tenant", DEFAULT_TENANT)
    if not isinstance(subject, str) or not 1 <= len(subject) <= 200 or not subject.isprintable():
        raise Unauthenticated("The token's sub must be a text of 1 to 200 printable characters.")
    if not isinstance(tenant, str) or not re.fullmatch(TENANT, tenant):
        raise Unauthenticated(f"The token's tenant must match {TENANT}.")
    if role not in ROLES:
        raise Forbidden(f"The token's role is none of {', '.join(ROLES)}.")
    try:
        students = msgspec.convert(claims.get("students") or [], frozenset[str])
        cohorts = msgspec.convert(claims.get("cohorts") or [], frozenset[str])
    except msgspec.ValidationError as error:
        raise Unauthenticated("The token's students and cohorts must be lists of ids.") from error
    if len(cohorts) > MOST_COHORTS:
        raise Unauthenticated(f"The token names more than {MOST_COHORTS} cohorts.")
    return Caller(subject, role, tenant, students, cohorts=cohorts)
