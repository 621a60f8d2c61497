"""``profile``: what the messages of a file would become, and a school's own profiles."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mastery_engine import cli
from mastery_engine.errors import StartRefused
from mastery_engine.settings import Settings
from mastery_engine.wiring import translation_profiles

PASSED: dict[str, Any] = {
    "id": "fd41c918-b88b-4b20-a0a5-a4c32391aaa0",
    "timestamp": "2026-01-14T10:30:00Z",
    "actor": {"account": {"homePage": "https://lms.example", "name": "7"}},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/passed"},
    "object": {"id": "https://lms.example/unit/1"},
    "result": {"score": {"raw": 5, "max": 4}},
}
READ = {name: part for name, part in PASSED.items() if name != "result"} | {
    "id": "0d7a5b5e-5f4f-4d35-9d6c-0d1a8f9f5f10",
    "verb": {"id": "https://example.com/verbs/read"},
}
OWN = """
profile: our-library
door: xapi
title: Our library
recognise:
  - verb: https://example.com/verbs/read
rules:
  - rule: a-book
    events:
      - completion: {topic: object.id}
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["profile", *words])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


def written(folder: Path, content: str | bytes, name: str = "statements.json") -> str:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def test_a_file_says_what_each_statement_would_become_and_why(tmp_path: Path) -> None:
    done = run("test", written(tmp_path, json.dumps([PASSED, READ])))
    assert done.exit_code == 0
    said = done.stdout.splitlines()
    assert said[0] == f"message 1 {PASSED['id']}: evidence (rule passed of generic)"
    assert '"correct_answers":1.0' in said[1]
    assert "of 7 in https://lms.example" in said[1]
    assert said[2] == "  note: 5 points of 4 counts as all."
    assert said[3].startswith(f"message 2 {READ['id']}: ignored: The profile generic has no rule for the verb")
    assert said[-1] == "2 messages of xapi: 1 evidence, 1 ignored, 0 refused."
    found = json.loads(run("test", written(tmp_path, json.dumps([PASSED, READ])), "--json").stdout)
    assert (found["door"], found["evidence"], found["ignored"]) == ("xapi", 1, 1)
    (event,) = found["messages"][0]["events"]
    assert (event["event_type"], event["identity"]["id"]) == ("quiz", "7")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_read_one_by_one_and_a_bad_one_is_named(tmp_path: Path, *, packed: bool) -> None:
    text = f"\ufeff{json.dumps(PASSED)}\n\nno json\n[{json.dumps(READ)}, 5]\n".encode()
    done = run("test", written(tmp_path, gzip.compress(text) if packed else text))
    assert done.exit_code == 1
    said = done.stdout.splitlines()
    assert said[0].startswith("line 1 ")
    assert [line.partition(": ")[0] for line in said[3:-1]] == [
        "line 3",
        f"line 4, message 1 {READ['id']}",
        "line 4, message 2",
    ]
    assert "refused: This is not JSON" in said[3]
    assert said[-1] == "4 messages of xapi: 1 evidence, 1 ignored, 2 refused."


def test_an_envelope_of_caliper_holds_events(tmp_path: Path) -> None:
    event = {
        "type": "ToolUseEvent",
        "action": "Used",
        "actor": {"id": "https://example.edu/users/1"},
        "id": "urn:uuid:1",
    }
    done = run(
        "test", written(tmp_path, json.dumps({"sensor": "https://example.edu/s", "data": [event, {"type": "Person"}]}))
    )
    assert done.stdout.splitlines()[-1] == "2 messages of caliper: 1 evidence, 1 ignored, 0 refused."


@pytest.mark.parametrize(("content", "exits"), [("{}", 2), ("nothing", 2), ("", 2), ("[]", 2), ("5", 2)])
def test_a_file_of_which_nothing_tells_what_it_is_needs_the_door(tmp_path: Path, content: str, exits: int) -> None:
    file = written(tmp_path, content)
    assert run("test", file).exit_code == exits
    assert run("test", file, "--door", "canvas").exit_code == (0 if content == "[]" else 1)


def test_standard_input_is_read_as_a_file_is() -> None:
    done = CliRunner().invoke(cli.app, ["profile", "test", "-"], input=json.dumps(PASSED))
    assert done.stdout.splitlines()[-1] == "1 message of xapi: 1 evidence, 0 ignored, 0 refused."


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    done = run("test", written(tmp_path, gzip.compress(b"[]")[:-4]))
    assert "The compressed file is damaged" in str(done.exception)


def test_a_schools_own_profiles_are_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    file = written(folder, OWN, "library.yaml")
    written(folder, "not a profile", "README.txt")
    monkeypatch.setenv("PROFILES_DIR", str(folder))
    assert "is correct: our-library, for xapi, 1 rule." in run("check", file).stdout
    assert run("list").stdout.splitlines()[0] == "xapi: our-library (Our library), library.yaml"
    assert json.loads(run("list", "--json").stdout)["profiles"][-1]["profile"] == "openedx-tracking"
    done = run("test", written(tmp_path, json.dumps(READ)))
    assert "evidence (rule a-book of our-library)" in done.stdout


def test_wrong_profiles_stop_the_start_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "library.yaml"
    file.write_text(OWN.replace("topic", "topics"))
    with pytest.raises(
        StartRefused, match=rf"PROFILES_DIR {tmp_path} cannot be used: library.yaml, line 10: A completion"
    ):
        translation_profiles(Settings(profiles_dir=tmp_path))
    assert "line 10" in str(run("check", str(file)).exception)
    with pytest.raises(StartRefused, match="there is no such folder"):
        translation_profiles(Settings(profiles_dir=tmp_path / "nowhere"))
    with pytest.raises(StartRefused, match="it is no folder"):
        translation_profiles(Settings(profiles_dir=file))
    (tmp_path / "again.yaml").write_text(OWN)
    file.write_text(OWN)
    with pytest.raises(StartRefused, match="is called our-library too"):
        translation_profiles(Settings(profiles_dir=tmp_path))
