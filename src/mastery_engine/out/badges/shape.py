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


class Part(msgspec.Struct, frozen=True):
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
    "id": Part("address", required=True),
    "name": Part("text"),
    "url": Part("address"),
    "phone": Part("text"),
    "description": Part("text"),
    "email": Part("text"),
    "official": Part("text"),
    "image": Part("Image"),
    "address": Part("Address"),
    "otherIdentifier": Part("IdentifierEntry", many=True),
    "parentOrg": Part("Profile"),
}
# By its type: the fields of an object.
KINDS: Mapping[str, Mapping[str, Part]] = MappingProxyType(
    {
        "Profile": _PROFILE,
        "Address": {"addressCountry": Part("text"), "geo": Part("GeoCoordinates")},
        "GeoCoordinates": {"latitude": Part("number", required=True), "longitude": Part("number", required=True)},
        "Image": {"id": Part("address", required=True), "caption": Part("text")},
        "IdentifierEntry": {
            "identifier": Part("text", required=True),
            "identifierType": Part("text", required=True),
        },
        "IdentityObject": {
            "identityHash": Part("filled", required=True),
            "identityType": Part("text", required=True),
            "hashed": Part("flag", required=True),
            "salt": Part("text"),
        },
        "Alignment": {
            "targetName": Part("filled", required=True),
            "targetUrl": Part("address", required=True),
            "targetCode": Part("text"),
            "targetDescription": Part("text"),
            "targetFramework": Part("text"),
            "targetType": Part("text"),
        },
        "Related": {"id": Part("address", required=True), "version": Part("text")},
        "RubricCriterionLevel": {"id": Part("address", required=True), "name": Part("filled", required=True)},
        "ResultDescription": {
            "id": Part("address", required=True),
            "name": Part("filled", required=True),
            "resultType": Part("text", required=True),
            "alignment": Part("Alignment", many=True),
            "allowedValue": Part("text", many=True),
            "rubricCriterionLevel": Part("RubricCriterionLevel", many=True),
        },
        "Achievement": {
            "id": Part("address", required=True),
            "name": Part("filled", required=True),
            "description": Part("text", required=True),
            "achievementType": Part("text"),
            "alignment": Part("Alignment", many=True),
            "creator": Part("Profile"),
            "creditsAvailable": Part("number"),
            "fieldOfStudy": Part("text"),
            "humanCode": Part("text"),
            "image": Part("Image"),
            "otherIdentifier": Part("IdentifierEntry", many=True),
            "related": Part("Related", many=True),
            "resultDescription": Part("ResultDescription", many=True),
            "specialization": Part("text"),
            "tag": Part("text", many=True),
            "version": Part("text"),
        },
        "Result": {
            "achievedLevel": Part("address"),
            "alignment": Part("Alignment", many=True),
            "resultDescription": Part("address"),
            "status": Part("text"),
            "value": Part("text"),
        },
        "AchievementSubject": {
            "id": Part("address"),
            "achievement": Part("Achievement", required=True),
            "activityStartDate": Part("time"),
            "activityEndDate": Part("time"),
            "creditsEarned": Part("number"),
            "identifier": Part("IdentityObject", many=True),
            "image": Part("Image"),
            "licenseNumber": Part("text"),
            "narrative": Part("text"),
            "result": Part("Result", many=True),
            "role": Part("text"),
            "source": Part("Profile"),
            "term": Part("text"),
        },
        "Evidence": {
            "id": Part("address"),
            "narrative": Part("text"),
            "name": Part("text"),
            "description": Part("text"),
            "genre": Part("text"),
            "audience": Part("text"),
        },
    }
)
CREDENTIAL: Mapping[str, Part] = MappingProxyType(
    {
        "id": Part("address", required=True),
        "issuer": Part("Profile", required=True),
        "name": Part("text"),
        "description": Part("text"),
        "image": Part("Image"),
        "awardedDate": Part("time"),
        "credentialSubject": Part("AchievementSubject", required=True),
        "evidence": Part("Evidence", many=True),
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


def _faults(given: Mapping[str, Any], fields: Mapping[str, Part], where: str) -> Iterator[str]:
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
