"""Badges as others see and verify them: credentials, status lists and the keys, signed when somebody asks.

They are signed by the key of the moment, in a thread, and remembered: the same badge, key and kind give the same bytes.
Whoever has a badge's link may ask, so nobody is named in the audit trail for it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TypeAlias

import msgspec
from cachetools import LRUCache

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.errors import Conflict, NotFound
from mastery_engine.out.badges.badge import Badge
from mastery_engine.out.badges.baking import bake_png, bake_svg
from mastery_engine.out.badges.credential import credential_of
from mastery_engine.out.badges.issuer import Issuer
from mastery_engine.out.badges.pictures import medal_png, svg_of
from mastery_engine.out.badges.proofs import signed
from mastery_engine.out.badges.status_list import status_list_credential
from mastery_engine.out.badges.tokens import token_of
from mastery_engine.out.badges.verify import KnownIssuers, Verdict, status_lists_of, verify
from mastery_engine.ports.registry import RegistryStore
from mastery_engine.responses.badges import BadgeKey
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.badge_keys import BadgeKeys, KeptKey, SigningKey
from mastery_engine.services.badge_statuses import BadgeStatuses
from mastery_engine.services.kept_badges import KeptBadges

Form: TypeAlias = Literal["document", "token"]
LONGEST_NUMBER = 5  # digits, of a status list
SIGNED_BADGES, SIGNED_LISTS = 1_000, 16  # some 4 KB each

_encode = msgspec.json.Encoder().encode


class BadgeCredentials:
    """Signs, shows and verifies."""

    def __init__(
        self,
        registry: RegistryStore,
        statuses: BadgeStatuses,
        keys: BadgeKeys,
        access: AccessControl,
        audit: Audit,
        clock: Clock,
        issuer: Callable[[], Issuer],
    ) -> None:
        """``issuer`` raises Conflict where no public address is set."""
        self._kept = KeptBadges(registry)
        self._statuses = statuses
        self._keys = keys
        self._access = access
        self._audit = audit
        self._clock = clock
        self._issuer = issuer
        self._lock = asyncio.Lock()
        self._signed: LRUCache[tuple[Badge, str, Form], bytes] = LRUCache(SIGNED_BADGES)
        self._signed_lists: LRUCache[tuple[int, Micros, str, Form], bytes] = LRUCache(SIGNED_LISTS)

    @property
    def issuer(self) -> Issuer:
        """This installation as an issuer. Raises Conflict without a public address."""
        return self._issuer()

    async def badge(self, badge_id: str, now: Micros) -> Badge:
        """A badge, for whoever has its link. Raises NotFound, Gone, and Conflict without a public address."""
        self._issuer()
        return (await self._kept.badge(badge_id, now)).badge

    async def credential(self, badge: Badge, form: Form, now: Micros) -> bytes:
        """The signed credential of a badge: a JSON document with its proof, or a token. Raises Unavailable."""
        issuer, key = self._issuer(), await self._keys.signing(now)
        async with self._lock:
            name = (badge, key.public, form)
            found = self._signed.get(name)
            if found is None:
                at = max(badge.issued, key.made)
                found = await asyncio.to_thread(_secured, credential_of(badge, issuer), key, issuer, at, form)
                self._signed[name] = found
        return found

    async def svg(self, badge: Badge, now: Micros) -> bytes:
        """The badge's picture with its credential baked in."""
        credential = await self.credential(badge, "document", now)
        return bake_svg(svg_of(badge), credential.decode()).encode()

    async def png(self, badge: Badge, now: Micros) -> bytes:
        """The same as PNG."""
        credential = await self.credential(badge, "document", now)
        return bake_png(await asyncio.to_thread(medal_png), credential.decode())

    async def status_list(self, number: int, form: Form, now: Micros) -> bytes:
        """A signed status list. Raises NotFound where there is none of this number, and Conflict."""
        issuer = self._issuer()
        status = await self._statuses.list(number, now)
        if status is None:
            raise NotFound("There is no such status list.")
        key = await self._keys.signing(now)
        async with self._lock:
            name = (number, status.changed, key.public, form)
            found = self._signed_lists.get(name)
            if found is None:
                at = max(status.changed, key.made)
                credential = status_list_credential(issuer, number, status.bits, at)
                found = await asyncio.to_thread(_secured, credential, key, issuer, at, form)
                self._signed_lists[name] = found
        return found

    async def did_document(self, now: Micros) -> bytes:
        """The DID document with all keys that ever signed. Raises Conflict without a public address."""
        issuer = self._issuer()
        return _encode(issuer.document(await self._keys.public(now)))

    async def keys(self, caller: Caller) -> list[BadgeKey]:
        """The keys, oldest first; the last one signs. Raises Forbidden."""
        self._access.check_act(caller, Act.BADGE_KEYS, "badge-keys")
        self._audit.note(caller, "badge-keys", None, allowed=True)
        keys = await self._keys.all(caller.moment(self._clock))
        return [_shown(key, signs_now=key is keys[-1]) for key in keys]

    async def rotate(self, caller: Caller) -> BadgeKey:
        """Sign by a new key from now on; what the ones before have signed stays good. Raises Forbidden."""
        self._access.check_act(caller, Act.BADGE_KEYS, "rotate-badge-keys")
        await self._audit.write(caller, "rotate-badge-keys", [None])
        return _shown(await self._keys.rotate(caller.moment(self._clock)), signs_now=True)

    async def verify(
        self,
        document: bytes,
        *,
        issuers: list[dict[str, Any]] | None = None,
        lists: dict[str, bytes] | None = None,
    ) -> Verdict:
        """Look at a badge of anybody, without fetching anything: our keys and status lists are known here.

        ``issuers`` are DID documents of others, ``lists`` their status lists by address.
        """
        now = self._clock()
        documents = {str(one.get("id")): one for one in issuers or ()}
        served = dict(lists or {})
        with suppress(Conflict):  # without an address there are none of ours
            own = self._issuer()
            documents[own.did] = own.document(await self._keys.public(now))
            served |= await self._own_lists(document, own, now)
        return await asyncio.to_thread(verify, document, now, KnownIssuers(documents, served))

    async def _own_lists(self, document: bytes, own: Issuer, now: Micros) -> dict[str, bytes]:
        """Our status lists that a badge names, as they are now."""
        lists: dict[str, bytes] = {}
        for address in status_lists_of(document):
            number = _number(address, own)
            if number is not None and await self._statuses.list(number, now) is not None:
                lists[address] = await self.status_list(number, "document", now)
        return lists


def _secured(credential: dict[str, Any], key: SigningKey, issuer: Issuer, at: Micros, form: Form) -> bytes:
    method = issuer.method(key.public)
    if form == "token":
        return token_of(credential, key.private, method).encode()
    return _encode(signed(credential, key.private, method, at))


def _number(address: str, own: Issuer) -> int | None:
    """The number of a status list of ours; None for another address."""
    number = address.removeprefix(own.status_list(0)[:-1])
    return int(number) if number.isascii() and number.isdigit() and len(number) < LONGEST_NUMBER else None


def _shown(key: KeptKey, *, signs_now: bool) -> BadgeKey:
    return BadgeKey(key.public, rfc3339(key.made), signs_now)
