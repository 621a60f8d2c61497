"""A OneRoster file as the people and classes of a school.

Columns and vocabularies: 1EdTech OneRoster 1.1 and 1.2, CSV binding. What a row says that is wrong is listed with its
line; the rest is taken. Dates of begin and end are not heeded: ``status`` says who is in a class.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.given_ids import LONGEST_NAME, NOT_ALLOWED, normal_name
from mastery_engine.doors.oneroster.zipped_tables import Row, RowFault, RowList, ZippedTables, opened

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
    """What a zip says. ``has_all_enrolments``: who is not enrolled in a class of the file is not in it.

    That does not hold of ``unsure`` (class and user): a row says that they belong together, but cannot be taken.
    """

    version: str
    users: dict[str, RosterUser]
    classes: dict[str, RosterClass]
    enrolments: tuple[Enrolment, ...]
    has_all_enrolments: bool
    unsure: frozenset[tuple[str, str]]
    ignored: RowList[Ignored]
    faults: RowList[RowFault]

    def undescribed(self) -> set[str]:
        """The users who are enrolled, and of whom the file says nothing else."""
        return {one.user_id for one in self.enrolments} - self.users.keys()

    def enrolled_but(self, known: Container[str]) -> set[tuple[str, str]]:
        """By class and user the enrolments of others than these users."""
        return {(one.class_id, one.user_id) for one in self.enrolments if one.user_id not in known}


def roster_from(source: bytes) -> RosterFile:
    """The people and classes in a zip. Raises InvalidInput where it is no OneRoster zip of version 1.1 or 1.2."""
    tables = opened(source)
    faults = RowList[RowFault]()
    ignored = RowList[Ignored]()
    roles = _roles(tables, faults)
    guardians: set[str] = set()
    users = dict(_users(tables, roles, guardians, ignored, faults))
    classes = {one.sourced_id: one for one in _classes(tables, faults)}
    unsure: set[tuple[str, str]] = set()
    enrolments = tuple(_enrolments(tables, users, classes, guardians, ignored, faults, unsure))
    is_all = tables.is_bulk("enrollments") and "enrollments.csv" not in tables.unread and all(map(all, unsure))
    return RosterFile(tables.version, users, classes, enrolments, is_all, frozenset(unsure), ignored, faults)


def _roles(tables: ZippedTables, faults: RowList[RowFault]) -> dict[str, set[str]]:
    """The roles of each user that ``roles.csv`` of version 1.2 gives."""
    roles: dict[str, set[str]] = defaultdict(set)
    for _, row in tables.rows("roles", ("userSourcedId", "role"), faults):
        if row.get("status", "").lower() not in GONE:
            roles[row["usersourcedid"]].add(row["role"].lower())
    return roles


def _users(
    tables: ZippedTables,
    roles: Mapping[str, set[str]],
    guardians: set[str],
    ignored: RowList[Ignored],
    faults: RowList[RowFault],
) -> Iterator[tuple[str, RosterUser]]:
    seen: set[str] = set()
    required = ("sourcedId", "username", "givenName", "familyName")
    for line, row in _sound(tables, "users", required, seen, faults):
        name = row["sourcedid"]
        own = roles.get(name, set()) | {one.strip().lower() for one in row.get("role", "").split(",") if one.strip()}
        if own and own <= GUARDIANS:
            guardians.add(name)
            ignored.append(Ignored("users.csv", line, name, f"{_full_name(row)} is a {min(own)}, not a learner."))
            continue
        logins = tuple(_logins(row.get("userids", "")))
        yield name, RosterUser(line, name, row["username"], _full_name(row), frozenset(own), logins, _is_gone(row))


def _classes(tables: ZippedTables, faults: RowList[RowFault]) -> Iterator[RosterClass]:
    seen: set[str] = set()
    for line, row in _sound(tables, "classes", ("sourcedId", "title", "courseSourcedId"), seen, faults):
        is_gone = _is_gone(row)
        try:
            ids = normal_name(row["sourcedid"]), "" if is_gone else normal_name(row["coursesourcedid"])
        except ValueError as error:
            faults.append(RowFault("classes.csv", line, row["sourcedid"], f"Its sourcedId or courseSourcedId {error}."))
            continue
        yield RosterClass(line, ids[0], _printable(row["title"])[:LONGEST_TITLE] or ids[0], ids[1], is_gone)


def _enrolments(
    tables: ZippedTables,
    users: Mapping[str, RosterUser],
    classes: Mapping[str, RosterClass],
    guardians: set[str],
    ignored: RowList[Ignored],
    faults: RowList[RowFault],
    unsure: set[tuple[str, str]],
) -> Iterator[Enrolment]:
    seen: set[str] = set()
    required = ("sourcedId", "classSourcedId", "userSourcedId", "role")
    for line, row in _sound(tables, "enrollments", required, seen, faults, unsure):
        name, role = row["sourcedid"], row["role"].lower()
        class_id, user_id = _place_in(row)
        if user_id in guardians:
            ignored.append(Ignored("enrollments.csv", line, name, f"The user {user_id} is a guardian."))
        elif role not in CLASS_ROLES:
            ignored.append(
                Ignored("enrollments.csv", line, name, f"The role {role[:40]!r} is not one of a class here.")
            )
        elif tables.is_bulk("classes") and class_id not in classes:
            unsure.add((class_id, user_id))
            reason = f"classes.csv has no sound class {class_id[:LONGEST_NAME]!r}."
            faults.append(RowFault("enrollments.csv", line, name, reason))
        elif tables.is_bulk("users") and user_id not in users:
            unsure.add((class_id, user_id))
            reason = f"users.csv has no sound user {user_id[:LONGEST_NAME]!r}."
            faults.append(RowFault("enrollments.csv", line, name, reason))
        else:
            yield Enrolment(line, name, class_id, user_id, CLASS_ROLES[role], _is_gone(row))


def _sound(
    tables: ZippedTables,
    table: str,
    required: tuple[str, ...],
    seen: set[str],
    faults: RowList[RowFault],
    unsure: set[tuple[str, str]] | None = None,
) -> Iterator[tuple[int, Row]]:
    """The rows of a table that have what is required, a status of OneRoster's, and an id of their own.

    Of a user or class that is gone no more than the id is required. ``unsure`` takes up class and user of the others.
    """
    for line, row in tables.rows(table, required, faults):
        name = row["sourcedid"]
        needed = ("sourcedId",) if _is_gone(row) and table != "enrollments" else required
        lacks = [column for column in needed if not row[column.lower()] and column != "username"]
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
        if unsure is not None:
            unsure.add(_place_in(row))
        faults.append(RowFault(f"{table}.csv", line, name, reason))


def _place_in(row: Row) -> tuple[str, str]:
    """The class and the user that an enrolment names."""
    return row["classsourcedid"], row["usersourcedid"]


def _is_gone(row: Row) -> bool:
    return row.get("status", "").lower() in GONE


def _printable(title: str) -> str:
    """A title on one line."""
    return " ".join(NOT_ALLOWED.sub(" ", title).split())


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
