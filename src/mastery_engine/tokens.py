"""Bearer tokens: JSON Web Tokens (RFC 7519) with ``sub``, ``role``, ``exp`` and, at will, ``tenant``, ``students``."""

import re
from collections import OrderedDict
from math import isfinite
from typing import Any

import jwt
import msgspec

from mastery_engine.access import ROLES, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.events import DEFAULT_TENANT, TENANT
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import Forbidden, Unauthenticated

ALGORITHM = "HS256"
SKEW_S = 60
REMEMBERED = 4_096


class Tokens:
    """Makes and checks tokens. Those that were verified are remembered until they expire."""

    def __init__(self, secret: str, clock: Clock, *, issuer: str | None = None, audience: str | None = None) -> None:
        self._secret = secret
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
        """A token that is good for ``lives_s`` seconds from now."""
        now = self._clock() // SECOND
        claims: dict[str, Any] = {"sub": subject, "role": role, "tenant": tenant, "iat": now, "exp": now + lives_s}
        claims |= {"iss": self._issuer} if self._issuer else {}
        claims |= {"aud": self._audience} if self._audience else {}
        claims |= {"students": students} if students else {}
        claims |= {"cohorts": cohorts} if cohorts else {}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str) -> Caller:
        """Who the token speaks for. Raises Unauthenticated, or Forbidden where the role is none of ours."""
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
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
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
    except msgspec.ValidationError as error:
        raise Unauthenticated("The token's students must be a list of ids.") from error
    return Caller(subject, role, tenant, students)
