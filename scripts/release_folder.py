"""A small data folder as a release leaves it, for the test that today's engine takes it over.

    python -m scripts.release_folder 1.0.0 tests/support/released/1.0.0

runs the engine of a commit or tag (``git worktree``) as its users do, and writes its database as SQL, and what it
answered as JSON. It is made once for each release, and the files are committed.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from scripts.servers.cache import free_port

ROOT = Path(__file__).parents[1]
KEYS = {
    "JWT_SECRET": "a secret of at least 32 bytes, for tests",
    "PSEUDONYM_KEY": "a key of at least 32 bytes, for tests",
}
EVENTS = 18  # of each student
# In full precision, by an engine that has no `dump` yet.
SCORES = """
import json, sqlite3, sys
from mastery_engine.domain.mastery import mastery
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import unpack
rows = sqlite3.connect(sys.argv[1]).execute("SELECT student_id, body FROM documents")
found = {name: mastery(unpack(body).evidence, int(sys.argv[2]), Rules()) for name, body in rows}
print(json.dumps({name: [one.score, one.level, one.coverage, *[c or 0.0 for c in one.components]]
                  for name, one in found.items()}))
"""


class OldEngine:
    """The engine of another commit on a folder of its own."""

    def __init__(self, source: Path, scratch: Path) -> None:
        self.data = scratch / "data"
        self._scratch = scratch
        self._port = str(free_port())
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
            "PYTHONPATH": str(source / "src"),
            "DATA_DIR": str(self.data),
            "PORT": self._port,
            "LOG_LEVEL": "WARNING",
            **KEYS,
        }

    def python(self, *words: str) -> str:
        command = [sys.executable, *words]
        environment = self._environment
        return subprocess.run(
            command, env=environment, cwd=self._scratch, capture_output=True, text=True, check=True
        ).stdout

    def command(self, *words: str) -> str:
        return self.python("-m", "mastery_engine", *words)

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        token = self.command("token").strip()
        process = subprocess.Popen([sys.executable, "-m", "mastery_engine", "serve"], env=self._environment)
        try:
            url = f"http://127.0.0.1:{self._port}"
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
                for _ in range(300):
                    with suppress(httpx.TransportError):
                        client.get("/health")
                        break
                    time.sleep(0.1)
                yield client
        finally:
            process.terminate()
            process.wait(30)


def data_of(answer: httpx.Response) -> Any:
    answer.raise_for_status()
    return answer.json()["data"]


def _query(client: httpx.Client, student_id: str) -> Any:
    found = data_of(client.post("/mastery/query", json={"student_id": student_id}))
    return {name: found[name] for name in ("historical_average", "trend", "last_updated")}


def lived(engine: OldEngine) -> dict[str, Any]:
    """Have a small class work, with a cohort, a calculation, an erasure and consent withdrawn; what was answered."""
    engine.command("simulate", "--students", "4", "--days", "10", "--seed", "7", "--out", "class.jsonl")
    lines: dict[str, list[str]] = {}
    for line in (engine.data.parent / "class.jsonl").read_text().splitlines():
        lines.setdefault(json.loads(line)["student_id"], []).append(line)
    (engine.data.parent / "small.jsonl").write_text("\n".join(line for own in lines.values() for line in own[:EVENTS]))
    engine.command("ingest", "small.jsonl")
    erased, withdrawn, unprofiled, usual = sorted(lines)
    with engine.serving() as client:
        data_of(client.put("/cohorts/py-101", json={"name": "Class 7b", "members": sorted(lines)}))
        data_of(client.post("/mastery/calculate", json={"student_id": unprofiled, "components": {"quality": 0.4}}))
        data_of(client.put(f"/compliance/students/{withdrawn}/consent", json={"processing": False}))
        data_of(client.put(f"/compliance/students/{unprofiled}/consent", json={"profiling": False}))
        data_of(client.delete(f"/compliance/students/{erased}"))
        time.sleep(2)
        history = {"student_id": usual, "start_date": "2026-01-01", "end_date": "2036-01-01", "aggregation": "daily"}
        exported = data_of(client.get(f"/compliance/students/{usual}/export"))
        return {
            "at": time.time_ns() // 1_000,
            "erased": erased,
            "withdrawn": withdrawn,
            "unprofiled": unprofiled,
            "usual": usual,
            "queries": {name: _query(client, name) for name in sorted(lines)[1:]},
            "history": data_of(client.post("/analytics/mastery-history", json=history))["history"],
            "skills": data_of(client.post("/analytics/skills", json={"student_id": usual}))["skills"],
            "members": data_of(client.get("/cohorts/py-101"))["members"],
            "audit": len(data_of(client.get("/compliance/audit", params={"limit": 1_000}))["records"]),
            "export": sorted(one["event_id"] for one in exported["events"]),
        }  # fmt: skip


def main(commit: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", source, commit], cwd=ROOT, check=True)
        try:
            engine = OldEngine(source, Path(folder))
            answers = lived(engine)
            path = engine.data / "mastery.db"
            try:
                rows = map(json.loads, engine.command("dump", "scores", "--format", "jsonl", "--out", "-").splitlines())
                scores = {one["student_id"]: [one["mastery_score"], one["level"], one["coverage"],
                                              *one["components"].values()] for one in rows}  # fmt: skip
            except subprocess.CalledProcessError:
                scores = json.loads(engine.python("-c", SCORES, str(path), str(answers["at"])))
            answers["scores"] = scores
            with closing(sqlite3.connect(path)) as database, database:
                database.execute("DELETE FROM results")  # most of the bytes, which no engine reads again
                (version,) = database.execute("PRAGMA user_version").fetchone()
                sql = "\n".join([*database.iterdump(), f"PRAGMA user_version = {version};"])
        finally:
            shutil.rmtree(source)
            subprocess.run(["git", "worktree", "prune"], cwd=ROOT, check=True)
    out.with_name(f"{out.name}.sql").write_text(f"{sql}\n")
    out.with_name(f"{out.name}.json").write_text(f"{json.dumps(answers, indent=1, sort_keys=True)}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
