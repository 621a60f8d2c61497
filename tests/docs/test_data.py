"""What docs/data.md shows is run: dumps of a class, read by pandas, polars and DuckDB, and taken in again."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.responses.dumps import ROWS
from tests.support.live import environment
from tests.support.processes import ROOT, run_command

DATA = (ROOT / "docs" / "data.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DATA, re.MULTILINE | re.DOTALL)


def test_the_page_leads_from_an_engine_to_frames_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(line: str, data_dir: Path) -> str:
        command, *words = shlex.split(line)
        assert command == "mastery-engine"
        done = run_command(*words, environment=environment(data_dir, {}), folder=tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run("mastery-engine simulate --students 6 --days 20 --out class.jsonl", tmp_path / "data")
    run("mastery-engine ingest class.jsonl", tmp_path / "data")
    dumps, back = blocks("bash")
    for line in dumps.splitlines():
        assert "Wrote" in run(line, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    (reading,) = blocks("python")
    exec(compile(reading, "docs/data.md", "exec"), found)
    assert list(found["scores"].columns) == list(ROWS["scores"].__struct_fields__)
    assert len(found["scores"]) == 6
    assert found["scores"]["last_updated"].dt.tz is not None
    assert found["skills"].height > 3
    events = len((tmp_path / "class.jsonl").read_text().splitlines())
    assert sum(row[2] for row in found["weeks"].fetchall()) == events
    assert all(0 <= share <= 1 for _, share in found["quizzes"].fetchall())
    assert f"{events:,} accepted, 0 refused; {events:,} applied" in run(back.strip(), tmp_path / "fresh")


def test_the_columns_are_those_of_the_page() -> None:
    rows = [line.split("|") for line in DATA.splitlines() if re.match(r"\| `\w+` \|", line)]
    assert {row[1].strip(" `"): re.findall(r"`(\w+)`", row[3]) for row in rows} == {
        what: list(kind.__struct_fields__) for what, kind in ROWS.items()
    }
