"""The command line as far as nothing needs to run: help, usage, tokens, simulated files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mastery_engine import __version__, cli
from mastery_engine.auth.access import Caller
from mastery_engine.auth.tokens import Tokens
from mastery_engine.errors import InvalidInput
from mastery_engine.settings import settings_from, warnings_for
from mastery_engine.wiring_clocks import system_clock
from tests.support.live import SECRET
from tests.support.processes import ROOT

COMMANDS = [
    ("serve",),
    ("worker",),
    ("status",),
    ("doctor",),
    ("demo",),
    ("token",),
    ("ingest",),
    ("replay",),
    ("dlq", "list"),
    ("dlq", "show"),
    ("dlq", "redrive"),
    ("purge",),
    ("dump",),
    ("curriculum", "check"),
    ("curriculum", "show"),
    ("profile", "test"),
    ("profile", "check"),
    ("profile", "list"),
    ("simulate",),
    ("openapi",),
    ("backtest", "skills"),
    ("fit", "skills"),
    ("backtest", "forecast"),
    ("fit", "forecast"),
]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


def run(*words: str, exits: int = 0) -> str:
    """What a command prints on standard output."""
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == exits, result.output
    return result.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    assert f"mastery-engine {' '.join(command)}" in run(*command, "--help").partition("Example")[2]


def test_the_version_is_printed() -> None:
    assert run("--version") == f"{__version__}\n"


def test_help_names_every_command() -> None:
    shown = run("--help")
    assert all(command[0] in shown for command in COMMANDS)


@pytest.mark.parametrize(
    ("imported", "heavy"),
    [
        ("cli", ["fastapi", "uvicorn", "rich.progress", "confluent_kafka", "redis", "sqlite3", "numpy", "yaml"]),
        ("service", ["mcp", "scipy", "rich.progress"]),  # agents' protocol takes a third of a start
    ],
)
def test_what_most_runs_need_is_imported_without_the_heavy_parts(imported: str, heavy: list[str]) -> None:
    code = f"import sys, mastery_engine.{imported}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT / "src")}
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("token", "--role", "headmaster"),
        ("token", "--ttl", "0"),
        ("token", "--sub", ""),
        ("token", "--sub", "two\nlines"),
        ("token", "--role", "teacher", *[word for number in range(101) for word in ("--cohort", f"c{number}")]),
        ("token", "--tenant", "Not A Tenant"),
        ("serve", "--port", "65536"),
        ("ingest", "no-such-file.jsonl"),
        ("ingest", "."),
        ("dlq", "redrive"),
        ("dlq", "redrive", "1", "--all"),
        ("dlq", "redrive", "1", "--tenant", "school-1"),
        ("dlq", "show", "first"),
        ("simulate", "--students", "0"),
        ("simulate", "--policy", "clever"),
        ("simulate", "--plot", "nowhere.svg"),
        ("curriculum", "check", "no-such-file.yaml"),
        ("profile", "test", "no-such-file.json"),
        ("profile", "test", "README.md", "--door", "scorm"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_exits_with_2(words: tuple[str, ...]) -> None:
    run(*words, exits=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("token --role boss", "'--role': 'boss' is not one of 'student', 'teacher', 'service', 'admin'."),
        ("token --ttl 0", "'--ttl': must be at least 1"),
        ("token --ttl 1e9", "'--ttl': must be a whole number"),
        ("token --ttl 99999999999999", "'--ttl': must be at most 3153600000"),
        ("dlq show x", "'ID': must be a whole number"),
        ("dlq list --after -1", "'--after': must be at least 0"),
    ],
)
def test_what_is_wrong_with_an_argument_is_said_in_our_words(words: str, said: str) -> None:
    result = CliRunner().invoke(cli.app, words.split())
    assert result.exit_code == 2
    assert f"Error: Invalid value for {said}" in result.stderr


def test_the_plain_token_may_make_every_call() -> None:
    printed = run("token")
    assert printed == printed.strip() + "\n"
    assert Tokens(SECRET, system_clock).verify(printed.strip()) == Caller("operator", "admin", "default")


def test_a_token_says_who_and_where() -> None:
    words = [
        "token",
        "--role",
        "teacher",
        "--sub",
        "ada",
        "--tenant",
        "north",
        "--student",
        "student_1",
        "--student",
        "student_2",
    ]
    caller = Tokens(SECRET, system_clock).verify(run(*words).strip())
    assert caller == Caller("ada", "teacher", "north", frozenset({"student_1", "student_2"}))


def test_a_token_as_json_says_when_it_expires() -> None:
    shown = json.loads(run("token", "--ttl", "60", "--json"))
    assert shown["expires_in"] == 60
    assert Tokens(SECRET, system_clock).verify(shown["token"]).role == "admin"


def test_without_a_secret_one_is_made_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JWT_SECRET")
    token = run("token").strip()
    kept = tmp_path / "data" / "jwt-secret"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert Tokens(kept.read_text(), system_clock).verify(token).role == "admin"
    assert Tokens(kept.read_text(), system_clock).verify(run("token").strip()).role == "admin"


def test_simulate_writes_the_same_file_again(tmp_path: Path) -> None:
    words = ("simulate", "--students", "5", "--days", "7", "--seed", "3", "--until", "2026-01-14T10:30:00")
    run(*words, "--out", str(tmp_path / "one"))
    said = json.loads(run(*words, "--out", str(tmp_path / "two"), "--json"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    events = [json.loads(line) for line in (tmp_path / "one").read_text().splitlines()]
    assert said["events"] == len(events) > 0
    assert "student_12345" in {event["student_id"] for event in events}
    assert run(*words).splitlines() == (tmp_path / "one").read_text().splitlines()


def test_openapi_prints_the_document() -> None:
    assert "/mastery/query" in json.loads(run("openapi"))["paths"]


def test_a_setting_that_cannot_be_used_is_named() -> None:
    result = CliRunner().invoke(cli.app, ["token"], env={"PORT": "many"})
    assert result.exit_code == 1
    assert "PORT" in str(result.exception)


@pytest.mark.parametrize(
    "given",
    [("--student", "no id"), ("--role", "student", "--sub", "no id"), ("--cohort", ""), ("--cohort", "x" * 101)],
)
def test_a_token_for_nobody_is_not_made(given: tuple[str, ...]) -> None:
    assert run("token", *given, exits=2) == ""


def test_a_token_names_students_and_cohorts() -> None:
    token = run("token", "--role", "teacher", "--student", "ada", "--cohort", "py-101", "--cohort", "py-102").strip()
    caller = Tokens(SECRET, system_clock).verify(token)
    assert (caller.students, caller.cohorts) == (frozenset({"ada"}), frozenset({"py-101", "py-102"}))


def test_where_a_provider_makes_the_tokens_none_is_made_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JWT_SECRET")
    monkeypatch.setenv("JWT_JWKS_URL", "https://id.example/keys")
    with pytest.raises(InvalidInput, match="identity provider"):
        CliRunner().invoke(cli.app, ["token"], catch_exceptions=False)
    assert not (tmp_path / "data" / "jwt-secret").exists()


def test_limits_that_are_off_in_production_are_a_warning() -> None:
    given = {"ENVIRONMENT": "production", "JWT_SECRET": "x" * 48, "PSEUDONYM_KEY": "y" * 48}
    given |= {"RATE_LIMIT_ENABLED": "false"}
    assert any("RATE_LIMIT_ENABLED" in one for one in warnings_for(given, settings_from(given)))
