"""The answers about badges that are in the envelope; the credentials themselves are bare."""

import msgspec

from mastery_engine.domain.moments import rfc3339
from mastery_engine.out.badges.badge import Badge
from mastery_engine.out.badges.issuer import Issuer
from mastery_engine.responses.times import MomentText


class BadgeEntry(msgspec.Struct, frozen=True):
    """A badge of a student: whoever has its ``url`` may see and verify it.

    ``name`` is the student's where they want it shown in the badge, and ``revoked`` is when an admin revoked it.
    """

    badge_id: str
    url: str
    student_id: str
    course_id: str
    title: str
    level: str
    awarded: MomentText
    name: str | None
    revoked: MomentText | None


class BadgeList(msgspec.Struct, frozen=True):
    """A student's badges, oldest first."""

    badges: list[BadgeEntry]


class BadgePage(msgspec.Struct, frozen=True):
    """A page of the tenant's badges, by id; ``next_cursor`` leads to the next one, null on the last."""

    badges: list[BadgeEntry]
    next_cursor: str | None


class BadgeKey(msgspec.Struct, frozen=True):
    """A key that signs badges, or has signed some: ``public`` as Multikey."""

    public: str
    made: str
    signs_now: bool


def badge_entry(badge: Badge, issuer: Issuer) -> BadgeEntry:
    return BadgeEntry(
        badge.badge_id,
        issuer.badge(badge.badge_id),
        badge.student_id,
        badge.course_id,
        badge.title,
        badge.level,
        rfc3339(badge.awarded),
        badge.name,
        None if badge.revoked is None else rfc3339(badge.revoked),
    )
