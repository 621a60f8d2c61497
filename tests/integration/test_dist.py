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
from tests.support.live import SECRET, bearer, make_token

DIST = os.environ.get("DIST")
PATIENCE_S = 600.0

pytestmark = [pytest.mark.dist, pytest.mark.skipif(DIST is None, reason="`make dist` builds the wheel that it tries")]


class Installed:
    """The package in an environment of its own, and a data folder."""

    def __init__(self, home: Path, resolution: str) -> None:
        self.home = home
        self._bin = home / "venv" / "bin"
        self._environment = {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "HOME": str(home),
            "JWT_SECRET": SECRET,
            "DATA_DIR": str(home / "data"),
        }
        uv = str(Path(sys.executable).with_name("uv"))
        (wheel,) = Path(DIST or "").resolve().glob("mastery_engine-*.whl")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home / "venv")], check=True)
        place = ["--python", str(self._bin / "python"), "--resolution", resolution]
        wanted = f"mastery-engine[docs,tokens,tracing] @ {wheel.as_uri()}"
        subprocess.run([uv, "pip", "install", "--quiet", *place, wanted], check=True)

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
        assert "swagger" in client.get("/docs").text.lower()
        assert client.get("/openapi.json").json()["info"]["version"] == __version__
    installed.run("dump", "events", "--out", "events.parquet")
    other = str(tmp_path / "fresh")
    assert "0 refused" in installed.run("ingest", "events.parquet", "--format", "parquet", DATA_DIR=other)
    assert "Basics" in installed.run("curriculum", "show")
