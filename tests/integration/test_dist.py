"""The wheel in an empty environment, with the newest and with the oldest packages; `make dist` says where it is."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from mastery_engine import __version__
from scripts.servers.cache import free_port
from tests.support.live import SECRET, Live, bearer, make_token

DIST = os.environ.get("DIST")
PATIENCE_S = 600.0

pytestmark = [pytest.mark.dist, pytest.mark.skipif(DIST is None, reason="`make dist` builds the wheel that it tries")]


def environment_with(wheel: str, extras: str, home: Path, resolution: str) -> Path:
    """The programs of an environment that has a wheel of ours and what it needs, the newest or the oldest of it."""
    uv = str(Path(sys.executable).with_name("uv"))
    (built,) = Path(DIST or "").resolve().glob(f"{wheel}-*.whl")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home / "venv")], check=True)
    place = ["--python", str(home / "venv" / "bin" / "python"), "--resolution", resolution]
    name = wheel.replace("_", "-")
    subprocess.run([uv, "pip", "install", "--quiet", *place, f"{name}{extras} @ {built.as_uri()}"], check=True)
    return home / "venv" / "bin"


class Installed:
    """The package in an environment of its own, and a data folder."""

    def __init__(self, home: Path, resolution: str) -> None:
        self.home = home
        self._bin = environment_with("mastery_engine", "[docs,tokens,tracing]", home, resolution)
        self._environment = {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "HOME": str(home),
            "JWT_SECRET": SECRET,
            "DATA_DIR": str(home / "data"),
        }

    def run(self, *words: str, **settings: str) -> str:
        """What a command prints that must succeed."""
        command = [str(self._bin / "mastery-engine"), *words]
        given = {**self._environment, **settings}
        done = subprocess.run(command, env=given, cwd=self.home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def demo(self) -> Iterator[httpx.Client]:
        """A client of the demo, which runs inside the block."""
        port = free_port()
        command = [str(self._bin / "mastery-engine"), "demo", "--port", str(port)]
        with (self.home / "demo.log").open("wb") as log:
            process = subprocess.Popen(command, env=self._environment, cwd=self.home, stdout=log, stderr=log)
            try:
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, follow_redirects=True) as client:
                    deadline = time.monotonic() + PATIENCE_S
                    while process.poll() is None and time.monotonic() < deadline:
                        with suppress(httpx.TransportError):
                            if client.get("/ready").status_code == 200:
                                break
                        time.sleep(0.2)
                    assert process.poll() is None, (self.home / "demo.log").read_text()
                    yield client
            finally:
                process.terminate()
                process.wait(60)


CLIENT = """
import asyncio
import sys
from mastery_client import AsyncMasteryClient, FramesNotInstalled, MasteryClient

url, token = sys.argv[1:]
with MasteryClient(url, token=token) as engine:
    receipt = engine.ingest("quiz", "ada", {"total_questions": 4, "correct_answers": 3})
    print(engine.wait_for_event("ada", receipt.event_id).status)
    print(next(engine.stream("ada")).current_mastery.components.quiz)
    try:
        frame = engine.history("ada").to_frame()
        print(dict(frame.dtypes.astype(str)), len(engine.skills("ada").to_frame()))
    except FramesNotInstalled:
        print("no frames")

async def queried():
    async with AsyncMasteryClient(url, token=token) as engine:
        return [row.student_id async for row in engine.iter_students()]

print(asyncio.run(queried()))
"""


@pytest.mark.parametrize("extras", ["", "[frames]"])
@pytest.mark.parametrize("resolution", ["highest", "lowest-direct"])
def test_the_client_works_in_an_empty_environment(tmp_path: Path, resolution: str, extras: str) -> None:
    programs = environment_with("mastery_engine_client", extras, tmp_path, resolution)
    with Live(tmp_path / "data", home=tmp_path, LOG_LEVEL="WARNING") as live:
        command = [str(programs / "python"), "-W", "error", "-c", CLIENT, live.url, make_token()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    processed, quiz, frames, students = done.stdout.splitlines()
    assert (processed, quiz, students) == ("processed", "0.75", "['ada']")
    dtypes = "{'student_id': 'string', 'date': 'datetime64[us]', 'mastery_score': 'float64', 'level': 'string'} 0"
    assert frames == (dtypes if extras else "no frames")


@pytest.mark.parametrize("resolution", ["highest", "lowest-direct"])
def test_the_package_works_in_an_empty_environment(tmp_path: Path, resolution: str) -> None:
    installed = Installed(tmp_path, resolution)
    assert __version__ in installed.run("--version")
    with installed.demo() as client:
        asked = client.post("/mastery/query", json={"student_id": "student_12345"}, headers=bearer(make_token()))
        assert 0 < asked.json()["data"]["current_mastery"]["mastery_score"] <= 1
        page = client.get("/dashboard", headers={"Accept": "text/html", "Accept-Language": "es"})
        assert page.status_code == 200
        assert 'lang="es"' in page.text
        client.post("/dashboard", data={"token": make_token()})
        assert "MasteryDeadLetters" in client.get("/dashboard/runbooks").text
        assert "swagger" in client.get("/docs").text.lower()
        assert client.get("/openapi.json").json()["info"]["version"] == __version__
    installed.run("dump", "events", "--out", "events.parquet")
    other = str(tmp_path / "fresh")
    assert "0 refused" in installed.run("ingest", "events.parquet", "--format", "parquet", DATA_DIR=other)
    assert "Basics" in installed.run("curriculum", "show")
