"""The commands as a shell and a person meet them: help, completion, closed pipes, Ctrl-C, prompts, wrong input."""

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mastery_engine import cli
from mastery_engine.cli.plain import plain_range, plain_type
from mastery_engine.cli.refusals import NAMED, what_of_accepted
from mastery_engine.errors import MasteryError
from tests.support.live import SECRET, Live, environment
from tests.support.processes import COMMAND, ROOT, run_command, started

LIBRARIES = re.compile(
    r"Traceback|pydantic|msgspec|sqlite3?\.|redis\.|Errno|codec|click|typer|Value error|zlib|decompress|CRC|yaml\."
    r"|object has no|invalid literal|could not convert|engine itself|unexpected extra|No such option",
    re.IGNORECASE,
)


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that name it."""
    group = group or get_command(cli.app)
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


ALL = dict(commands())
LEAVES = {path: command for path, command in ALL.items() if not hasattr(command, "commands")}
RUNNING = {("serve",), ("worker",), ("demo",), ("bench",), ("mcp",)}  # they run until they are stopped


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def said(*words: str, typed: str | bytes = b"") -> tuple[int, str]:
    """The exit code of a command, and all that it says, as the process would."""
    result = CliRunner().invoke(cli.app, words, input=typed)
    error = result.exception
    if error is None or isinstance(error, SystemExit):
        return result.exit_code, result.output
    if isinstance(error, MasteryError):
        return 1, f"{result.output}Error: {error.message}"
    assert isinstance(error, OSError), f"{words}: {error!r}"
    return 1, f"{result.output}Error: {error.strerror}: {error.filename}"


@pytest.mark.parametrize("path", [(), *ALL], ids=" ".join)
def test_no_help_is_cut_and_each_is_in_sentences_with_an_example(path: tuple[str, ...]) -> None:
    code, shown = said(*path, "--help")
    usage, _, rest = shown.partition("\n")
    assert code == 0
    assert usage.startswith("Usage: ")
    assert "…" not in shown
    assert not re.search(r"\.\.\.$", rest, re.MULTILINE), "something is cut"
    assert max(map(len, shown.splitlines())) <= 80
    assert not re.search(r"<(str|int|float|bool|path|file|directory|list)\b|<=|>=|None", rest), "a library's words"
    first = rest.strip().partition("\n\n")[0]
    assert first[0].isupper()
    assert first.endswith(".")
    examples = rest.partition("  Example")[2].partition("\n\n")[0]
    assert " ".join(("mastery-engine", *path)) in examples
    if path in LEAVES:
        undescribed = [one.name for one in LEAVES[path].params if not (one.help or "").strip()]
        assert undescribed == []


def test_bash_completes_commands_options_and_their_values(tmp_path: Path) -> None:
    """By a real bash that has read what --install-completion wrote, as a new shell would."""
    folder = tmp_path / "bin"
    folder.mkdir()
    engine = folder / "mastery-engine"
    engine.write_text(f'#!/bin/sh\nexec {sys.executable} -m mastery_engine "$@"\n')
    engine.chmod(0o755)
    given = environment(tmp_path / "data", {}) | {"HOME": str(tmp_path), "PATH": f"{folder}:{os.environ['PATH']}"}
    script = """
mastery-engine --install-completion; true
source ~/.bashrc
function_of() { complete -p mastery-engine | sed 's/.*-F \\([^ ]*\\).*/\\1/'; }
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); $(function_of) "$1" "${!#}" "${@: -2:1}"; echo "${COMPREPLY[*]}"; }
try mastery-engine do
try mastery-engine token --role t
try mastery-engine dlq ""
"""
    done = subprocess.run(["bash", "-c", script], env=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    installed, *completed = done.stdout.strip().split("\n", 1)
    assert "Completion for bash was installed in" in installed
    assert completed[0].split() == ["doctor", "teacher", "list", "show", "redrive"]
    asked = given | {"_MASTERY_ENGINE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "mastery-engine doc"}
    told = subprocess.run([*COMMAND], env=asked, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "and say what to mend." in told, "what a shell shows beside a command is cut"


def test_where_the_shell_is_not_known_completion_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: None)
    monkeypatch.delenv("SHELL", raising=False)
    for option in ("--install-completion", "--show-completion"):
        code, words = said(option)
        assert code == 2
        assert "or set SHELL" in words
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert "#compdef mastery-engine" in said("--show-completion")[1]
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert "complete --command mastery-engine" in said("--show-completion")[1]


def test_a_students_token_asks_whose_it_is_and_says_so_without_a_terminal(tmp_path: Path) -> None:
    code, words = said("token", "--role", "student")
    assert code == 2
    assert "--sub student_12345" in words
    ours, theirs = pty.openpty()
    with TemporaryFile() as out, TemporaryFile() as asked, os.fdopen(theirs, "rb", buffering=0) as terminal:
        os.write(ours, b"ada\n")
        process = started(
            *("token", "--role", "student", "--json"),
            environment=environment(tmp_path / "data", {}),
            out=out,
            errors=asked,
            stdin=terminal,
        )
        assert process.wait(60) == 0
        out.seek(0)
        assert json.loads(out.read())["sub"] == "ada"
    os.close(ours)


def test_consent_is_shown_and_set_beside_a_running_service(tmp_path: Path) -> None:
    with Live(tmp_path / "live", home=tmp_path, LOG_LEVEL="WARNING") as live, live.client() as client:

        def run(*words: str, fails: int = 0) -> str:
            done = run_command("consent", *words, environment=environment(live.data_dir, live.settings))
            assert done.returncode == fails, done.stderr
            return done.stdout

        assert run("get", "ada") == "ada allows processing and profiling.\n"
        assert run("set", "ada", "--profiling", "false").startswith("ada allows processing, not profiling.\n")
        assert client.get("/compliance/students/ada/consent").json()["data"]["profiling"] is False
        shown = json.loads(run("set", "ada", "--processing", "false", "--profiling", "true", "--json"))
        assert (shown["processing"], shown["profiling"], len(shown["history"])) == (False, True, 2)
        run("set", "ada", fails=2)
        run("set", "ada", "--processing", "maybe", fails=2)
        event = {"event_type": "help", "student_id": "ada", "data": {"topic": "loops"}}
        assert client.post("/mastery/ingest", json=event).status_code == 403


@pytest.mark.parametrize("form", ["native", "xapi", "caliper", "canvas", "openedx"])
def test_of_a_wholly_wrong_file_20_lines_are_named_and_the_rest_counted(tmp_path: Path, form: str) -> None:
    path = tmp_path / "wrong.txt"
    path.write_text("".join(f"{number}\n" for number in range(1_000)))
    code, words = said("ingest", str(path), "--format", form, "--json")
    done, _ = json.JSONDecoder().raw_decode(words[words.index("{") :])
    assert code == 1
    assert (done["read"], done["refused"], len(done["refusals"])) == (1_000, 1_000, NAMED)
    assert len(re.findall(r"^line \d+: ", words, re.MULTILINE)) == NAMED
    assert "and 980 more" in words
    assert "applied" not in words.replace('"applied"', "")


def test_where_nothing_went_in_nothing_is_said_to_be_applied() -> None:
    assert what_of_accepted(0, None) == ""
    assert what_of_accepted(3, None) == "the running service has applied the new ones; "
    assert what_of_accepted(3, 2) == "2 applied, 1 known before; "


def test_nothing_good_is_lost_and_all_that_is_bad_is_named_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mixed.jsonl"
    good = json.dumps({"event_type": "help", "student_id": "ada", "data": {"topic": "loops"}})
    path.write_text("nonsense\n" * 50 + f"{good}\n" + "nonsense\n" * 50)
    code, words = said("ingest", str(path))
    assert code == 1
    assert len(re.findall(r"^line \d+: ", words, re.MULTILINE)) == 100
    assert "1 accepted, 100 refused" in words
    monkeypatch.setattr("mastery_engine.cli.refusals.HELD", 5)
    code, words = said("ingest", str(path))
    assert "25 lines more before the first good one" in words


def test_a_wholly_wrong_file_of_messages_is_cut_by_profile_test_too(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps([1] * 500))
    code, words = said("profile", "test", str(path), "--door", "xapi")
    assert code == 1
    assert "and 480 more messages" in words


def wrong_values(folder: Path) -> list[str]:
    """What a person might give by mistake, among it files that are something else."""
    packed = bytearray(gzip.compress(b'{"a": 1}\n' * 1_000))
    (folder / "cut.gz").write_bytes(packed[:30])
    packed[20] ^= 255
    (folder / "bent.gz").write_bytes(packed)
    (folder / "wide.json").write_bytes('{"a": 1}\n'.encode("utf-16"))
    (folder / "nul").write_bytes(bytes(100))
    (folder / "deep.json").write_bytes(b"[" * 100_000)
    (folder / "wrong.yaml").write_text("a: [1, 2\nb: &b *b")
    rows = b"student_id,item_id,skill_id,correct,timestamp\na,b,\xff,maybe,never\n"
    (folder / "wrong.csv").write_bytes(rows)
    files = [str(path) for path in sorted(folder.iterdir()) if path.is_file()]
    return ["", "x", "-1", "1e9", "9" * 20, "tür", "a b", "\x1b[31m", "http://x:99999999", "[::", "None", "nan", *files]


SLOW = {"--students", "--days", "--url"}  # a number that is taken begins long work, an address is called


def test_whatever_is_wrong_is_said_in_our_words(tmp_path: Path) -> None:
    """Each argument and option of each command gets some wrong values by turns, the others what they need."""
    tried = 0
    turns = cycle(wrong_values(tmp_path))
    for path, command in LEAVES.items():
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        options = [one for one in command.params if one.param_type_name == "option" and not one.is_flag]
        usual = {one.name: "1" for one in arguments if one.required}
        usual |= {one.name: "https://x.example" for one in options if one.required}
        for one in () if path in RUNNING else [*arguments, *options]:
            for wrong in () if one.opts[0] in SLOW else (next(turns), next(turns)):
                given = usual | {one.name: wrong}
                words = [word for each in options if each.name in given for word in (each.opts[0], given[each.name])]
                words += ["--", *(given[each.name] for each in arguments if each.name in given)]
                code, shown = said(*path, *words)
                shown = re.sub(rf"{re.escape(str(tmp_path))}[\w./-]*", "", shown)  # what was given may be said
                assert code in (0, 1, 2), (words, shown)
                assert not LIBRARIES.search(shown), (words, shown)
                assert "\x1b" not in shown, (words, shown)
                tried += 1
    assert tried > 200


@pytest.mark.parametrize("words", ["nonsense", "token extra", "token --nix", "token --role", "token --json=3", "--nix"])
def test_what_is_no_command_or_option_is_said_in_our_words(words: str) -> None:
    code, shown = said(*words.split())
    assert code == 2
    assert re.search(
        r"^Error: (There is no|The command takes no further|--\w+ (needs a|takes no) value)", shown, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("shown", "plain"),
    [
        ("<str>", "TEXT"),
        ("<list[str]>", "TEXT"),
        ("<int range>", "NUMBER"),
        ("<list[float]>", "NUMBER"),
        ("<file>", "FILE"),
        ("<a|b>", "<a|b>"),
        ("<list[a|b]>", "<a|b>"),
    ],
)
def test_what_a_value_is_has_a_plain_name(shown: str, plain: str) -> None:
    assert plain_type(shown) == plain


@pytest.mark.parametrize(
    ("shown", "plain"), [("1<=x<=100", "1 to 100"), ("x>=0.5", "from 0.5"), ("x<=7", "up to 7"), (None, None)]
)
def test_a_range_is_said_in_words(shown: str | None, plain: str | None) -> None:
    assert plain_range(shown) == plain


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_goes_away_is_no_failure_to_speak_of(tmp_path: Path, reader: str) -> None:
    script = f"set -o pipefail; {' '.join(COMMAND)} simulate --students 30 --days 30 | {reader} >/dev/null"
    given = environment(tmp_path / "data", {})
    done = subprocess.run(["bash", "-c", script], env=given, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def test_ctrl_c_ends_a_command_without_a_word(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "simulate", "--students", "50", "--days", "60"],
        env=environment(tmp_path / "data", {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"{")  # what follows fills the pipe, so that it waits
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")


def test_what_cannot_be_written_is_an_error_in_a_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "token"], env=environment(tmp_path, {}), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"Error: No space left on device.\n")


def test_a_fault_of_the_engines_own_is_a_line_unless_all_of_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert "KeyError" in str(ended.value)
    assert "secret detail" not in str(ended.value)
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    with pytest.raises(KeyError):
        cli.main()


HEAVY = ["fastapi", "uvicorn", "rich", "confluent_kafka", "redis", "sqlite3", "numpy", "yaml", "jinja2", "mcp", "httpx"]


@pytest.mark.parametrize(
    ("words", "more"),
    [(["--help"], ["jwt", "cryptography", "mastery_engine.settings"]), (["token"], ["mastery_engine.wiring"])],
    ids=["help", "token"],
)
def test_what_is_started_often_imports_nothing_heavy(tmp_path: Path, words: list[str], more: list[str]) -> None:
    """Time is as the machine; what is imported is what it is made of (0.2 s and 0.4 s where nothing else runs)."""
    code = (
        "import sys\nfrom mastery_engine.__main__ import main\n"
        f"sys.argv = ['mastery-engine', *{words}]\n"
        f"try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY + more} if name in sys.modules], file=sys.stderr)"
    )
    given = environment(tmp_path, {}) | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
