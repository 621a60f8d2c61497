"""Faults that an operator meets: a second server, a corrupt file, a full disk, a taken port, bad settings and rules."""

import hashlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from mastery_engine.__main__ import main
from tests.support.live import Live, bearer, environment, make_token, refused_start
from tests.support.small_disk import mounted_small_disk, need_a_disk

STUDENT = "student_12345"
COMPONENTS = {"completion": 0.85, "quiz": 0.90, "quality": 0.85, "consistency": 0.82}


def check_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The start was refused with one sentence that has these words in it, and without a stack trace."""
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in said
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_second_server_on_a_data_folder_or_a_port_is_refused(tmp_path: Path) -> None:
    with Live(tmp_path / "data", home=tmp_path) as live:
        check_refused(refused_start(tmp_path / "data"), str(tmp_path / "data"), "already", "DATA_DIR")
        port = live.settings["PORT"]
        check_refused(refused_start(tmp_path / "other", PORT=port), port, "--port")
        with live.client() as client:
            assert client.get("/ready").status_code == 200


def damage(name: str, sound: bytes) -> bytes:
    return {
        "another file": b"not a database " * 1_000,
        "first byte": b"x" + sound[1:],
        "cut in half": sound[: len(sound) // 2],
        "first page alone": sound[:4_096],
    }[name]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database with a student in it."""
    home = tmp_path_factory.mktemp("sound")
    with Live(home / "data", home=home) as live, live.client() as client:
        body = {"student_id": STUDENT, "components": COMPONENTS}
        assert client.post("/mastery/calculate", json=body).status_code == 200
    return (home / "data" / "mastery.db").read_bytes()


@pytest.mark.parametrize("name", ["another file", "first byte", "cut in half", "first page alone"])
def test_a_corrupt_database_refuses_the_start_and_is_left_as_it_is(tmp_path: Path, sound: bytes, name: str) -> None:
    file = tmp_path / "mastery.db"
    file.write_bytes(damage(name, sound))
    before = hashlib.sha256(file.read_bytes()).digest()
    check_refused(refused_start(tmp_path), str(file), "left as it is", "backup")
    assert hashlib.sha256(file.read_bytes()).digest() == before


def event(number: int = 0) -> dict[str, object]:
    data = {"total_questions": 10, "correct_answers": 9, "topic": "x" * 100}
    return {"event_id": str(uuid4()), "event_type": "quiz", "student_id": f"student_{number}", "data": data}


def check_full_disk(live: Live) -> list[str]:
    """Fill the disk over HTTP until it says so; the ids of what was acknowledged."""
    kept: list[str] = []
    with live.client() as client:
        assert client.post("/mastery/ingest", json=event()).status_code == 202
        deadline = time.monotonic() + 60
        while True:
            events = [event() for _ in range(500)]
            answer = client.post("/mastery/ingest/batch", json={"events": events})
            if answer.status_code != 202:
                break
            kept.extend(str(one["event_id"]) for one in events)
            assert time.monotonic() < deadline, "the disk does not fill"
        assert answer.status_code == 503, answer.text
        assert "disk is full" in answer.json()["error"]["message"]
        assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200
        for _ in range(3):
            assert client.post("/mastery/query", json={"student_id": "student_0"}).status_code == 200
    return kept


def check_works_again(live: Live, kept: list[str]) -> None:
    """What was acknowledged is processed, and more is taken."""
    with live.client() as client:
        more = event(1)
        deadline = time.monotonic() + 30
        while client.post("/mastery/ingest", json=more).status_code != 202:
            assert time.monotonic() < deadline, "it does not work again"
            time.sleep(0.2)
        for event_id, student_id in [(more["event_id"], "student_1"), *((one, "student_0") for one in kept[::100])]:
            while True:
                found = client.get(f"/students/{student_id}/events/{event_id}").json()["data"]["status"]
                if found == "processed":
                    break
                assert time.monotonic() < deadline, f"{event_id} is {found}"
                time.sleep(0.05)


def test_on_a_full_disk_nothing_acknowledged_is_lost_and_queries_go_on(tmp_path: Path) -> None:
    with mounted_small_disk(tmp_path, "6m") as disk, Live(disk / "data", home=tmp_path) as live:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(2**21))
        kept = check_full_disk(live)
        ballast.unlink()
        check_works_again(live, kept)


def test_where_files_may_not_grow_it_is_the_same(tmp_path: Path) -> None:
    with Live(tmp_path / "data", home=tmp_path, LOG_LEVEL="ERROR") as live:
        assert live.pid is not None
        _, most = resource.prlimit(live.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(live.pid, resource.RLIMIT_FSIZE, (2**20, most))
        kept = check_full_disk(live)
        resource.prlimit(live.pid, resource.RLIMIT_FSIZE, (most, most))
        check_works_again(live, kept)


BAD_SETTINGS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "port is a word": ({"PORT": "http"}, ("PORT",)),
    "port too high": ({"PORT": "65536"}, ("PORT",)),
    "environment": ({"ENVIRONMENT": "staging"}, ("ENVIRONMENT", "production")),
    "no calls at once": ({"MAX_CONCURRENT_REQUESTS": "0"}, ("MAX_CONCURRENT_REQUESTS",)),
    "no retention": ({"GDPR_RETENTION_DAYS": "0"}, ("GDPR_RETENTION_DAYS",)),
    "retention is a word": ({"GDPR_RETENTION_DAYS": "ninety"}, ("GDPR_RETENTION_DAYS",)),
    "log level": ({"LOG_LEVEL": "loud"}, ("LOG_LEVEL", "DEBUG")),
    "worker": ({"WORKER_ENABLED": "perhaps"}, ("WORKER_ENABLED",)),
    "store without a server": ({"STATE_STORE": "redis"}, ("REDIS_HOST",)),
    "log without a server": ({"EVENT_LOG": "kafka"}, ("KAFKA_BROKER",)),
    "host": ({"HOST": "256.1.1.1"}, ("cannot listen on 256.1.1.1", "HOST must be")),
    "two at once": ({"PORT": "x", "LOG_LEVEL": "y"}, ("PORT", "LOG_LEVEL")),
    "no secret in production": ({"ENVIRONMENT": "production", "JWT_SECRET": ""}, ("JWT_SECRET", "32", "python -c")),
    "no key of pseudonyms in production": (
        {"ENVIRONMENT": "production", "JWT_SECRET": "x" * 32, "PSEUDONYM_KEY": ""},
        ("PSEUDONYM_KEY", "32", "python -c"),
    ),
    "short secret in production": ({"ENVIRONMENT": "production", "JWT_SECRET": "x" * 31}, ("JWT_SECRET", "32")),
    "known secret in production": (
        {"ENVIRONMENT": "production", "JWT_SECRET": "secure-random-value-change-in-production"},
        ("JWT_SECRET",),
    ),
    "no rules": ({"RULES_FILE": "/nowhere/rules.yaml"}, ("RULES_FILE", "/nowhere/rules.yaml")),
    "data folder is a file": ({"DATA_DIR": "/dev/null"}, ("DATA_DIR", "/dev/null")),
    "data folder takes no files": ({"DATA_DIR": "/proc"}, ("/proc",)),
}


class StartHere:
    """`mastery-engine serve` in this process, for starts that are refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        self._monkeypatch.setattr(os, "environ", environment(data_dir, {"PORT": "0", **settings}))
        self._monkeypatch.setattr(sys, "argv", ["mastery-engine", "serve"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        code = ended.value.code
        if isinstance(code, str):  # Python prints it, and exits 1
            return subprocess.CompletedProcess(sys.argv, 1, said.out, f"{said.err}{code}\n")
        return subprocess.CompletedProcess(sys.argv, code or 0, said.out, said.err)


@pytest.fixture
def start_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[StartHere]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield StartHere(monkeypatch, capsys)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_a_bad_setting_stops_the_start_and_is_named(tmp_path: Path, start_here: StartHere, name: str) -> None:
    settings, words = BAD_SETTINGS[name]
    done = start_here(tmp_path, **settings)
    check_refused(done, *words)
    secret = settings.get("JWT_SECRET")
    assert not secret or secret not in done.stdout + done.stderr


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_setting_that_is_nearly_ours_and_a_short_secret_are_warnings(tmp_path: Path) -> None:
    short = "short-secret"
    settings = {"GDPR_RETENTION_DAY": "30", "JWT_SECRET": short}
    with Live(tmp_path / "data", home=tmp_path, **settings) as live:
        warnings = [line for line in live.log_text().splitlines() if '"WARNING"' in line]
        assert any("GDPR_RETENTION_DAY " in line and "GDPR_RETENTION_DAYS" in line for line in warnings)
        assert any("JWT_SECRET" in line and "32" in line for line in warnings)
        assert short not in live.log_text()
        with live.client(make_token(secret=short)) as client:
            assert client.post("/mastery/query", json={"student_id": STUDENT}).status_code == 404


def test_production_starts_with_a_good_secret(tmp_path: Path) -> None:
    need_a_disk(tmp_path)
    with Live(tmp_path / "data", home=tmp_path, ENVIRONMENT="production") as live, live.client() as client:
        assert client.get("/").json()["data"]["environment"] == "production"


RULES = """
weights: {completion: 0.25, quiz: 0.25, quality: 0.25, consistency: 0.25}
levels:
  - {name: beginner, from_score: 0}
  - {name: learning, from_score: 0.40}
  - {name: proficient, from_score: 0.70}
  - {name: mastered, from_score: 0.90}
"""


def test_a_school_may_have_rules_of_its_own(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with Live(tmp_path / "data", home=tmp_path, RULES_FILE=str(rules)) as live, live.client() as client:
        for components, score, level in [
            (COMPONENTS, 0.855, "proficient"),
            (dict.fromkeys(COMPONENTS, 0.9), 0.9, "mastered"),
            ({"quiz": 1.0}, 0.25, "beginner"),
            ({"quiz": 1.0, "quality": 0.6}, 0.4, "learning"),
        ]:
            body = {"student_id": STUDENT, "components": components, "record": False}
            current = client.post("/mastery/calculate", json=body).json()["data"]["current_mastery"]
            assert (current["mastery_score"], current["level"]) == (score, level)
            assert {part["weight"] for part in current["breakdown"]} == {0.25}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("weights: {completion: 0.9, quiz: 0.9, quality: 0.1, consistency: 0.1}", "their sum must be 1"),
        ("weights: {completion: 1.2, quiz: -0.2, quality: 0, consistency: 0}", "weights"),
        ("weigths: {completion: 1}", "weigths"),
        ("levels: [{name: low, from_score: 0.5}]", "evels"),
        ("levels: [{name: a, from_score: 0}, {name: a, from_score: 0.5}]", "name"),
        ("levels: []", "evels"),
        ("weights: [", "YAML"),
        ("- 1", "rules"),
        ("\x00", "YAML"),
    ],
)
def test_broken_rules_stop_the_start_and_say_what_is_wrong(
    tmp_path: Path, start_here: StartHere, text: str, word: str
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(text)
    done = start_here(tmp_path / "data", RULES_FILE=str(rules))
    assert done.returncode == 1
    assert word in done.stderr
    assert str(rules) in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_sigterm_finishes_what_is_under_way_and_exits_0(tmp_path: Path) -> None:
    with Live(tmp_path / "data", home=tmp_path) as live:
        with live.client() as client:
            events = [event(number) for number in range(1_000)]
            assert client.post("/mastery/ingest/batch", json={"events": events}).status_code == 202
        began = time.monotonic()
        live.stop(grace=30)
        assert live.exit_code == 0
        assert time.monotonic() - began < 30
        live.start()
        with live.client() as client:
            deadline = time.monotonic() + 10
            for one in events[::200]:
                path = f"/students/{one['student_id']}/events/{one['event_id']}"
                while client.get(path).json()["data"]["status"] != "processed":
                    assert time.monotonic() < deadline
                    time.sleep(0.05)


def test_the_secret_that_development_makes_is_kept_to_its_owner(tmp_path: Path) -> None:
    with Live(tmp_path / "data", home=tmp_path, JWT_SECRET="") as live:
        file = tmp_path / "data" / "jwt-secret"
        assert file.stat().st_mode & 0o777 == 0o600
        secret = file.read_text()
        assert len(secret) >= 32
        live.restart()
        assert file.read_text() == secret
        assert secret not in live.log_text()
        answer = httpx.post(
            f"{live.url}/mastery/query", json={"student_id": STUDENT}, headers=bearer(make_token(secret=secret))
        )
        assert answer.status_code == 404


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("live")
    with Live(home / "data", home=home) as running:
        yield running


def test_bodies_that_do_not_come_are_given_up(live: Live) -> None:
    """Callers that hold their bodies back keep nobody out meanwhile."""
    port = int(live.settings["PORT"])
    lines = ["POST /mastery/query HTTP/1.1", "Host: x", f"Authorization: Bearer {make_token()}", "Content-Length: 9"]
    head = "\r\n".join([*lines, "", "{"]).encode()
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(110)]
    try:
        for one in held:
            one.sendall(head)
        with live.client() as client:
            assert client.post("/mastery/query", json={"student_id": "nobody"}).status_code == 404
        held[0].settimeout(30)
        assert b" 408 " in held[0].recv(200)
    finally:
        for one in held:
            one.close()


def test_head_is_get_without_the_body(live: Live) -> None:
    answer = httpx.head(f"{live.url}/health")
    assert (answer.status_code, answer.content) == (200, b"")
