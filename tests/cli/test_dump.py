"""``dump``: what its files hold, as pandas, polars and DuckDB read them, and what it leaves where it is killed."""

import asyncio
import json
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from mastery_engine.cli.dump import What, _dump
from mastery_engine.cli.dump_files import FORMS, arrow_schema
from mastery_engine.responses.dumps import ROWS
from tests.support.live import environment
from tests.support.processes import COMMAND, run_command, started

KINDS: tuple[What, ...] = get_args(What)
TIMES = {"events": ["timestamp", "received"], "scores": ["last_updated"], "skills": ["last_practised"]}
NESTED = {"events": ["data", "metadata"], "scores": ["components"], "forecasts": ["days", "calibration"]}


class Folder:
    """A data folder, and files beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *words: str, exits: int = 0) -> "subprocess.CompletedProcess[str]":
        done = run_command(*words, environment=environment(self.path / "data", {}), folder=self.path)
        assert done.returncode == exits, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def lines(self, name: str) -> list[Any]:
        return [json.loads(line) for line in (self.path / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The dumps of a class that was folded, in all formats."""
    made = Folder(tmp_path_factory.mktemp("school"))
    made.run("simulate", "--students", "6", "--days", "25", "--out", "class.jsonl")
    made.run("ingest", "class.jsonl")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment(made.path / "data", {}).items():
            patched.setenv(name, value)
        for what in KINDS:
            for form in FORMS:
                done = asyncio.run(_dump(what, form, made.path / f"{what}.{form}", "default", None, force=False))
                assert done.rows >= 6
    return made


@pytest.mark.parametrize("what", KINDS)
def test_all_formats_say_the_same_to_pandas_polars_and_duckdb(school: Folder, what: str) -> None:
    """Full precision, real times and structs in Parquet, JSON in the cells of CSV."""
    lines = school.lines(f"{what}.jsonl")
    names = list(ROWS[what].__struct_fields__)
    assert lines
    assert [list(line) for line in lines] == [names] * len(lines)
    file = str(school.path / what)
    frame = pd.read_parquet(f"{file}.parquet")
    assert parquet.read_schema(f"{file}.parquet").equals(arrow_schema(ROWS[what]))
    assert list(frame.columns) == pl.read_parquet(f"{file}.parquet").columns == names
    polars = pl.read_parquet(f"{file}.parquet").to_dicts()
    ((rows,),) = duckdb.sql(f"SELECT count(*) FROM '{file}.parquet'").fetchall()
    assert len(frame) == len(polars) == rows == len(lines)
    cells = pd.read_csv(f"{file}.csv", dtype=str, keep_default_na=False).to_dict("records")
    assert len(cells) == len(pl.read_csv(f"{file}.csv")) == len(lines)
    for line, row, cell in zip(lines, polars, cells, strict=True):
        if what == "scores":
            del line["timestamp"], row["timestamp"]  # the moment of each dump
        for name, value in line.items():
            text = cell[name]
            if name in NESTED.get(what, []):
                assert (json.loads(text) if text else None) == value
            elif name in TIMES.get(what, []):
                assert row[name] == (None if value is None else moment(value))
                assert text == (value or "")
            else:
                assert row[name] == value
                assert (value if isinstance(value, str) else json.loads(text or "null")) == value
        assert given(row) == given(line)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def given(row: Any) -> Any:
    """What is nested in a row, without what is null; days are texts."""
    if isinstance(row, dict):
        return {name: given(value) for name, value in row.items() if value is not None and name != "metadata"}
    if isinstance(row, list):
        return [given(one) for one in row]
    if isinstance(row, str) and row[4:5] == "-" and "T" in row:
        return moment(row)
    return row if isinstance(row, str | int | float | datetime) else row.isoformat()


def test_parquet_has_a_column_for_every_field_of_every_kind() -> None:
    data = arrow_schema(ROWS["events"]).field("data").type
    assert data.field("activity_dates").type == pa.list_(pa.date32())
    assert data.field("skills").type == pa.list_(pa.string())
    assert data.field("components").type.field("quiz").type == pa.float64()
    assert data.field("correct").type == pa.bool_()


def test_standard_output_has_rows_alone_and_a_reader_may_stop(school: Folder) -> None:
    done = school.run("dump", "scores", "--format", "jsonl", "--out", "-")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        line | {"timestamp": found["timestamp"]}
        for line, found in zip(school.lines("scores.jsonl"), map(json.loads, done.stdout.splitlines()), strict=True)
    ]
    assert "Wrote 6 rows of scores to -" in done.stderr
    script = f"{' '.join(COMMAND)} dump events --format csv --out - | head -n 1"
    given = environment(school.path / "data", {})
    stopped = subprocess.run(["bash", "-c", script], env=given, capture_output=True, text=True, check=True)
    assert stopped.stdout.startswith("event_id,event_type")
    assert stopped.stderr == "" or "Wrote" in stopped.stderr


def test_a_course_or_a_tenant_alone(school: Folder) -> None:
    school.run("dump", "scores", "--out", "course.csv", "--course", "default")
    assert len((school.path / "course.csv").read_text().splitlines()) == 7
    school.run("dump", "events", "--out", "other.parquet", "--tenant", "another-school")
    assert parquet.read_table(school.path / "other.parquet").num_rows == 0
    refused = school.run("dump", "scores", "--out", "none.csv", "--course", "algebra", exits=1)
    assert "no course with this id" in refused.stderr
    assert not (school.path / "none.csv").exists()


def test_usage(school: Folder) -> None:
    assert "parquet, csv, jsonl" in school.run("dump", "events", "--out", "events.txt", exits=2).stderr
    assert "csv or jsonl" in school.run("dump", "events", "--format", "parquet", "--out", "-", exits=2).stderr
    there = (school.path / "scores.csv").read_bytes()
    assert "--force" in school.run("dump", "scores", "--out", "scores.csv", exits=1).stderr
    assert (school.path / "scores.csv").read_bytes() == there
    done = json.loads(school.run("dump", "scores", "--out", "scores.csv", "--force", "--json").stdout)
    assert (done["what"], done["format"], done["rows"]) == ("scores", "csv", 6)
    assert "does not exist" in school.run("dump", "scores", "--out", "nowhere/scores.csv", exits=1).stderr
    assert (school.path / "scores.csv").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("number", "left"), [(signal.SIGTERM, 0), (signal.SIGKILL, 1)])
def test_a_dump_that_is_killed_leaves_no_half_file(school: Folder, tmp_path: Path, number: int, left: int) -> None:
    """Under its own name there is none; what a SIGKILL leaves has another one."""
    with (tmp_path / "said").open("wb") as said:
        given = environment(school.path / "data", {})
        process = started("dump", "events", "--out", "e.csv", environment=given, out=said, folder=tmp_path)
        while not list(tmp_path.glob(".e.csv.*")) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(number)
        process.wait(30)
    assert not (tmp_path / "e.csv").exists()
    assert len(list(tmp_path.glob(".e.csv.*"))) == left


def test_what_ingest_says_of_files_that_are_no_dump(school: Folder) -> None:
    for form, content, reason in (
        ("parquet", b"PAR1 no more", "no Parquet"),
        ("parquet", b"", "no Parquet"),
        ("csv", b'event_id,event_type\n"a,b\n', "no CSV after line"),
        ("csv", b"event_id,event_type\n\xff,b\n", "not UTF-8"),
        ("csv", b"event_id,event_type,student_id,data\ne,help,ada,{no\n", "line 2"),
    ):
        (school.path / "bad").write_bytes(content)
        assert reason in school.run("ingest", "bad", "--format", form, exits=1).stderr


def test_a_frame_that_another_tool_wrote_goes_in(tmp_path: Path) -> None:
    """Nanoseconds, structs of pandas, milliseconds as texts, gzip."""
    there = Folder(tmp_path)
    at = pd.Timestamp.now(tz="UTC")
    frame = pd.DataFrame(
        {
            "event_id": ["a", "b"],
            "event_type": ["quiz", "help"],
            "student_id": "ada",
            "timestamp": [at.as_unit("ns"), at.as_unit("ns")],
            "data": [{"total_questions": 4, "correct_answers": 3.5}, {"topic": "loops"}],
        }
    )
    frame.to_parquet(tmp_path / "frame.parquet")
    assert json.loads(there.run("ingest", "frame.parquet", "--format", "parquet", "--json").stdout)["applied"] == 2
    frame["event_id"] = ["c", "d"]
    frame["timestamp"] = [str(int(at.timestamp() * 1_000))] * 2
    frame["data"] = [json.dumps(one) for one in frame["data"]]
    frame.to_csv(tmp_path / "frame.csv.gz", index=False)
    done = json.loads(there.run("ingest", "frame.csv.gz", "--format", "csv", "--shift-to-now", "--json").stdout)
    assert (done["applied"], done["refused"]) == (2, 0)
