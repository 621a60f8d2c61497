"""``credentials``: made, listed and revoked, each beside whatever runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mastery_engine import cli


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["credentials", *words])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


def test_a_credential_is_made_listed_and_revoked() -> None:
    made = run("create", "--name", "Moodle", "--tenant", "school-1", "--door", "xapi", "--course", "physics", "--json")
    credential = json.loads(made.stdout)
    assert credential.keys() == {"key", "secret"}
    assert len(credential["secret"]) >= 43  # 256 bits in Base64
    again = run("create", "--name", "All doors")
    assert "secret: mes_" in again.stdout
    (of_school,) = json.loads(run("list", "--tenant", "school-1", "--json").stdout)["credentials"]
    assert (of_school["key"], of_school["doors"], of_school["course_id"]) == (credential["key"], ["xapi"], "physics")
    listed = run("list")
    assert [line.split(":")[1].split(",")[0].strip() for line in listed.stdout.splitlines()] == ["All doors", "Moodle"]
    assert credential["secret"] not in listed.stdout
    assert run("revoke", credential["key"]).stdout == f"Revoked {credential['key']}: Moodle.\n"
    assert run("revoke", credential["key"]).exit_code == 1
    assert "Moodle" not in run("list").stdout


def test_there_may_be_none() -> None:
    assert run("list").stdout == "There are no credentials.\n"


@pytest.mark.parametrize("words", [("create",), ("create", "--name", "a", "--door", "lti"), ("revoke",)])
def test_what_is_no_command_is_2(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2
