"""A OneRoster file as the people and classes of a school.

Columns and vocabularies: 1EdTech OneRoster 1.1 and 1.2, CSV binding. What a row says that is wrong is listed with its
line; the rest is taken. Dates of begin and end are not heeded: ``status`` says who is in a class.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.given_ids import LONGEST_NAME, normal_name
from mastery_engine.doors.oneroster.zipped_tables import Row, RowFault, ZippedTables, opened

GUARDIANS = frozenset(("guardian", "parent", "relative"))
CLASS_ROLES: Mapping[str, "ClassRole"] = {"student": "student", "teacher": "teacher"}
GONE = frozenset(("tobedeleted", "inactive"))
STATUSES = frozenset(("", "active")) | GONE
LONGEST_TITLE = 200

ClassRole: TypeAlias = Literal["student", "teacher"]


class RosterUser(msgspec.Struct, frozen=True):
    """A user: who they are at their school. ``logins`` are other ids of them, by the kind of each."""

    line: int
    sourced_id: str
    username: str
    name: str
    roles: frozenset[str]
    logins: tuple[tuple[str, str], ...]
    is_gone: bool


class RosterClass(msgspec.Struct, frozen=True):
    """A class, under its ``sourcedId``, in the course of its ``courseSourcedId``."""

    line: int
    sourced_id: str
    title: str
    course_id: str
    is_gone: bool


class Enrolment(msgspec.Struct, frozen=True):
    """Who is in a class, and as what; ``is_gone`` takes them out of it."""

    line: int
    sourced_id: str
    class_id: str
    user_id: str
    role: ClassRole
    is_gone: bool


class Ignored(msgspec.Struct, frozen=True):
    """A row that says nothing to this engine, such as a guardian's: its file, line and ``sourcedId``, and why."""

    file: str
    line: int
    sourced_id: str
    reason: str


class RosterFile(msgspec.Struct, frozen=True):
    """What a zip says. ``has_all_enrolments``: who is not enrolled in a class of the file is not in it."""

    version: str
    users: dict[str, RosterUser]
    classes: dict[str, RosterClass]
    enrolments: tuple[Enrolment, ...]
    has_all_enrolments: bool
    ignored: tuple[Ignored, ...]
    faults: tuple[RowFault, ...]


def roster_from(source: bytes) -> RosterFile:
    """The people and classes in a zip. Raises InvalidInput where it is no OneRoster zip of version 1.1 or 1.2."""
    tables = opened(source)
    faults: list[RowFault] = []
    ignored: list[Ignored] = []
    roles = _roles(tables, faults)
    users = dict(_users(tables, roles, ignored, faults))
    classes = {one.sourced_id: one for one in _classes(tables, faults)}
    guardians = {one.sourced_id for one in ignored if one.file == "users.csv"}
    enrolments = tuple(_enrolments(tables, users, classes, guardians, ignored, faults))
    is_all = tables.is_bulk("enrollments")
    return RosterFile(tables.version, users, classes, enrolments, is_all, tuple(ignored), tuple(faults))


def _roles(tables: ZippedTables, faults: list[RowFault]) -> dict[str, set[str]]:
    """The roles of each user that ``roles.csv`` of version 1.2 gives."""
    roles: dict[str, set[str]] = defaultdict(set)
    for _, row in tables.rows("roles", ("userSourcedId", "role"), faults):
        if row.get("status", "").lower() not in GONE:
            roles[row["usersourcedid"]].add(row["role"].lower())
    return roles


def _users(
    tables: ZippedTables, roles: Mapping[str, set[str]], ignored: list[Ignored], faults: list[RowFault]
) -> Iterator[tuple[str, RosterUser]]:
    seen: set[str] = set()
    required = ("sourcedId", "username", "givenName", "familyName")
    for line, row in _sound(tables, "users", required, seen, faults):
        name = row["sourcedid"]
        own = roles.get(name, set()) | {one.strip().lower() for one in row.get("role", "").split(",") if one.strip()}
        if own and own <= GUARDIANS:
            ignored.append(Ignored("users.csv", line, name, f"{_full_name(row)} is a {min(own)}, not a learner."))
            continue
        logins = tuple(_logins(row.get("userids", "")))
        yield name, RosterUser(line, name, row["username"], _full_name(row), frozenset(own), logins, _is_gone(row))


def _classes(tables: ZippedTables, faults: list[RowFault]) -> Iterator[RosterClass]:
    seen: set[str] = set()
    for line, row in _sound(tables, "classes", ("sourcedId", "title", "courseSourcedId"), seen, faults):
        try:
            ids = normal_name(row["sourcedid"]), normal_name(row["coursesourcedid"])
        except ValueError as error:
            faults.append(RowFault("classes.csv", line, row["sourcedid"], f"Its sourcedId or courseSourcedId {error}."))
            continue
        yield RosterClass(line, ids[0], row["title"][:LONGEST_TITLE] or ids[0], ids[1], _is_gone(row))


def _enrolments(
    tables: ZippedTables,
    users: Mapping[str, RosterUser],
    classes: Mapping[str, RosterClass],
    guardians: set[str],
    ignored: list[Ignored],
    faults: list[RowFault],
) -> Iterator[Enrolment]:
    seen: set[str] = set()
    required = ("sourcedId", "classSourcedId", "userSourcedId", "role")
    for line, row in _sound(tables, "enrollments", required, seen, faults):
        name, class_id, user_id, role = (
            row["sourcedid"],
            row["classsourcedid"],
            row["usersourcedid"],
            row["role"].lower(),
        )
        if user_id in guardians:
            ignored.append(Ignored("enrollments.csv", line, name, f"The user {user_id} is a guardian."))
        elif role not in CLASS_ROLES:
            ignored.append(
                Ignored("enrollments.csv", line, name, f"The role {role[:40]!r} is not one of a class here.")
            )
        elif tables.is_bulk("classes") and class_id not in classes:
            faults.append(
                RowFault("enrollments.csv", line, name, f"classes.csv has no sound class {class_id[:LONGEST_NAME]!r}.")
            )
        elif tables.is_bulk("users") and user_id not in users:
            faults.append(
                RowFault("enrollments.csv", line, name, f"users.csv has no sound user {user_id[:LONGEST_NAME]!r}.")
            )
        else:
            yield Enrolment(line, name, class_id, user_id, CLASS_ROLES[role], _is_gone(row))


def _sound(
    tables: ZippedTables, table: str, required: tuple[str, ...], seen: set[str], faults: list[RowFault]
) -> Iterator[tuple[int, Row]]:
    """The rows of a table that have what is required, a status of OneRoster's, and an id of their own."""
    for line, row in tables.rows(table, required, faults):
        name = row["sourcedid"]
        lacks = [column for column in required if not row[column.lower()] and column != "username"]
        if lacks:
            reason = f"It lacks {lacks[0]}."
        elif name in seen:
            reason = "Another row before it has the same sourcedId."
        elif row.get("status", "").lower() not in STATUSES:
            reason = f"Its status is {row['status'][:40]!r}; it may be active, inactive, tobedeleted or empty."
        else:
            seen.add(name)
            yield line, row
            continue
        faults.append(RowFault(f"{table}.csv", line, name, reason))


def _is_gone(row: Row) -> bool:
    return row.get("status", "").lower() in GONE


def _full_name(row: Row) -> str:
    """The name that a person goes by: the preferred one (1.2) where it is given."""
    given = _first(row, ("preferredgivenname", "prefferedgivenname", "givenname"))
    family = _first(row, ("preferredfamilyname", "prefferedfamilyname", "familyname"))
    return f"{given} {family}".strip()


def _first(row: Row, columns: Iterable[str]) -> str:
    return next((row[column] for column in columns if row.get(column)), "")


def _logins(text: str) -> Iterator[tuple[str, str]]:
    """Other ids of a user, such as ``{LDAP:12},{LTI:15}``; what has another form is passed over."""
    for part in text.split("},"):
        kind, colon, value = part.strip().strip("{}").partition(":")
        if colon and kind.strip() and value.strip():
            yield kind.strip(), value.strip()
