"""The scripts that agents run locally: each says what the engine would, of the same events."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import environment
from tests.support.processes import ROOT, run_command

STUDENT = "student_12345"


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class")
    words = ("simulate", "--students", "2", "--days", "25", "--out", str(folder / "events.jsonl"))
    run_command(*words, environment=environment(folder, {}), check=True)
    return folder / "events.jsonl"


def said(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(ROOT / "src" / "skills" / script), *words]
    return subprocess.run(argv, env=environment(ROOT, {}), capture_output=True, text=True, check=False)


def answer(script: str, *words: str) -> Any:
    done = said(script, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_patterns_come_with_their_evidence(events: Path) -> None:
    found = answer("pattern_matcher.py", str(events), STUDENT)
    assert found.keys() == {"patterns", "struggles"}
    assert {one["kind"] for one in found["patterns"]} >= {"rhythm"}
    strengths = [one["strength"] for one in found["patterns"]]
    assert strengths == sorted(strengths, reverse=True)


def test_advice_comes_best_first(events: Path) -> None:
    found = answer("adaptive_engine.py", str(events), STUDENT)
    assert 1 <= len(found) <= 5
    assert all(one["expected_gain"] >= 0 for one in found)
    assert len({(one["action"], one["area"]) for one in found}) == len(found)


@pytest.mark.parametrize("script", ["pattern_matcher.py", "adaptive_engine.py"])
def test_what_cannot_be_used_is_named(events: Path, tmp_path: Path, script: str) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(b"\xef\xbb\xbf" + events.read_bytes().split(b"\n", 1)[0] + b"\n{")  # the mark is passed over
    for words, word in (
        ([str(bad), STUDENT], "Line 2"),
        ([str(events), "nobody"], "no event of nobody"),
        ([], "Usage"),
    ):
        done = said(script, *words)
        assert done.returncode == 1
        assert word in done.stderr
