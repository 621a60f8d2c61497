"""The answers about credentials of platforms; none of them has a secret but that of a new one."""

import msgspec

from mastery_engine.domain.moments import rfc3339
from mastery_engine.doors.names import Door
from mastery_engine.ports.credentials import Credential


class MadeCredential(msgspec.Struct, frozen=True):
    """A new credential. The secret is shown now and never again."""

    key: str
    secret: str


class CredentialEntry(msgspec.Struct, frozen=True):
    """A credential in the list of them; without a ``course_id`` what names no course is of ``default``."""

    key: str
    name: str
    tenant: str
    doors: list[Door]
    course_id: str | None
    created: str


def credential_entry(credential: Credential) -> CredentialEntry:
    return CredentialEntry(
        credential.key,
        credential.name,
        credential.tenant,
        list(credential.doors),
        credential.course_id,
        rfc3339(credential.created),
    )
