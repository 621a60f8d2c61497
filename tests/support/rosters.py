"""OneRoster zips for tests: a small school, and what changes of it."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

FOREIGN = Path(__file__).resolve().parents[3] / "shared" / "data" / "foreign" / "oneroster"
BULK = "propertyName,value\noneroster.version,1.1\nfile.users,bulk\nfile.classes,bulk\nfile.enrollments,bulk\n"
DELTA = BULK.replace("bulk", "delta")
USERS = "sourcedId,status,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName\n"
CLASSES = "sourcedId,status,title,courseSourcedId\n"
ENROLMENTS = "sourcedId,status,classSourcedId,userSourcedId,role\n"
SCHOOL = {
    "manifest.csv": BULK,
    "users.csv": USERS
    + "t1,,TRUE,o,teacher,ada@school,{LTI:sub-9},Ada,Lovelace\n"
    + "u1,,TRUE,o,student,sam,{LDAP:s1},Sam,Doe\n"
    + "u2,active,TRUE,o,student,kim,,Kim,Ono\n"
    + "p1,,TRUE,o,parent,pat,,Pat,Doe\n",
    "classes.csv": CLASSES + "c1,,Physics 7b,crs-1\nc2,,Latin,crs-2\n",
    "enrollments.csv": ENROLMENTS
    + "e1,,c1,t1,teacher\ne2,,c1,u1,student\ne3,,c1,u2,student\ne4,,c2,u2,student\ne5,,c1,p1,student\n",
}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    target = BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def school(**changed: str) -> bytes:
    """The small school with some of its files changed, by their names without the ending."""
    return zipped(SCHOOL | {f"{name}.csv": content for name, content in changed.items()})


def delta(*, users: str = "", classes: str = "", enrolments: str = "") -> bytes:
    """A zip that says only what changed, by rows."""
    return zipped(
        {
            "manifest.csv": DELTA,
            "users.csv": USERS + users,
            "classes.csv": CLASSES + classes,
            "enrollments.csv": ENROLMENTS + enrolments,
        }
    )
