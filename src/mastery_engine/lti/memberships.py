"""Names and Role Provisioning Services 2.0: pages of a context's members, and what they change of its class."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urljoin

import msgspec

from mastery_engine.domain.cohorts.cohort import MOST_MEMBERS, Cohort, Teacher
from mastery_engine.domain.given_ids import NOT_ALLOWED, normal_id
from mastery_engine.errors import InvalidInput
from mastery_engine.lti.platforms import origin_of
from mastery_engine.lti.roles import LtiRole, member_role

MEDIA_TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
MOST_PAGES = 500
LONGEST, LONGEST_NAME = 255, 200
_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[^;,=\s]+\s*=\s*(?:\"[^\"]*\"|[^\",;\s]*))*)")
_NEXT = re.compile(r";\s*rel\s*=\s*\"?([^\";,]*)\"?", re.IGNORECASE)


class LtiMember(msgspec.Struct, frozen=True):
    """A member of a context: ``role`` is None for who neither learns nor teaches, or is not active there."""

    sub: str
    name: str | None
    role: LtiRole | None


def members_in(document: Any) -> list[LtiMember] | None:
    """The members on a page; None where it is none. A row that cannot be read is nobody."""
    rows = document.get("members") if isinstance(document, Mapping) else None
    if not isinstance(rows, list):
        return None
    return [member for row in rows if (member := _member(row)) is not None]


def _member(row: Any) -> LtiMember | None:
    if not isinstance(row, Mapping):
        return None
    sub, roles, status = row.get("user_id"), row.get("roles"), row.get("status", "Active")
    if not isinstance(sub, str) or not _is_id(sub):
        return None
    named = [one for one in roles if isinstance(one, str)] if isinstance(roles, list) else []
    return LtiMember(sub, _name(row), member_role(named) if status == "Active" else None)


def _is_id(sub: str) -> bool:
    try:
        return bool(normal_id(sub, "user_id", LONGEST))
    except InvalidInput:
        return False


def _name(row: Mapping[str, Any]) -> str | None:
    whole, *parts = (row.get(one) for one in ("name", "given_name", "family_name"))
    for text in (whole, " ".join(one for one in parts if isinstance(one, str))):
        if isinstance(text, str) and text.strip() and len(text) <= LONGEST_NAME and not NOT_ALLOWED.search(text):
            return text.strip()
    return None


def next_page(link: str, url: str) -> str | None:
    """The address of the next page by a header Link (RFC 8288); None after the last one.

    It is only followed to the server of the first page: what asks for a page has a token.
    """
    for target, parameters in _LINK.findall(link):
        relation = _NEXT.search(parameters)
        if relation is not None and "next" in relation[1].lower().split():
            found = urljoin(url, target.strip())
            return found if origin_of(found) == origin_of(url) and len(found) <= 4_000 else None
    return None


def class_after(
    before: Cohort, learners: Iterable[str], teachers: Iterable[Teacher], gone: Iterable[str], joined: Iterable[str]
) -> Cohort:
    """The class with its learners and teachers of now, and without those who are ``gone`` from the context.

    Whom an admin put in by hand, and whom events name, stay.
    """
    wanted = frozenset(sorted(set(learners))[:MOST_MEMBERS])
    left = frozenset(gone) - wanted
    put = (frozenset(before.put) - left) | wanted
    taken_out = left & (frozenset(before.put) | frozenset(joined))
    out = (frozenset(before.out) | taken_out) - put
    listed = {one.student_id: one for one in teachers}
    kept = {one.student_id: one for one in before.teachers if one.student_id not in set(gone) - listed.keys()}
    return msgspec.structs.replace(
        before, put=tuple(sorted(put)), out=tuple(sorted(out)), teachers=tuple(sorted((kept | listed).values()))
    )
