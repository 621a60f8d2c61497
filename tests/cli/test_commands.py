"""The commands for real, each a process of its own on a data folder."""

import gzip
import json
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import correlation
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from confluent_kafka import Consumer, Message

from mastery_engine.cli.demo import PAUSE_S, STUDENTS
from mastery_engine.domain.events.earlier_rules import STRICT_SINCE
from mastery_engine.domain.events.kinds import ALIASES, KINDS
from mastery_engine.domain.model_file import answers_from
from mastery_engine.domain.student import Student, unpack
from mastery_engine.lab.simulate.classes import BEST_KNOWN_EVERY
from mastery_engine.lab.simulate.stories import STORIES
from scripts import submit_event
from scripts.servers.cache import free_port
from scripts.servers.kafka import Kafka
from tests.support.live import Live, bearer, environment
from tests.support.processes import COMMAND, ROOT, run_command

Json = dict[str, Any]

PATIENCE_S = 60


@dataclass(frozen=True)
class Shell:
    """A shell with a data folder."""

    folder: Path

    def run(self, *words: str, exits: int = 0, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        given = environment(self.folder, settings)
        done = run_command(*words, environment=given, stdin=stdin, timeout=PATIENCE_S)
        assert done.returncode == exits, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: str, **how: Any) -> Any:
        return json.loads(self.run(*words, "--json", **how).stdout)

    def rows(self, query: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "mastery.db")) as connection, connection:
            return connection.execute(query, values).fetchall()

    def documents(self) -> dict[tuple[str, str], bytes]:
        return {
            (tenant, student): body
            for tenant, student, body in self.rows("SELECT tenant, student_id, body FROM documents")
        }


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data")


@pytest.fixture
def school(shell: Shell, tmp_path: Path) -> Path:
    """A file of a simulated class."""
    shell.run("simulate", "--students", "8", "--days", "20", "--out", str(tmp_path / "class.jsonl"))
    return tmp_path / "class.jsonl"


def lines_of(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def help_event(event_id: str, **others: Any) -> Json:
    return {"event_id": event_id, "event_type": "help", "student_id": "student_1", "data": {"topic": "loops"}, **others}


ANSWER = {
    "event_id": "a-1",
    "event_type": "answer",
    "student_id": "student_1",
    "data": {"item_id": "new", "skills": ["s"], "correct": True},
}


def file_of(path: Path, *events: Json | bytes) -> Path:
    path.write_bytes(b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in events) + b"\n")
    return path


def known(documents: dict[tuple[str, str], bytes]) -> dict[tuple[str, str], tuple[Any, ...]]:
    """All of the documents but when and with which results they were folded."""

    def lasting(student: Student) -> tuple[Any, ...]:
        return (student.evidence, student.history, student.seen, student.latest, student.received, student.floor)

    return {key: lasting(unpack(body)) for key, body in documents.items()}


def test_a_file_goes_in_and_again_changes_nothing(shell: Shell, school: Path) -> None:
    lines = len(lines_of(school))
    first = shell.json("ingest", str(school))
    assert (first["read"], first["accepted"], first["refused"], first["applied"]) == (lines, lines, 0, lines)
    before = shell.documents()
    assert len(before) == 8

    half = school.with_name("half.jsonl.gz")
    half.write_bytes(gzip.compress(b"".join(school.read_bytes().splitlines(keepends=True)[: lines // 2])))
    assert shell.json("ingest", str(school))["applied"] == 0
    assert shell.json("ingest", str(half)) | {"seconds": 0, "events_per_second": 0} == first | {
        "read": lines // 2,
        "accepted": lines // 2,
        "applied": 0,
        "seconds": 0,
        "events_per_second": 0,
    }
    assert shell.documents() == before


def test_bad_lines_are_named_and_the_rest_goes_in(shell: Shell, tmp_path: Path) -> None:
    path = file_of(
        tmp_path / "events",
        help_event("e-1"),
        b"{no json",
        help_event("e-2", colour="red"),
        help_event("e-3") | {"data": {"topic": "loops", "topik": "typo"}},
        b"",
        b'{"event_type": "help", "student_id": "student_1", "data": {"topic": "\xff"}}',
        help_event("e-4", timestamp="2019-01-01T00:00:00Z"),
        help_event("e-5", timestamp="2099-01-01T00:00:00Z"),
        help_event("e-6"),
    )
    done = shell.run("ingest", str(path), exits=1)
    complaints = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in complaints] == ["line 2", "line 4", "line 6", "line 7", "line 8"]
    for line, reason in zip(complaints, ("not JSON", "topik", "UTF-8", "older than", "after its receipt"), strict=True):
        assert reason in line
    assert "3 accepted, 5 refused; 3 applied" in done.stdout
    assert "colour" in done.stdout

    again = shell.json("ingest", str(path), exits=1)
    assert (again["read"], again["accepted"], again["applied"], again["ignored"]) == (8, 3, 0, ["colour"])
    assert [refusal["line"] for refusal in again["refusals"]] == [2, 4, 6, 7, 8]
    assert again["refusals"][1]["field"] == "data.topik"


def test_a_damaged_file_gives_what_comes_before(shell: Shell, tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(json.dumps(help_event(f"e-{n * 7_919}")) for n in range(3_000)).encode())
    (tmp_path / "events.gz").write_bytes(packed[: len(packed) // 2])
    done = shell.json("ingest", str(tmp_path / "events.gz"), exits=1)
    assert 0 < done["applied"] == done["accepted"] < 3_000
    assert "damaged" in done["refusals"][-1]["message"]


def test_standard_input_and_another_tenant(shell: Shell) -> None:
    lines = "\n".join(json.dumps(help_event(f"e-{n}", timestamp="2013-05-01T10:00:00Z")) for n in range(3))
    done = shell.json("ingest", "-", "--tenant", "north", "--shift-to-now", stdin=lines)
    assert done["applied"] == 3
    assert set(shell.documents()) == {("north", "student_1")}


def test_shifted_events_are_recent_and_the_same_the_next_day(shell: Shell, tmp_path: Path) -> None:
    old = datetime(2013, 10, 1, 9, 30, tzinfo=UTC)
    events = [
        {key: value for key, value in help_event("").items() if key != "event_id"}
        | {"timestamp": (old + timedelta(days=day)).isoformat()}
        for day in range(5)
    ]
    path = file_of(tmp_path / "events", *events)
    assert shell.json("ingest", str(path), "--shift-to-now")["applied"] == 5
    newest = unpack(shell.documents()["default", "student_1"]).latest
    age = datetime.now(UTC) - datetime.fromtimestamp(newest / 1_000_000, UTC)
    assert timedelta(0) <= age < timedelta(days=1, minutes=1)

    before = shell.documents()
    file_of(path, *events[:-1])  # which moves each of them by one day more, as tomorrow's run does
    assert shell.json("ingest", str(path), "--shift-to-now")["applied"] == 0
    assert shell.documents() == before


def test_a_replay_gives_the_same_documents(shell: Shell, school: Path) -> None:
    shell.run("ingest", str(school))
    before, results = known(shell.documents()), shell.rows("SELECT event_id FROM results ORDER BY seq")
    shell.rows("UPDATE documents SET body = (SELECT min(body) FROM documents)")
    done = shell.json("replay")
    assert done["students"] == len(before)
    assert done["events"] == len(lines_of(school))
    assert known(shell.documents()) == before
    assert shell.rows("SELECT event_id FROM results ORDER BY seq") == results


def test_what_an_earlier_engine_took_is_folded_by_a_replay_and_what_is_refused_is_said(
    shell: Shell, tmp_path: Path
) -> None:
    """Rows of the log as that engine wrote them, of the hour before the rules became strict and of the hour after."""
    shell.run("ingest", str(file_of(tmp_path / "first", ANSWER)))
    strict = datetime.fromtimestamp(STRICT_SINCE / 1_000_000, UTC)
    earlier = [
        ("execution", {"outcome": "error", "topic": "loops", "duration": 90_000.0}),
        ("answer", {"item_id": "i\t1", "skills": ["s"], "correct": True}),
        ("completion", {"topic": "   ", "total_exercises": 10, "completed_exercises": 5, "difficulty": "beginner"}),
    ]
    for hours in (-1, 1):
        at = strict + timedelta(hours=hours)
        for place, (kind, data) in enumerate(earlier):
            event = help_event(f"h{hours}-{place}", event_type=kind, data=data, timestamp=at.isoformat())
            shell.rows(
                "INSERT INTO requests (received, tenant, event_id, key, value) VALUES (?, 'default', ?, ?, ?)",
                round(at.timestamp() * 1_000_000),
                event["event_id"],
                b"student_1",
                json.dumps(event).encode(),
            )
    shell.rows("UPDATE log SET committed = (SELECT max(seq) + 1 FROM requests)")
    done = shell.json("replay")
    assert (done["events"], done["students"], done["refused"]) == (4, 1, 3)
    ((evidence,),) = [(student.evidence,) for student in map(unpack, shell.documents().values())]
    assert evidence.completion
    assert shell.rows("SELECT event_id FROM refusals ORDER BY event_id") == [("h1-0",), ("h1-1",), ("h1-2",)]
    assert shell.rows("SELECT count(*) FROM dead_letters") == [(0,)]
    assert "3 records of the log could not be folded" in shell.run("replay").stdout


def test_how_hard_items_are_is_learned_from_the_log_and_a_replay_comes_to_the_same(
    shell: Shell, school: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "model.msgpack")
    shell.run("ingest", str(school))
    before = {key: unpack(body).knowledge for key, body in shell.documents().items()}
    done = shell.json("fit", "skills", "--from-log", "--out", out)
    assert done["answers"] == sum(one["event_type"] == "answer" for one in lines_of(school)) > 0
    assert done["revisions"] == 1
    assert done["items"] > 0
    assert datetime.fromisoformat(done["since"]) > datetime.now(UTC) + timedelta(minutes=14)
    shell.run("replay", MODEL_FILE=out)
    assert {key: unpack(body).knowledge for key, body in shell.documents().items()} == before
    again = shell.run("fit", "skills", "--from-log", MODEL_FILE=out).stdout
    assert f"in the log is new: {out} was not written" in again
    for word, place in (
        ("not a file that can be written", "/dev/null"),
        ("does not exist", str(tmp_path / "no" / "m")),
    ):
        assert word in shell.run("fit", "skills", "--from-log", "--out", place, exits=1).stderr
    Path(out).chmod(0o640)
    (tmp_path / "link").symlink_to(out)
    shell.run("ingest", str(file_of(tmp_path / "more", ANSWER)))
    later = shell.json("fit", "skills", "--from-log", "--ahead", "30", MODEL_FILE=str(tmp_path / "link"))
    assert (later["items"], later["revisions"]) == (1, 2)
    assert Path(out).stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link").is_symlink()
    made = shell.json("fit", "skills", "--from-log", MODEL_FILE=str(tmp_path / "new.json"))
    assert len(json.loads(Path(made["file"]).read_bytes())["skills"]["revisions"]) == 1
    shell.run("fit", "skills", exits=2)
    shell.run("fit", "skills", str(school), "--from-log", exits=2)


def test_the_next_answer_is_learned_from_the_log_and_a_replay_comes_to_the_same(
    shell: Shell, school: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "model.msgpack")
    shell.run("ingest", str(school))
    before = {key: unpack(body).answers for key, body in shell.documents().items()}
    assert any(before.values())
    done = shell.json("fit", "answers", "--from-log", "--out", out)
    assert done["new_answers"] == sum(one["event_type"] == "answer" for one in lines_of(school)) > 0
    assert (done["answers"], done["part"]) == (done["new_answers"], "*")
    assert done["items"] > 0
    assert datetime.fromisoformat(done["since"]) > datetime.now(UTC) + timedelta(minutes=14)
    shell.run("replay", MODEL_FILE=out)
    assert {key: unpack(body).answers for key, body in shell.documents().items()} == before
    again = shell.run("fit", "answers", "--from-log", MODEL_FILE=out).stdout
    assert f"in the log is new: {out} was not written" in again
    shell.run("ingest", str(file_of(tmp_path / "more", ANSWER)))
    later = shell.json("fit", "answers", "--from-log", "--ahead", "30", MODEL_FILE=out)
    assert (later["new_answers"], later["answers"]) == (1, done["answers"] + 1)
    own = shell.json("fit", "answers", "--from-log", "--ahead", "45", "--tenant", "default", MODEL_FILE=out)
    assert (own["part"], own["new_answers"]) == ("default/default", done["answers"] + 1)
    assert shell.json("fit", "answers", "--from-log", "--tenant", "other", MODEL_FILE=out)["new_answers"] == 0
    assert set(answers_from(Path(out).read_bytes()).parts) == {"*", "default/default"}
    shell.run("fit", "answers", exits=2)
    shell.run("fit", "answers", str(school), "--from-log", exits=2)
    assert "tenant may hold only" in shell.run("fit", "answers", "--from-log", "--tenant", "No School", exits=2).stderr


def test_dead_letters_are_listed_shown_and_redriven(shell: Shell, tmp_path: Path) -> None:
    shell.run("ingest", str(file_of(tmp_path / "events", help_event("e-0"))))
    poison = b'{"event_type": "help", "student_id": "student_1", "event_id": "e-1", "data": {"topic": 5}}'
    sound = json.dumps(help_event("e-2")).encode()
    now = time.time_ns() // 1_000
    for event_id, value in (("e-1", poison), ("e-2", b"\xff\x00")):
        shell.rows(
            "INSERT INTO requests (received, tenant, event_id, key, value) VALUES (?, 'default', ?, ?, ?)",
            now,
            event_id,
            b"student_1",
            value,
        )
    shell.run("ingest", str(file_of(tmp_path / "events", help_event("e-3"))))

    first, second = shell.json("dlq", "list")
    assert (first["student_id"], first["event_id"], first["code"]) == ("student_1", "e-1", "VALIDATION_ERROR")
    assert "data.topic must be a text, not a whole number." in shell.run("dlq", "list").stdout
    shown = shell.json("dlq", "show", str(first["id"]))
    assert shown["value"] == poison.decode()
    assert shell.json("dlq", "show", str(second["id"]))["value"] == "\\xff\x00"
    assert "\\u0000" in (seen := shell.run("dlq", "show", str(second["id"])).stdout)
    assert "\x00" not in seen, "a terminal obeys what it is shown"

    shell.rows("UPDATE dead_letters SET value = ? WHERE letter_id = ?", sound, second["id"])
    done = shell.json("dlq", "redrive", str(first["id"]), str(second["id"]), exits=1)
    assert done == {"redriven": [first["id"], second["id"]], "skipped": [], "empty": [], "failed_again": 1}
    letters = shell.json("dlq", "list")
    assert [bool(letter["redriven"]) for letter in letters] == [True, True, False]
    assert shell.json("dlq", "redrive", str(first["id"]))["skipped"] == [first["id"]]
    assert shell.json("dlq", "list", "--tenant", "school-9") == []
    assert shell.json("dlq", "list", "--tenant", "default") == letters
    assert shell.json("dlq", "redrive", "--all", "--tenant", "school-9")["redriven"] == []
    assert shell.json("dlq", "redrive", "--all", exits=1)["redriven"] == [letters[2]["id"]]
    (last,) = [letter for letter in shell.json("dlq", "list") if not letter["redriven"]]
    shell.rows("UPDATE dead_letters SET key = NULL, value = NULL WHERE letter_id = ?", last["id"])
    assert shell.json("dlq", "redrive", str(last["id"]))["empty"] == [last["id"]]
    nothing = {"redriven": [], "skipped": [], "empty": [], "failed_again": 0}
    assert shell.json("dlq", "redrive", "--all") == nothing
    assert "no dead letter 99" in shell.run("dlq", "show", "99", exits=1).stderr

    assert shell.json("ingest", str(file_of(tmp_path / "events", help_event("e-2"))))["applied"] == 0
    audited = {call for (call,) in shell.rows("SELECT call FROM audit WHERE subject = 'cli'")}
    assert audited == {"ingest", "dlq-list", "dlq-show", "dlq-redrive"}


def test_courses_are_calibrated_from_the_log(shell: Shell, school: Path) -> None:
    assert "The log has no events yet." in shell.run("calibrate").stdout
    shell.run("ingest", str(school))
    shell.run("ingest", str(school), "--tenant", "school-1")
    done = shell.json("calibrate")
    assert [(one["tenant"], one["course_id"], one["calibrated"]) for one in done["courses"]] == [
        ("default", "default", False),
        ("school-1", "default", False),
    ]
    weeks = done["courses"][0]["student_weeks"]
    assert 0 < weeks < 300
    assert done["courses"][0]["missing"] == 300 - weeks
    said = shell.run("calibrate", "--tenant", "school-1", "--course", "default").stdout
    assert said.startswith(f"Tenant school-1, course default: not calibrated yet. It has {weeks} student-weeks, and ")
    assert len(said.splitlines()) == 1
    assert "no events of tenant nobody" in shell.run("calibrate", "--tenant", "nobody", exits=1).stderr
    assert "no events of course physics" in shell.run("calibrate", "--course", " physics ", exits=1).stderr
    assert "a course's id" in shell.run("calibrate", "--course", "..", exits=2).stderr
    assert "may hold only a-z" in shell.run("calibrate", "--tenant", "A B", exits=2).stderr


def test_purge_takes_out_what_is_old(shell: Shell, school: Path) -> None:
    shell.run("ingest", str(school))
    done = shell.json("purge", GDPR_RETENTION_DAYS="3")
    assert done["documents"] > 0
    assert done["retention_days"] == 3
    today = datetime.now(UTC).date().toordinal() - date(1970, 1, 1).toordinal()
    for body in shell.documents().values():
        assert all(point.day > today - 3 for point in unpack(body).history.points())


def test_export_and_erase_as_the_law_asks(shell: Shell, tmp_path: Path) -> None:
    ours, theirs = help_event("e-1"), help_event("e-2", student_id="student_2")
    shell.run("ingest", str(file_of(tmp_path / "events", ours, theirs)))
    shell.run("ingest", str(file_of(tmp_path / "elsewhere", ours)), "--tenant", "school-2")
    found = json.loads(shell.run("export", "student_1").stdout)
    assert (found["student_id"], [one["event_id"] for one in found["events"]]) == ("student_1", ["e-1"])
    asked = shell.run("erase", "student_1", stdin="n\n", exits=1).stdout
    assert "Erase student_1 of the tenant default for good?" in asked
    assert shell.json("export", "student_1")["document"] == found["document"]

    done = shell.json("erase", "student_1", "--yes")
    assert min(done["removed_from_store"], done["removed_from_log"]) > 0
    assert "Nothing is held about this student." in shell.run("export", "student_1", exits=1).stderr
    late = shell.run("ingest", str(file_of(tmp_path / "late", help_event("e-3"))), exits=1)
    assert "not consented to processing" in late.stdout + late.stderr
    assert shell.documents().keys() == {("default", "student_2"), ("school-2", "student_1")}
    assert "Proof: " in shell.run("erase", "student_1", "--tenant", "school-2", stdin="y\n").stdout
    assert all(b"student_1" not in file.read_bytes() for file in shell.folder.iterdir())


class TestBesideARunningService:
    @pytest.fixture
    def live(self, shell: Shell, tmp_path: Path) -> Iterator[Live]:
        with Live(shell.folder, home=tmp_path / "live") as live:
            yield live

    def test_ingest_hands_over_and_waits(self, shell: Shell, school: Path, live: Live) -> None:
        done = shell.json("ingest", str(school))
        assert (done["accepted"], done["applied"]) == (len(lines_of(school)), None)
        with live.client() as client:
            for event in lines_of(school)[-20:]:
                answer = client.get(f"/students/{event['student_id']}/events/{event['event_id']}")
                assert answer.json()["data"]["status"] == "processed"

    def test_courses_are_calibrated_beside_it_and_it_heeds_them(self, shell: Shell, school: Path, live: Live) -> None:
        shell.run("ingest", str(school))
        (course,) = shell.json("calibrate")["courses"]
        with live.client() as client:
            answer = client.post("/predictions/next-week", json={"student_id": "student_12345"})
            assert answer.json()["data"]["calibration"] == {
                name: course[name] for name in ("calibrated", "coverage", "student_weeks", "as_of")
            }

    def test_a_student_is_exported_and_erased(self, shell: Shell, live: Live) -> None:
        with live.client() as client:
            assert client.post("/mastery/ingest", json=help_event("e-1")).status_code == 202
            assert [one["event_id"] for one in shell.json("export", "student_1")["events"]] == ["e-1"]
            shell.run("erase", "student_1", "--yes")
            assert client.post("/mastery/query", json={"student_id": "student_1"}).status_code == 404
            assert client.post("/mastery/ingest", json=help_event("e-2")).status_code == 403

    def test_a_token_opens_it(self, shell: Shell, live: Live) -> None:
        token = shell.run("token").stdout.strip()
        with live.client(token) as client:
            assert client.post("/mastery/query", json={"student_id": "student_1"}).status_code == 404

    @pytest.mark.parametrize("command", ["replay", "worker", "serve", "demo"])
    def test_what_works_the_log_itself_does_not_start(self, shell: Shell, live: Live, command: str) -> None:
        done = shell.run(command, exits=1, PORT=str(free_port()))
        assert f"Another process already works the data folder {shell.folder}" in done.stderr

    def test_a_taken_port_is_named(self, shell: Shell, live: Live, tmp_path: Path) -> None:
        for command in ("serve", "demo"):
            done = Shell(tmp_path / "other").run(command, "--port", live.settings["PORT"], exits=1)
            assert live.settings["PORT"] in done.stderr

    def test_submit_event_takes_every_type(
        self, shell: Shell, live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["--student", "student_1", "--url", live.url]
        given = environment(shell.folder, {})
        del given["PYTHONPATH"]
        with patch.dict("os.environ", given, clear=True):
            for kind in (*KINDS, *ALIASES):
                monkeypatch.setattr(sys, "argv", ["submit_event.py", *words, "--type", kind])
                submit_event.main()
                assert json.loads(capsys.readouterr().out)["data"]["status"] == "queued"
        script = [sys.executable, str(ROOT / "scripts" / "submit_event.py"), *words]
        in_course = [*script, "--type", "quiz", "--course", " edX/DemoX/2026 "]
        assert subprocess.run(in_course, env=given, capture_output=True).returncode == 0
        eventually(lambda: "edX/DemoX/2026" in shell.run("course", "list", "--json").stdout)
        assert subprocess.run([*in_course[:-1], "a\nb"], env=given, capture_output=True).returncode == 1


def test_submit_event_goes_to_kafka_where_there_is_one(shell: Shell, kafka: Kafka) -> None:
    """The broker is one for all tests: the event's id and the reader's group are this test's own."""
    shell.run("topics", "create", KAFKA_BROKER=kafka.bootstrap)
    event_id = f"submitted-{uuid.uuid4()}"
    given = environment(shell.folder, {"KAFKA_BROKER": kafka.bootstrap})
    words = [sys.executable, str(ROOT / "scripts" / "submit_event.py"), "--type", "quiz", "--student", "student_1"]
    done = subprocess.run([*words, "--tenant", "north", "--id", event_id], env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "queued"

    reader = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": event_id, "auto.offset.reset": "earliest"})
    reader.subscribe(["mastery.requests"])
    found: list[Message] = []

    def submitted() -> bool:
        found.extend(one for one in reader.consume(100, 1) if event_id.encode() in (one.value() or b""))
        return bool(found)

    eventually(submitted)
    reader.close()
    (message,) = found
    assert message.headers() == [("tenant", b"north")]
    assert json.loads(message.value() or b"")["event_type"] == "quiz"


def test_the_worker_works_the_log_and_ends_with_0(shell: Shell, school: Path) -> None:
    with started(shell, "worker") as worker:
        done = shell.json("ingest", str(school))
        assert (done["accepted"], done["applied"]) == (len(lines_of(school)), None)
        assert len(shell.documents()) == 8
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == 0


def test_a_signal_ends_serve_with_0(shell: Shell) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        port = free_port()
        with started(shell, "serve", "--port", str(port)) as serve:
            eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200)  # noqa: B023
            serve.send_signal(number)
            assert serve.wait(PATIENCE_S) == 0


def test_demo_is_a_living_class_that_goes_on(shell: Shell) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    query = {"student_id": "student_12345", "include_components": True}
    completions: list[int] = []
    for _ in range(2):
        with started(shell, "demo", "--port", str(port)) as demo:
            eventually(lambda: "export JWT_TOKEN=" in said(shell))
            token = said(shell).partition("export JWT_TOKEN=")[2].split()[0]
            answer = httpx.post(f"{url}/mastery/query", json=query, headers=bearer(token))
            assert answer.status_code == 200
            assert answer.json()["data"]["current_mastery"]["coverage"] == 1.0
            teacher = said(shell).partition("with this token:")[2].split()[0]
            page = httpx.get(f"{url}/dashboard", cookies={"mastery_session": teacher})
            assert ("Your students" in page.text, "/students/student_12345" in page.text) == (True, True)
            assert tells_its_stories(url, token, page.text)
            page = httpx.get(f"{url}/dashboard/students/student_12345", cookies={"mastery_session": teacher})
            assert "Calibrated for this course" in page.text, "when the page first shows a forecast"
            assert knows_here_what_the_map_knows(url, token), "what was learned of the class serves"
            student = unpack(shell.documents()["default", "student_12345"])
            completions.append(sum(progress.completed for progress in student.evidence.completion.values()))
            (before,) = shell.rows("SELECT max(seq) FROM requests")
            eventually(lambda: shell.rows("SELECT max(seq) FROM requests") > [before])  # noqa: B023
            demo.send_signal(signal.SIGTERM)
            assert demo.wait(PATIENCE_S) == 0
    assert completions[1] >= completions[0] > 0
    assert len(shell.documents()) == STUDENTS


def tells_its_stories(url: str, token: str, class_page: str) -> bool:
    """Each story's student has a name, at the door too, and is on the class's list for the reasons of their story."""
    with httpx.Client(base_url=url, headers=bearer(token)) as client:
        doors = client.get("/dashboard", headers={"Authorization": ""}).text
        names = {
            story.code: client.get(f"/students/{story.student_id}/profile").json()["data"]["display_name"]
            for story in STORIES
        }
        assert all(name in doors and name in class_page for name in names.values())
        figures = client.post("/analytics/cohort", json={"cohort_id": "py-101"}).json()["data"]
        found = {one["student_id"]: {why["code"] for why in one["reasons"]} for one in figures["at_risk"]}
        badges = client.get("/students/student_12345/badges").json()["data"]["badges"]
    by_story = {story.code: found.get(story.student_id, set()) for story in STORIES}
    assert ("struggle" in by_story["stuck"], "inactive" in by_story["vanished"]) == (True, True)
    assert badges[0]["url"].startswith(url.replace("127.0.0.1", "localhost"))
    return "low_score" in by_story["new"]


def knows_here_what_the_map_knows(url: str, token: str) -> bool:
    """The next answers on skills with evidence have a basis, and stand in about the order of the map."""
    with httpx.Client(base_url=url, headers=bearer(token)) as client:
        asked: Json = {"student_id": "student_12345"}
        shown = client.post("/analytics/skills", json=asked).json()["data"]["skills"]
        on_map = {one["skill"]: one["probability"] for one in shown if one["basis"] == "answers"}
        items = [{"item_id": f"never-{name}", "skills": [name]} for name in on_map]
        found = client.post("/predictions/next-answer", json=asked | {"items": items}).json()["data"]
    chances = [one["probability"] for one in found]
    return {one["basis"] for one in found} == {"skills"} and correlation(list(on_map.values()), chances) > 0.5


def test_the_best_known_student_does_something_every_30_seconds() -> None:
    assert BEST_KNOWN_EVERY * PAUSE_S[1] <= 30


@contextmanager
def started(shell: Shell, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    shell.folder.mkdir(exist_ok=True)
    with (shell.folder.parent / "out").open("wb") as out:
        process = subprocess.Popen([*COMMAND, *words], env=environment(shell.folder, {}), stdout=out, stderr=out)
    try:
        if words[0] == "worker":
            eventually(lambda: "started" in said(shell))
        yield process
    finally:
        process.kill()
        process.wait()


def said(shell: Shell) -> str:
    return (shell.folder.parent / "out").read_text()


def eventually(holds: Any) -> None:
    """Wait until it holds; a server that is not there yet does not count."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            if holds():
                return
        except (httpx.TransportError, sqlite3.OperationalError):
            pass
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("token", "--role", "student", "--sub", "ada@school.example"), "use an opaque id"),
        (("token", "--role", "teacher", "--student", "ada.lovelace"), "use an opaque id"),
        (("token", "--role", "teacher", "--cohort", " "), "1 to 100"),
        (("export", "ada@school.example"), "use an opaque id"),
        (("erase", "x" * 51, "--yes"), "use an opaque id"),
        (("simulate", "--cohort", "a\x07b"), "control"),
        (("ingest", "-", "--tenant", "North"), "may hold only a-z"),
    ],
)
def test_an_option_that_is_no_id_says_what_to_do(shell: Shell, words: tuple[str, ...], said: str) -> None:
    refused = shell.run(*words, exits=2)
    assert said in " ".join(refused.stderr.replace("│", " ").split())
