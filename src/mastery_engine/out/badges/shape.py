"""The shape of a badge: what Open Badges 3.0 and Verifiable Credentials 2.0 and 1.1 ask of its parts, as a table.

Source: the data model of Open Badges 3.0 (1EdTech), section B, and VC Data Model 2.0, section 4. What the table does
not name may be there; what it names must be of its kind.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias

import msgspec

from mastery_engine.domain.moments import Micros, moment_of
from mastery_engine.out.badges.canonical import CONTEXT
from mastery_engine.out.badges.contexts import ANY_OPEN_BADGES, CREDENTIALS, CREDENTIALS_1

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
BADGE_TYPES = frozenset(("AchievementCredential", "OpenBadgeCredential"))
Zoned: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
FIRST, LATER = ("issuanceDate", "expirationDate"), ("validFrom", "validUntil")


class FieldShape(msgspec.Struct, frozen=True):
    """What stands in a field: ``kind`` is one of ``VALUES`` or ``KINDS``."""

    kind: str
    required: bool = False
    many: bool = False


def _is_time(value: object) -> bool:
    return isinstance(value, str) and moment_in(value) is not None


def _is_address(value: object) -> bool:
    return isinstance(value, str) and ADDRESS.fullmatch(value) is not None


VALUES: Mapping[str, tuple[Callable[[object], bool], str]] = MappingProxyType(
    {
        "text": (lambda value: isinstance(value, str), "a text"),
        "filled": (lambda value: isinstance(value, str) and bool(value.strip()), "a text that is not empty"),
        "address": (_is_address, "an address (a URI)"),
        "time": (_is_time, "a time with its zone, as in 2026-01-14T10:30:00Z"),
        "number": (lambda value: isinstance(value, int | float) and not isinstance(value, bool), "a number"),
        "flag": (lambda value: isinstance(value, bool), "true or false"),
    }
)
_PROFILE = {
    "id": FieldShape("address", required=True),
    "name": FieldShape("text"),
    "url": FieldShape("address"),
    "phone": FieldShape("text"),
    "description": FieldShape("text"),
    "email": FieldShape("text"),
    "official": FieldShape("text"),
    "image": FieldShape("Image"),
    "address": FieldShape("Address"),
    "otherIdentifier": FieldShape("IdentifierEntry", many=True),
    "parentOrg": FieldShape("Profile"),
}
# By its type: the fields of an object.
KINDS: Mapping[str, Mapping[str, FieldShape]] = MappingProxyType(
    {
        "Profile": _PROFILE,
        "Address": {"addressCountry": FieldShape("text"), "geo": FieldShape("GeoCoordinates")},
        "GeoCoordinates": {
            "latitude": FieldShape("number", required=True),
            "longitude": FieldShape("number", required=True),
        },
        "Image": {"id": FieldShape("address", required=True), "caption": FieldShape("text")},
        "IdentifierEntry": {
            "identifier": FieldShape("text", required=True),
            "identifierType": FieldShape("text", required=True),
        },
        "IdentityObject": {
            "identityHash": FieldShape("filled", required=True),
            "identityType": FieldShape("text", required=True),
            "hashed": FieldShape("flag", required=True),
            "salt": FieldShape("text"),
        },
        "Alignment": {
            "targetName": FieldShape("filled", required=True),
            "targetUrl": FieldShape("address", required=True),
            "targetCode": FieldShape("text"),
            "targetDescription": FieldShape("text"),
            "targetFramework": FieldShape("text"),
            "targetType": FieldShape("text"),
        },
        "Related": {"id": FieldShape("address", required=True), "version": FieldShape("text")},
        "RubricCriterionLevel": {
            "id": FieldShape("address", required=True),
            "name": FieldShape("filled", required=True),
        },
        "ResultDescription": {
            "id": FieldShape("address", required=True),
            "name": FieldShape("filled", required=True),
            "resultType": FieldShape("text", required=True),
            "alignment": FieldShape("Alignment", many=True),
            "allowedValue": FieldShape("text", many=True),
            "rubricCriterionLevel": FieldShape("RubricCriterionLevel", many=True),
        },
        "Achievement": {
            "id": FieldShape("address", required=True),
            "name": FieldShape("filled", required=True),
            "description": FieldShape("text", required=True),
            "achievementType": FieldShape("text"),
            "alignment": FieldShape("Alignment", many=True),
            "creator": FieldShape("Profile"),
            "creditsAvailable": FieldShape("number"),
            "fieldOfStudy": FieldShape("text"),
            "humanCode": FieldShape("text"),
            "image": FieldShape("Image"),
            "otherIdentifier": FieldShape("IdentifierEntry", many=True),
            "related": FieldShape("Related", many=True),
            "resultDescription": FieldShape("ResultDescription", many=True),
            "specialization": FieldShape("text"),
            "tag": FieldShape("text", many=True),
            "version": FieldShape("text"),
        },
        "Result": {
            "achievedLevel": FieldShape("address"),
            "alignment": FieldShape("Alignment", many=True),
            "resultDescription": FieldShape("address"),
            "status": FieldShape("text"),
            "value": FieldShape("text"),
        },
        "AchievementSubject": {
            "id": FieldShape("address"),
            "achievement": FieldShape("Achievement", required=True),
            "activityStartDate": FieldShape("time"),
            "activityEndDate": FieldShape("time"),
            "creditsEarned": FieldShape("number"),
            "identifier": FieldShape("IdentityObject", many=True),
            "image": FieldShape("Image"),
            "licenseNumber": FieldShape("text"),
            "narrative": FieldShape("text"),
            "result": FieldShape("Result", many=True),
            "role": FieldShape("text"),
            "source": FieldShape("Profile"),
            "term": FieldShape("text"),
        },
        "Evidence": {
            "id": FieldShape("address"),
            "narrative": FieldShape("text"),
            "name": FieldShape("text"),
            "description": FieldShape("text"),
            "genre": FieldShape("text"),
            "audience": FieldShape("text"),
        },
    }
)
CREDENTIAL: Mapping[str, FieldShape] = MappingProxyType(
    {
        "id": FieldShape("address", required=True),
        "issuer": FieldShape("Profile", required=True),
        "name": FieldShape("text"),
        "description": FieldShape("text"),
        "image": FieldShape("Image"),
        "awardedDate": FieldShape("time"),
        "credentialSubject": FieldShape("AchievementSubject", required=True),
        "evidence": FieldShape("Evidence", many=True),
    }
)


def moment_in(text: str) -> Micros | None:
    """The moment of a time as XML Schema writes it with its zone; None where it is none."""
    if not TIME.fullmatch(text):
        return None
    try:
        return moment_of(msgspec.convert(text, Zoned))
    except (msgspec.ValidationError, OverflowError):
        return None


def dates_of(credential: Mapping[str, Any]) -> tuple[str, str]:
    """The fields from when and until when a credential counts: those of the version that its contexts name."""
    return FIRST if CREDENTIALS_1 in _listed(credential.get(CONTEXT)) else LATER


def faults_of(credential: Mapping[str, Any]) -> list[str]:
    """What a credential lacks to be a badge of Open Badges 3.0, or has in another shape; nothing where it is one."""
    return [*_faults_of_head(credential), *_faults(credential, CREDENTIAL, "")]


def _faults_of_head(credential: Mapping[str, Any]) -> Iterator[str]:
    contexts = _listed(credential.get(CONTEXT))
    if contexts[:1] not in ([CREDENTIALS], [CREDENTIALS_1]):
        yield f"@context must begin with {CREDENTIALS}."
    if not any(isinstance(one, str) and one.startswith(ANY_OPEN_BADGES) for one in contexts):
        yield "@context must name that of Open Badges 3.0."
    types = _listed(credential.get("type"))
    if "VerifiableCredential" not in types or not BADGE_TYPES & {one for one in types if isinstance(one, str)}:
        yield "type must have VerifiableCredential, and AchievementCredential or OpenBadgeCredential."
    first, last = dates_of(credential)
    if first not in credential:
        yield f"{first} is missing."
    for name in (first, last):
        if name in credential and not _is_time(credential[name]):
            yield f"{name} must be {VALUES['time'][1]}."
    subject = credential.get("credentialSubject")
    if isinstance(subject, dict) and not subject.get("id") and not subject.get("identifier"):
        yield "credentialSubject must have an id, or an identifier."
    for name in ("credentialStatus", "credentialSchema", "termsOfUse", "refreshService"):
        for one in _listed(credential.get(name)):
            if not isinstance(one, dict) or not _listed(one.get("type")):
                yield f"{name} must be an object with a type, or a list of them."


def _faults(given: Mapping[str, Any], fields: Mapping[str, FieldShape], where: str) -> Iterator[str]:
    for name, part in fields.items():
        place = f"{where}{name}"
        values = _listed(given.get(name)) if part.many else [given[name]] if given.get(name) is not None else []
        if part.required and not values:
            yield f"{place} is missing."
        for value in values:
            if part.kind in VALUES:
                is_one, words = VALUES[part.kind]
                if not is_one(value):
                    yield f"{place} must be {words}."
            else:
                yield from _faults_of_object(value, part.kind, place)


def _faults_of_object(value: Any, kind: str, place: str) -> Iterator[str]:
    if kind == "Profile" and _is_address(value):  # its address alone
        return
    if not isinstance(value, dict):
        yield f"{place} must be an object of the type {kind}."
        return
    if kind not in _listed(value.get("type")):
        yield f"{place}.type must be {kind}."
    if kind == "Achievement":
        criteria = value.get("criteria")
        if not isinstance(criteria, dict) or not (criteria.get("id") or criteria.get("narrative")):
            yield f"{place}.criteria must have an id, or a narrative."
    yield from _faults(value, KINDS[kind], f"{place}.")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
