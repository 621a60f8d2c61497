"""OneRoster zips: other people's, and ones that attack each rule."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from mastery_engine.doors.oneroster import zipped_tables
from mastery_engine.doors.oneroster.roster import RosterFile, roster_from
from mastery_engine.errors import InvalidInput

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "foreign" / "oneroster"
MANIFEST = "propertyName,value\noneroster.version,1.1\nfile.users,bulk\nfile.classes,bulk\nfile.enrollments,bulk\n"
USERS = "sourcedId,status,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName\n"
CLASSES = "sourcedId,status,title,courseSourcedId\n"
ENROLMENTS = "sourcedId,status,classSourcedId,userSourcedId,role\n"
SMALL = {
    "manifest.csv": MANIFEST,
    "users.csv": USERS + "u1,,TRUE,o,teacher,ada,,Ada,Lovelace\nu2,active,TRUE,o,student,sam,{LDAP:s1},Sam,Doe\n",
    "classes.csv": CLASSES + "c1,,Physics,crs-1\n",
    "enrollments.csv": ENROLMENTS + "e1,,c1,u1,teacher\ne2,,c1,u2,student\n",
}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    target = BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def read(**changed: str | bytes) -> RosterFile:
    """The small roster with some of its files changed, by their names without the ending."""
    return roster_from(zipped(SMALL | {f"{name}.csv": content for name, content in changed.items()}))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared files are not beside this repository")
@pytest.mark.parametrize(("name", "users"), [("Test_minimal_data_set.zip", 5), ("v1p2_full_dataset.zip", 6)])
def test_other_peoples_rosters(name: str, users: int) -> None:
    roster = roster_from((SHARED / name).read_bytes())
    assert (len(roster.users), len(roster.classes), len(roster.enrolments), roster.faults) == (users, 2, 6, [])
    assert roster.users["usr-222-123456"].roles >= {"teacher"}
    assert roster.classes["cls-222-123456"].course_id == "crs-222-2023-456-12345"


def test_users_classes_and_enrolments() -> None:
    roster = read()
    assert roster.users["u2"].name == "Sam Doe"
    assert roster.users["u2"].logins == (("LDAP", "s1"),)
    assert [(one.class_id, one.user_id, one.role) for one in roster.enrolments] == [
        ("c1", "u1", "teacher"),
        ("c1", "u2", "student"),
    ]
    assert roster.has_all_enrolments
    assert not roster.ignored
    assert not roster.faults


def test_guardians_are_ignored_by_name_and_so_are_their_enrolments() -> None:
    roster = read(
        users=SMALL["users.csv"] + "u3,,TRUE,o,parent,pat,,Pat,Doe\n",
        enrollments=SMALL["enrollments.csv"] + "e3,,c1,u3,student\ne4,,c1,u2,proctor\n",
    )
    assert set(roster.users) == {"u1", "u2"}
    assert len(roster.enrolments) == 2
    assert [(one.line, one.sourced_id) for one in roster.ignored] == [(4, "u3"), (4, "e3"), (5, "e4")]
    assert "Pat Doe is a parent" in roster.ignored[0].reason


def test_who_is_to_be_deleted_or_inactive_is_gone() -> None:
    roster = read(
        users=USERS + "u1,inactive,TRUE,o,teacher,ada,,Ada,L\nu2,,TRUE,o,student,sam,,Sam,D\n",
        classes=CLASSES + "c1,TOBEDELETED,Physics,crs-1\n",
        enrollments=ENROLMENTS + "e2,tobedeleted,c1,u2,student\n",
    )
    assert roster.users["u1"].is_gone
    assert not roster.users["u2"].is_gone
    assert roster.classes["c1"].is_gone
    assert roster.enrolments[0].is_gone


def test_wrong_rows_are_named_and_the_rest_is_taken() -> None:
    roster = read(
        users=(USERS + "u1,,TRUE,o,teacher,ada,,Ada,L\nu1,,TRUE,o,student,x,,X,Y\n,,TRUE,o,student,x,,X,Y\n").encode()
        + b"u4,,TRUE,o,student,x,,J\xf6rg,Y\nu5,odd,TRUE,o,student,x,,X,Y\nu6,,TRUE,o,student,x,,X\n",
        classes=CLASSES + "c1,,Physics,crs-1\n..,,Dots,crs-1\n",
        enrollments=ENROLMENTS + "e1,,c1,u1,teacher\ne2,,c9,u1,teacher\ne3,,c1,u9,student\n",
    )
    assert [(one.file, one.line) for one in roster.faults] == [
        ("users.csv", 3),
        ("users.csv", 4),
        ("users.csv", 5),
        ("users.csv", 6),
        ("users.csv", 7),
        ("classes.csv", 3),
        ("enrollments.csv", 3),
        ("enrollments.csv", 4),
    ]
    assert set(roster.users) == {"u1"}
    assert len(roster.enrolments) == 1
    assert roster.unsure == {("c9", "u1"), ("c1", "u9")}
    assert roster.has_all_enrolments


@pytest.mark.parametrize(
    "row",
    [b"e3,,c1,,student\n", b"e3,,,u2,student\n", b"e3,,c1,u\xf6,student\n", b"e3,,c1,%s,student\n" % (b"u" * 200_000)],
)
def test_where_a_row_does_not_say_who_belongs_where_nobody_leaves_for_not_being_listed(row: bytes) -> None:
    roster = read(enrollments=ENROLMENTS.encode() + b"e1,,c1,u1,teacher\n" + row)
    assert len(roster.enrolments) == len(roster.faults) == 1
    assert not roster.has_all_enrolments


def test_of_whom_or_what_is_gone_the_id_is_enough() -> None:
    roster = read(users=USERS + "u1,tobedeleted,,,,,,,\n", classes=CLASSES + "c1,inactive,,\n", enrollments=ENROLMENTS)
    assert roster.users["u1"].is_gone
    assert roster.classes["c1"].is_gone
    assert not roster.faults


def test_files_may_spell_an_id_in_different_ways() -> None:
    roster = read(
        users=USERS + "jose\u0301,,TRUE,o,student,x,,Jose\u0301,Y\n",
        classes=CLASSES + "fi\u0301sica,,F,crs\n",
        enrollments=ENROLMENTS + "e1,,f\u00edsica,jos\u00e9,student\ne2,,fi\u0301sica ,jose\u0301,student\n",
    )
    assert not roster.faults
    assert {(one.class_id, one.user_id) for one in roster.enrolments} == {("f\u00edsica", "jos\u00e9")}


def test_a_title_is_shown_on_one_line() -> None:
    roster = read(classes=CLASSES + 'c1,,"Physics\n7b \u202ex",crs\nc2,,"\n\x07",crs\n', enrollments=ENROLMENTS)
    assert [one.title for one in roster.classes.values()] == ["Physics 7b x", "c2"]


def test_of_many_wrong_rows_the_first_are_listed_and_all_are_counted() -> None:
    roster = read(users=USERS + "u1,,TRUE,o,student,x,,X,Y\n" * 1_502, enrollments=ENROLMENTS)
    assert (len(roster.faults), roster.faults.total) == (1_000, 1_501)


def test_a_delta_may_name_what_it_does_not_hold() -> None:
    manifest = MANIFEST.replace("bulk", "delta").replace(
        "file.users,delta\nfile.classes,delta\n", "file.users,absent\n"
    )
    roster = roster_from(zipped({"manifest.csv": manifest, "enrollments.csv": ENROLMENTS + "e1,,c7,u7,student\n"}))
    assert len(roster.enrolments) == 1
    assert not roster.has_all_enrolments


def test_version_2_gives_roles_in_a_file_of_their_own() -> None:
    manifest = MANIFEST.replace("1.1", "1.2") + "file.roles,bulk\n"
    users = "sourcedId,status,username,givenName,familyName,preferredGivenName\nu1,,ada,Ada,L,\nu2,,sam,Samuel,D,Sam\n"
    roles = "userSourcedId,status,role\nu1,,guardian\nu2,,student\nu2,,guardian\nu1,inactive,teacher\n"
    roster = read(manifest=manifest, users=users, roles=roles)
    assert roster.users["u2"].name == "Sam D"
    assert set(roster.users) == {"u2"}
    assert roster.ignored[0].sourced_id == "u1"


def test_a_folder_around_the_files_and_a_byte_order_mark_do_no_harm() -> None:
    files = {f"roster/{name}": b"\xef\xbb\xbf" + content.encode() for name, content in SMALL.items()}
    assert len(roster_from(zipped(files | {"__MACOSX/users.csv": "x", "roster/.DS_Store": "x"})).users) == 2


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"no zip", "not a zip"),
        (zipped({"users.csv": USERS}), "no manifest.csv"),
        (zipped({"manifest.csv": MANIFEST}), "says that users.csv is in the zip"),
        (zipped(SMALL | {"manifest.csv": MANIFEST.replace("1.1", "2.0")}), "OneRoster 2.0"),
        (zipped(SMALL | {"manifest.csv": MANIFEST.replace("bulk", "most")}), "'most' of users"),
        (zipped(SMALL | {"manifest.csv": ""}), "manifest.csv is empty"),
        (zipped(SMALL | {"users.csv": "sourcedId,username\n"}), "no column givenName"),
        (zipped(SMALL | {"other/users.csv": USERS}), "users.csv twice"),
        (zipped({f"{number}.csv": "" for number in range(101)}), "100 files"),
    ],
    ids=["text", "no manifest", "missing file", "version", "mode", "empty", "column", "twice", "many"],
)
def test_what_is_no_roster_is_refused(source: bytes, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        roster_from(source)
    assert words in refused.value.message


def test_what_would_grow_without_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped_tables, "LARGEST_CONTENT", 1_000_000)
    with pytest.raises(InvalidInput, match="unpacks to more"):
        roster_from(zipped(SMALL | {"users.csv": USERS + "u" * 2_000_000}))
    monkeypatch.setattr(zipped_tables, "MOST_ROWS", 100)
    for rows in ("u\n" * 200, "\n" * 200):
        with pytest.raises(InvalidInput, match="has more than 100 lines"):
            roster_from(zipped(SMALL | {"users.csv": USERS + rows}))
    monkeypatch.setattr(zipped_tables, "LARGEST_ZIP", 10)
    with pytest.raises(InvalidInput, match="larger than"):
        roster_from(zipped(SMALL))


def test_a_broken_or_encrypted_file_is_refused() -> None:
    whole = zipped(
        SMALL | {"users.csv": USERS + "".join(f"u{number},,TRUE,o,student,x,,X,Y\n" for number in range(999))}
    )
    at = whole.index(b"users.csv") + 60
    with pytest.raises(InvalidInput, match=r"users\.csv in the zip is broken"):
        roster_from(whole[:at] + bytes(40) + whole[at + 40 :])
    locked = bytearray(zipped(SMALL))
    place = locked.rindex(b"PK\x01\x02")
    locked[place + 8] |= 1
    with pytest.raises(InvalidInput, match="encrypted"):
        roster_from(bytes(locked))


def test_a_field_that_no_csv_holds_is_named() -> None:
    roster = read(
        users=USERS + f'u1,,TRUE,o,student,x,,"{"x" * 200_000}",Y\nu2,,TRUE,o,student,sam,,Sam,D\n',
        enrollments=ENROLMENTS,
    )
    assert "cannot be read" in roster.faults[0].reason
