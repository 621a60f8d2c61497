"""What the README shows is run: its shell examples against a live server, its commands and paths looked up."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import Live, environment, make_token
from tests.support.processes import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
CALLS = [block for block in BLOCKS if "curl " in block]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("readme")
    with Live(home / "data", home=home, LOG_LEVEL="WARNING") as started:
        yield started


def shell(script: str, live: Live, folder: Path, **more: str) -> str:
    """What a script prints, with the live server in the place of localhost:8005. The script must succeed."""
    here = script.replace("http://localhost:8005", live.url)
    given = {**environment(live.data_dir, live.settings), **more}
    given["PATH"] = f"{BIN}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here],
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def documents(text: str) -> list[Any]:
    """The JSON documents that stand one after another in what curl printed; other text is left out."""
    found, place = [], 0
    while (place := text.find("{", place)) >= 0:
        try:
            document, length = json.JSONDecoder().raw_decode(text[place:])
        except ValueError:
            break
        found.append(document)
        place += length
    return found


def test_the_token_of_the_readme_is_good(live: Live, tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "export JWT_TOKEN" in block]
    token = shell(f'{block}\necho "$JWT_TOKEN"', live, tmp_path).strip()
    with live.client(token) as client:
        answer = client.post("/mastery/calculate", json={"student_id": "s", "components": {"quiz": 1.0}})
        assert answer.status_code == 200


def test_every_call_of_the_readme_works(live: Live, tmp_path: Path) -> None:
    """In an order in which the student is known when it is asked about: the event first."""
    assert len(CALLS) >= 6
    with live.client() as client:
        client.post("/mastery/ingest", json=_event())
        _wait(lambda: client.post("/mastery/query", json={"student_id": "student_12345"}).status_code == 200)
    for block in CALLS:
        printed = shell(block, live, tmp_path, JWT_TOKEN=make_token())
        answers = documents(printed)
        assert len(answers) >= block.count("curl ") - block.count("/metrics"), printed
        for answer in answers:
            assert answer["success"] is True, answer
        if "/mastery/calculate" in block:
            current = answers[0]["data"]["current_mastery"]
            assert (current["mastery_score"], current["level"]) == (0.862, "proficient"), "as the README says"
        if "/metrics" in block:
            assert "mastery_http_requests_total" in printed


def _event() -> dict[str, Any]:
    data = {"total_exercises": 10, "completed_exercises": 8, "difficulty": "intermediate"}
    return {"event_type": "completion", "student_id": "student_12345", "data": data}


def _wait(done: Any) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_script_submits_an_event(live: Live, tmp_path: Path) -> None:
    (command,) = re.findall(r"`python (scripts/submit_event\.py [^`]*)`", README)
    there = f"{ROOT}/{command.replace('student_12345', 'student_script')} --url {live.url}"
    shell(f"python {there}", live, tmp_path)
    with live.client() as client:
        _wait(lambda: client.post("/mastery/query", json={"student_id": "student_script"}).status_code == 200)


def test_the_command_line_examples_work(live: Live, tmp_path: Path) -> None:
    """Beside a running service, with its data folder; what needs it stopped, or takes minutes, is left out."""
    (block,) = [block for block in BLOCKS if "mastery-engine simulate" in block]
    lines = {line.split()[1]: line for line in block.splitlines()}
    assert lines.keys() == {"ingest", "replay", "dlq", "simulate", "curriculum", "bench"}
    shell(lines["simulate"].replace("--students 100 --days 60", "--students 2 --days 3"), live, tmp_path)
    shell(f"mv class.jsonl events.jsonl && gzip events.jsonl && {lines['ingest']}", live, tmp_path)
    shell(lines["dlq"], live, tmp_path)
    assert "graph LR" in shell(lines["curriculum"], live, tmp_path)
    shell(f"{lines['replay'].partition('#')[0].strip()} --help", live, tmp_path)


def commands(pattern: str) -> set[str]:
    """What a pattern finds in the examples, their comments left out, and in the text's commands."""
    examples = re.sub(r"#.*$", "", "\n".join(BLOCKS), flags=re.MULTILINE)
    return set(re.findall(pattern, "\n".join([examples, *re.findall(r"`([^`\n]+)`", README)])))


def test_every_target_of_make_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    found = commands(r"\bmake ([a-z]+)")
    assert {"run", "test"} <= found
    for target in found:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_of_the_engine_is_there() -> None:
    done = subprocess.run([BIN / "mastery-engine", "--help"], capture_output=True, text=True, check=True)
    for command in commands(r"\bmastery-engine ([a-z]+)"):
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE), command


@pytest.mark.parametrize("tool", ["pytest", "black", "flake8", "mypy", "bandit"])
def test_the_tools_of_the_brief_are_installed_and_named(tool: str) -> None:
    assert tool in README
    assert (BIN / tool).exists()


def test_what_the_project_structure_names_is_there() -> None:
    (tree,) = re.findall(r"^```text\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    base, *lines = tree.splitlines()
    names = [name for line in lines for name in re.findall(r"\b[a-z]+(?:/|\.py)", line[:14])]
    assert len(names) >= 8
    for name in names:
        assert (ROOT / base / name).exists(), name
