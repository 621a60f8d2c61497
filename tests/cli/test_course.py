"""``course``, and a curriculum that goes straight into one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mastery_engine import cli

FRAMEWORK = {
    "CFDocument": {"identifier": "doc", "title": "Year 7"},
    "CFItems": [{"identifier": "motion", "fullStatement": "Motion"}],
}


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, list(words))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


def test_a_course_is_set_shown_and_listed(tmp_path: Path) -> None:
    file = tmp_path / "physics.yaml"
    file.write_text("title: Physics\ntime_zone: Europe/Berlin\n")
    done = run("course", "put", str(file), "--course", "physics-7b")
    assert done.exit_code == 0
    assert "physics-7b: Physics, version 1" in done.stdout
    shown = json.loads(run("course", "show", "physics-7b", "--json").stdout)
    assert (shown["title"], shown["time_zone"]) == ("Physics", "Europe/Berlin")
    listed = run("course", "list")
    assert [line.split(":")[0] for line in listed.stdout.splitlines()] == ["default", "physics-7b"]
    assert "Physics, Europe/Berlin, 0 skills, 0 items" in listed.stdout


def test_a_wrong_file_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "physics.yaml"
    file.write_text("title: Physics\ntime_zone: Berlin\n")
    done = run("course", "put", str(file))
    assert done.exit_code == 1
    assert "line 2" in str(done.exception or done.stderr)
    file.write_text("title: Physics\nbadges: champion\n")
    later = run("course", "put", str(file))
    assert "line 2: badges must be a level of the course" in str(later.exception or later.stderr)
    unknown = run("course", "show", "nowhere")
    assert unknown.exit_code == 1


def test_a_framework_becomes_a_courses_curriculum(tmp_path: Path) -> None:
    file = tmp_path / "framework.json"
    file.write_text(json.dumps(FRAMEWORK))
    done = run("curriculum", "import", str(file), "--course", "physics-7b")
    assert "Put into the course physics-7b: 1 module, 1 skill, 0 not used." in done.stdout
    shown = json.loads(run("course", "show", "physics-7b", "--json").stdout)
    assert shown["curriculum"]["modules"][0]["skills"][0]["id"] == "motion"
