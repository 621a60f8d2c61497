"""``ingest --format``: files of other platforms' messages, and what it says of each."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mastery_engine import cli

PERSON = "https://lms.example.edu/users/554433"
FORMATS = ("xapi", "caliper", "canvas", "openedx")


def at(days_ago: float = 0.1) -> str:
    return (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()


def message(kind: str, number: int = 1, days_ago: float = 0.1) -> dict[str, Any]:
    """A grade of 8 of 10, or a right answer, as a platform says it."""
    match kind:
        case "xapi":
            return {
                "id": f"7ccd3322-e1a5-411a-a67d-6a735c7{number:05}",
                "actor": {"account": {"homePage": "https://lms.example.edu", "name": "554433"}},
                "verb": {"id": "http://adlnet.gov/expapi/verbs/scored"},
                "object": {"id": f"https://lms.example.edu/quiz/{number}"},
                "result": {"score": {"raw": 8, "min": 0, "max": 10}},
                "timestamp": at(days_ago),
            }
        case "caliper":
            return {
                "id": f"urn:uuid:a50ca17f-5971-47bb-8fca-4e6e687{number:05}",
                "type": "GradeEvent",
                "action": "Graded",
                "eventTime": at(days_ago),
                "object": {"assignee": PERSON, "assignable": f"https://lms.example.edu/quiz/{number}"},
                "generated": {"maxScore": 10, "scoreGiven": 8},
            }
        case "canvas":
            body = {"student_id": "48", "submission_id": str(number), "score": 8, "points_possible": 10}
            return {"metadata": {"event_name": "grade_change", "event_time": at(days_ago)}, "body": body}
    course = "course-v1:edX+DemoX+Demo"
    block = f"block-v1:edX+DemoX+Demo+type@problem+block@{number:032x}"
    return {
        "name": "problem_check",
        "event_type": "problem_check",
        "event_source": "server",
        "time": at(days_ago),
        "username": "ada",
        "context": {"course_id": course, "module": {"usage_key": block}},
        "event": {
            "problem_id": block,
            "success": "correct",
            "grade": 8,
            "max_grade": 10,
            "attempts": 1,
            "submission": {f"{number:032x}_2_1": {"correct": True, "question": "?", "response_type": "choiceresponse"}},
        },
    }


def ingest(path: Path, *words: str, exits: int = 0) -> dict[str, Any]:
    done: Result = CliRunner().invoke(cli.app, ["ingest", str(path), "--json", *words])
    assert done.exit_code == exits, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


@pytest.mark.parametrize("kind", FORMATS)
def test_however_a_file_is_laid_out_its_messages_count_once(tmp_path: Path, kind: str) -> None:
    messages = [message(kind, number) for number in (1, 2)]
    lines = "\n".join(map(json.dumps, messages))
    files = [
        written(tmp_path / "lines", lines + "\n"),
        written(tmp_path / "list", json.dumps(messages)),
        written(tmp_path / "pretty", json.dumps(messages, indent=2)),
        written(tmp_path / "lists", "\n".join([json.dumps([one]) for one in messages])),
        written(tmp_path / "bom", "\ufeff" + lines),
        tmp_path / "packed",
    ]
    files[-1].write_bytes(gzip.compress(lines.encode()))
    found = [ingest(file, "--format", kind) for file in files]
    assert [(one["read"], one["evidence"], one["ignored"], one["refused"]) for one in found] == [(2, 2, 0, 0)] * 6
    assert [one["applied"] for one in found] == [found[0]["events"], *[0] * 5]
    assert found[0]["events"] >= 2


def test_an_envelope_of_caliper_is_its_events(tmp_path: Path) -> None:
    envelope = {"sensor": "s", "dataVersion": "v", "data": [message("caliper", 1), {"type": "Person", "id": PERSON}]}
    done = ingest(written(tmp_path / "envelope", json.dumps(envelope, indent=1)), "--format", "caliper")
    assert (done["read"], done["evidence"], done["ignored"]) == (2, 1, 1)
    assert done["reasons"][-1]["status"] == "ignored"


def test_each_refused_message_is_named_and_the_rest_goes_in(tmp_path: Path) -> None:
    old = message("xapi", 2, days_ago=400)
    watched = {**message("xapi", 3), "verb": {"id": "http://id.tincanapi.com/verb/viewed"}, "result": {}}
    text = "\n".join([json.dumps(message("xapi")), "{", json.dumps(old), "", json.dumps([watched, 7])])
    file = written(tmp_path / "statements", text)
    done = ingest(file, "--format", "xapi", exits=1)
    assert (done["read"], done["evidence"], done["ignored"], done["refused"], done["applied"]) == (5, 1, 1, 3, 1)
    assert [one["where"] for one in done["refusals"]] == ["line 2", "line 3", "line 5, message 2"]
    assert done["refusals"][1]["id"] == old["id"]
    assert "older than the 90 days" in done["refusals"][1]["message"]
    words = CliRunner().invoke(cli.app, ["ingest", str(file), "--format", "xapi"])
    assert "Read 5 messages of xapi: 1 evidence (1 event), 1 ignored, 3 refused; 0 applied, 1 known" in words.stdout
    assert "line 2: " in words.stderr


def test_a_broken_file_is_one_refusal(tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(gzip.compress(json.dumps(message("canvas")).encode() * 50)[:-20])
    for file in (tmp_path / "cut", written(tmp_path / "half", '[\n{"metadata": {}')):
        done = ingest(file, "--format", "canvas", exits=1)
        assert done["refused"] >= 1
        assert done["evidence"] == 0
    assert ingest(written(tmp_path / "none", ""), "--format", "canvas")["read"] == 0


def test_old_messages_are_moved_to_now_by_whole_days_once(tmp_path: Path) -> None:
    messages = [message("openedx", 1, days_ago=900.5), message("openedx", 2, days_ago=903)]
    file = written(tmp_path / "tracking.log", "\n".join(map(json.dumps, messages)))
    assert ingest(file, "--format", "openedx", exits=1)["refused"] == 2
    moved = ingest(file, "--format", "openedx", "--shift-to-now")
    assert (moved["evidence"], moved["refused"], moved["shifted_days"]) == (2, 0, 900)
    assert moved["applied"] == moved["events"]
    assert ingest(file, "--format", "openedx", "--shift-to-now")["applied"] == 0


def test_what_names_no_course_goes_to_the_one_that_is_given(tmp_path: Path) -> None:
    grade, answer = message("xapi"), message("openedx")
    ingest(written(tmp_path / "xapi", json.dumps(grade)), "--format", "xapi", "--course", " algebra ")
    ingest(written(tmp_path / "openedx", json.dumps(answer)), "--format", "openedx", "--course", "algebra")
    done = CliRunner().invoke(cli.app, ["course", "list", "--json"])
    assert {one["course_id"] for one in json.loads(done.stdout)["courses"]} >= {
        "algebra",
        answer["context"]["course_id"],
    }
    native = CliRunner().invoke(cli.app, ["ingest", str(written(tmp_path / "own", "")), "--course", "algebra"])
    assert (native.exit_code, "course_id" in native.output) == (2, True)


def test_an_unknown_format_is_2(tmp_path: Path) -> None:
    file = written(tmp_path / "messages", "{}")
    assert CliRunner().invoke(cli.app, ["ingest", str(file), "--format", "scorm"]).exit_code == 2
