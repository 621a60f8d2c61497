"""Documents that others keep in a learning record store: state, and profiles of agents and activities."""

from typing import Protocol

import msgspec

from mastery_engine.domain.moments import Micros


class RecordDocumentKey(msgspec.Struct, frozen=True):
    """Where a document is: ``scope`` is the hash of whose it is, within which it has a name.

    ``registration`` is empty where there is none.
    """

    tenant: str
    scope: bytes
    name: str
    registration: str = ""


class RecordDocument(msgspec.Struct, frozen=True):
    """A document; ``etag`` tells its content from any other.

    ``about`` is JSON that says whose it is; ``person`` is the facet of the person, empty for a document of an activity.
    """

    content: bytes
    content_type: str
    etag: str
    updated: Micros
    about: bytes = b""
    person: bytes = b""


class RecordDocumentStore(Protocol):
    """Documents by tenant, scope and name. All calls raise Unavailable when the store is away."""

    async def load(self, key: RecordDocumentKey) -> RecordDocument | None:
        """The document; None where there is none."""
        ...

    async def save(self, key: RecordDocumentKey, document: RecordDocument | None, *, over: str | None) -> bool:
        """Put a document, or None to remove it; durable on return.

        False, and nothing is written, where the document that is there is not the one with the etag ``over``; None
        stands for no document.
        """
        ...

    async def names(
        self, tenant: str, scope: bytes, *, registration: str | None, since: Micros | None
    ) -> list[tuple[RecordDocumentKey, Micros]]:
        """The keys in a scope by name, with when each was changed: of a registration or of all, after ``since``."""
        ...

    async def remove_all(self, tenant: str, scope: bytes, *, registration: str | None) -> int:
        """Remove the documents of a scope: those of a registration, or of all; how many there were."""
        ...

    async def of_person(self, tenant: str, person: bytes) -> list[tuple[RecordDocumentKey, RecordDocument]]:
        """The documents that are about a person."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove documents about people that were changed last before a moment; how many there were."""
        ...
