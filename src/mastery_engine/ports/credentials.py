"""The credentials of platforms that send through the doors for schools: their keys, and hashes of their secrets."""

from typing import Protocol

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.doors.names import Door


class Credential(msgspec.Struct, frozen=True):
    """What a platform may do: send through ``doors`` for a tenant.

    ``hash`` is that of the secret, which nothing here gives back. ``course_id`` is the course of evidence that names
    none itself; without one it is ``default``.
    """

    key: str
    hash: bytes
    name: str
    tenant: str
    doors: tuple[Door, ...]
    course_id: str | None
    created: Micros


class CredentialStore(Protocol):
    """Credentials by their keys, for good. All calls raise Unavailable when the store is away."""

    async def put(self, credential: Credential) -> None:
        """Keep a credential under its key; durable on return."""
        ...

    async def find(self, key: str) -> Credential | None:
        """The credential of a key; None where there is none, or no more."""
        ...

    async def remove(self, key: str) -> bool:
        """Remove a credential, durably on return; whether it was there."""
        ...

    async def all(self) -> list[Credential]:
        """The credentials of all tenants, by tenant, name and key."""
        ...


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Credential).decode


def pack_credential(credential: Credential) -> bytes:
    """A credential as stores keep it. A later engine may add fields: they are passed over here."""
    return _encode(credential)


def unpack_credential(packed: bytes) -> Credential:
    return _decode(packed)


def in_order(credentials: list[Credential]) -> list[Credential]:
    """Credentials as they are listed."""
    return sorted(credentials, key=lambda one: (one.tenant, one.name, one.key))
