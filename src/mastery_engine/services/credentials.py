"""Credentials of platforms: made and revoked by operators, and checked at the doors."""

from collections.abc import Callable, Sequence

import msgspec
from cachetools import LRUCache

from mastery_engine.auth.access import Act, Caller
from mastery_engine.auth.credentials import PlatformCaller, Shown, caller_of, fits, hash_of, make_secret
from mastery_engine.clock import Clock
from mastery_engine.domain.given_ids import normal_id
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.doors.names import DOORS, Door
from mastery_engine.errors import Forbidden, NotFound, WrongCredential
from mastery_engine.ports.credentials import Credential, CredentialStore
from mastery_engine.responses.credentials import CredentialEntry, MadeCredential, credential_entry
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit

CACHED_FOR: Micros = 2 * SECOND  # a credential that was revoked elsewhere is taken for so long
MOST_CACHED = 1_000
LONGEST_NAME = 100
WRONG = "The credential is not known: its key or secret is wrong, or it was revoked."


class CachedCredential(msgspec.Struct, frozen=True):
    """A credential, and when it was last read from the store."""

    credential: Credential
    read: Micros


class Credentials:
    """Makes, lists, revokes and checks credentials."""

    def __init__(
        self,
        store: CredentialStore,
        access: AccessControl,
        audit: Audit,
        clock: Clock,
        new_key: Callable[[], str],
        new_secret: Callable[[], str],
    ) -> None:
        """``new_key`` makes ids without an underscore; ``new_secret`` 256 random bits, as text safe in addresses."""
        self._store = store
        self._access = access
        self._audit = audit
        self._clock = clock
        self._new_key = new_key
        self._new_secret = new_secret
        self._cached: LRUCache[str, CachedCredential] = LRUCache(MOST_CACHED)

    async def create(
        self, caller: Caller, name: str, *, doors: Sequence[Door] = (), course_id: str | None = None
    ) -> MadeCredential:
        """Make a credential of the caller's tenant, for these doors or, if none is named, for all.

        Raises Forbidden, InvalidInput and Unavailable.
        """
        self._access.check_act(caller, Act.CREDENTIALS, "create-credential")
        key = self._new_key()
        secret = make_secret(key, self._new_secret())
        credential = Credential(
            key,
            hash_of(secret),
            normal_id(name, "name", LONGEST_NAME),
            caller.tenant,
            tuple([door for door in DOORS if door in (doors or DOORS)]),
            None if course_id is None else normal_id(course_id, "course_id"),
            caller.moment(self._clock),
        )
        await self._audit.write(caller, "create-credential", [None])
        await self._store.put(credential)
        return MadeCredential(key, secret)

    async def all(self, caller: Caller) -> list[CredentialEntry]:
        """The credentials of all tenants, for an operator of the service. Raises Forbidden and Unavailable."""
        self._access.check_act(caller, Act.CREDENTIALS, "list-credentials")
        self._audit.note(caller, "list-credentials", None, allowed=True)
        return [credential_entry(one) for one in await self._store.all()]

    async def revoke(self, caller: Caller, key: str) -> CredentialEntry:
        """Revoke a credential of any tenant, for an operator: within seconds nobody is let in by it.

        Raises Forbidden, NotFound and Unavailable.
        """
        self._access.check_act(caller, Act.CREDENTIALS, "revoke-credential")
        credential = await self._store.find(key)
        if credential is None:
            raise NotFound("There is no credential with this key: `mastery-engine credentials list` lists them.")
        acting = msgspec.structs.replace(caller, tenant=credential.tenant)
        await self._audit.write(acting, "revoke-credential", [None])
        await self._store.remove(key)
        self._cached.pop(key, None)
        return credential_entry(credential)

    async def check(self, shown: Shown, door: Door, *, address: str, request_id: str, at: Micros) -> PlatformCaller:
        """Who shows this key and secret at a door; a refusal is on the audit trail where it is known whose key it is.

        Raises WrongCredential where they are not known, Forbidden where the door is another, and Unavailable.
        """
        credential = await self._find(shown.key, at)
        is_right = fits(credential, shown.secret)
        if credential is None:
            raise WrongCredential(WRONG)
        caller = caller_of(credential, address=address, request_id=request_id, at=at)
        if not is_right:
            self._audit.note(caller, door, None, allowed=False)
            raise WrongCredential(WRONG)
        if door not in credential.doors:
            self._audit.note(caller, door, None, allowed=False)
            raise Forbidden(f"This credential is not for the door {door}, but for {', '.join(credential.doors)}.")
        return PlatformCaller(caller, credential.course_id)

    async def _find(self, key: str, now: Micros) -> Credential | None:
        """The credential of a key, as it was a few seconds ago at most."""
        cached = self._cached.get(key)
        if cached is not None and abs(now - cached.read) < CACHED_FOR:
            return cached.credential
        credential = await self._store.find(key)
        if credential is None:
            self._cached.pop(key, None)
            return None
        self._cached[key] = CachedCredential(credential, now)
        return credential
