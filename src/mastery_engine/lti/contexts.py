"""What is kept of a platform's contexts: which class each is here, and where its roster and its scores are.

Two tables of the registry, for rosters and for gradebooks alike:

* ``lti-contexts``, key ``TENANT/COHORT_ID``: a ``ContextRecord``. Its ``line_items`` are the columns of the gradebook
  that launches named (one for each graded link); where ``line_items_url`` is there and ``scopes`` hold
  ``lti/grades.LINE_ITEM_SCOPE``, one may be made. Scores may be sent where ``grades.may_score(scopes)``.
* ``lti-people``, key ``TENANT/COHORT_ID/STUDENT_ID``: a ``PersonRecord``, owned by the student and so erased with
  them: their ``sub`` there, which is AGS's ``userId``. Who left the class has none.
"""

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.lti.claims import Launch
from mastery_engine.lti.platforms import LtiPlatform
from mastery_engine.lti.roles import LtiRole

MOST_LINE_ITEMS = 100


class ContextRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A context of a platform, which is the class ``cohort_id`` of ``tenant``; see the module."""

    tenant: str
    cohort_id: str
    issuer: str
    client_id: str
    deployment_id: str
    context_id: str
    title: str
    memberships_url: str | None = None
    line_items_url: str | None = None
    line_items: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    read: Micros = 0  # when its roster was last asked for
    fault: str | None = None  # why that roster could not be read

    @property
    def key(self) -> str:
        return f"{self.tenant}/{self.cohort_id}"

    def after(self, launch: Launch) -> "ContextRecord":
        """The record with what a launch in the context says: where roster and scores are, as of now."""
        title = self.title if launch.context is None else launch.context.title
        found = msgspec.structs.replace(self, title=title, memberships_url=launch.memberships_url)
        if launch.grades is None:
            return found
        own = (*self.line_items, launch.grades.line_item)
        named = tuple(dict.fromkeys([one for one in own if one is not None]))
        return msgspec.structs.replace(
            found,
            line_items=named[-MOST_LINE_ITEMS:],
            line_items_url=launch.grades.line_items,
            scopes=launch.grades.scopes,
        )


class PersonRecord(msgspec.Struct, frozen=True):
    """Who a person of a context is there, and what they do in it."""

    sub: str
    role: LtiRole


def record_of(platform: LtiPlatform, cohort_id: str, launch: Launch) -> ContextRecord | None:
    """A context as its first launch tells of it; None where the launch names none."""
    if launch.context is None:
        return None
    return ContextRecord(
        platform.tenant,
        cohort_id,
        platform.issuer,
        platform.client_id,
        launch.deployment_id,
        launch.context.id,
        launch.context.title,
    ).after(launch)


def person_key(tenant: str, cohort_id: str, student_id: str) -> str:
    return f"{tenant}/{cohort_id}/{student_id}"


_encode = msgspec.msgpack.Encoder().encode
_context = msgspec.msgpack.Decoder(ContextRecord).decode
_person = msgspec.msgpack.Decoder(PersonRecord).decode


def pack(record: ContextRecord | PersonRecord) -> bytes:
    """A record as it is kept. A later engine may add fields: they are passed over here."""
    return _encode(record)


def unpack_context(packed: bytes) -> ContextRecord:
    return _context(packed)


def unpack_person(packed: bytes) -> PersonRecord:
    return _person(packed)
