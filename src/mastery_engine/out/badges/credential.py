"""The credential of a badge: an ``AchievementCredential`` of Open Badges 3.0, without its proof.

It says which level of which course was reached and when, and no name unless the student wants theirs shown. The school
(tenant) is in the badge's address.
"""

from typing import Any

from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import rfc3339
from mastery_engine.out.badges.badge import Badge
from mastery_engine.out.badges.contexts import CREDENTIALS, OPEN_BADGES
from mastery_engine.out.badges.issuer import Issuer


def credential_of(badge: Badge, issuer: Issuer) -> dict[str, Any]:
    """The credential of a badge, which nobody has signed yet."""
    address = issuer.badge(badge.badge_id)
    subject: dict[str, Any] = {"id": holder_of(badge), "type": ["AchievementSubject"]}
    if badge.name is not None:
        # Open Badges has the holder's name as one of the ways to know them.
        subject["identifier"] = [
            {"type": "IdentityObject", "hashed": False, "identityHash": badge.name, "identityType": "name"}
        ]
    subject["achievement"] = {
        "id": f"urn:uuid:{derived_id('achievement', badge.tenant, badge.course_id, badge.level)}",
        "type": ["Achievement"],
        "name": name_of(badge),
        "description": description_of(badge),
        "criteria": {"narrative": criteria_of(badge)},
        "image": {"id": f"{address}.svg", "type": "Image", "caption": name_of(badge)},
    }
    return {
        "@context": [CREDENTIALS, OPEN_BADGES],
        "id": address,
        "type": ["VerifiableCredential", "AchievementCredential"],
        "name": name_of(badge),
        "description": description_of(badge),
        "issuer": {"id": issuer.did, "type": ["Profile"], "name": issuer.name, "url": issuer.address},
        "validFrom": rfc3339(badge.awarded),
        "awardedDate": rfc3339(badge.awarded),
        "credentialSubject": subject,
        "credentialStatus": {
            "id": f"{issuer.status_list(badge.status.number)}#{badge.status.index}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": str(badge.status.index),
            "statusListCredential": issuer.status_list(badge.status.number),
        },
    }


def holder_of(badge: Badge) -> str:
    """The holder, by an address that names nobody, and that no other badge of theirs has."""
    return f"urn:uuid:{derived_id('holder', badge.badge_id)}"


def name_of(badge: Badge) -> str:
    return f"{badge.title}: {badge.level}"


def description_of(badge: Badge) -> str:
    return f"The holder has reached the level {badge.level} in the course {badge.title}."


def criteria_of(badge: Badge) -> str:
    """What it takes: the mastery score at which the level began in the course."""
    return (
        f"A mastery score of at least {100 * badge.from_score:.6g}% in the course, which is made of completed "
        "exercises, quizzes, the quality of the work and consistent practice."
    )
