"""``roster import``: what it says, tried and done."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mastery_engine import cli
from tests.support.rosters import ENROLMENTS, school


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["roster", "import", *words])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


def test_a_roster_is_tried_imported_and_then_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "school.zip"
    file.write_bytes(school(enrollments=ENROLMENTS + "e1,,c1,t1,teacher\ne2,,c1,u1,student\ne3,,c1,nobody,student\n"))
    tried, done, again = run(str(file), "--dry-run"), run(str(file)), run(str(file))
    assert [one.exit_code for one in (tried, done, again)] == [0, 0, 0]
    assert "nothing was changed" in tried.stdout
    for one in (tried, done):
        assert "users: 3 added, 0 changed, 0 removed, 0 as they were" in one.stdout
        assert "teachers of classes: 1 added" in one.stdout
        assert "users.csv line 5 (p1): Pat Doe is a parent" in one.stdout
        assert "1 row wrong:\n  enrollments.csv line 4 (e3): users.csv has no sound user 'nobody'." in one.stdout
    assert "users: 0 added, 0 changed, 0 removed, 3 as they were" in again.stdout
    other = json.loads(run(str(file), "--tenant", "school-1", "--json").stdout)
    assert (other["users"]["added"], other["classes"]["added"], other["wrong_count"]) == (3, 2, 1)


def test_what_is_no_roster_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "school.zip"
    file.write_bytes(b"no zip")
    done = run(str(file))
    assert done.exit_code == 1
    assert "is not a zip" in str(done.exception)
