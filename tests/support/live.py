"""The real service, a process of its own on a free port, for tests that kill it, starve it or talk to it by socket."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from mastery_engine.auth.tokens import Tokens
from mastery_engine.wiring_clocks import system_clock
from scripts.servers.cache import free_port
from scripts.servers.process import Server
from tests.support.processes import COMMAND, FORKS, ROOT, run_command, started

if TYPE_CHECKING:
    import subprocess

SECRET = "for-tests-alone-0123456789-0123456789"
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


def environment(data_dir: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """What a command of the engine is given: nothing of this shell's settings."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    ours = {"PYTHONPATH": str(ROOT / "src"), "DATA_DIR": str(data_dir), "JWT_SECRET": SECRET, "PSEUDONYM_KEY": SECRET}
    return {**kept, **ours, **settings}


class EngineProcess(Server):
    """A command of the engine that runs until it is ended, on a data folder; a restart keeps that.

    It is forked from a process that has imported the engine, unless ``forks`` is false: then ``argv`` says what runs.
    """

    forks = FORKS

    def __init__(self, command: str, data_dir: Path, *, home: Path, settings: Mapping[str, str]) -> None:
        """Settings by the names of their variables; the home holds the log."""
        super().__init__("Mastery Engine", command, home=home)
        self.data_dir = data_dir
        self.settings = dict(settings)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative where a signal ended it."""
        return None if self._process is None else self._process.poll()

    def argv(self) -> list[str]:
        given = [f"{name}={value}" for name, value in environment(self.data_dir, self.settings).items()]
        return ["env", "-i", *given, *COMMAND, self.version]

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def _spawn(self, argv: Sequence[str]) -> Any:
        if not self.forks:
            return super()._spawn(argv)
        given = environment(self.data_dir, self.settings)
        with self.log.open("ab") as log:
            return started(self.version, environment=given, out=log, folder=self.home)


class Live(EngineProcess):
    """`mastery-engine serve`. A restart keeps its port, too."""

    def __init__(self, data_dir: Path, *, home: Path, **settings: str) -> None:
        super().__init__("serve", data_dir, home=home, settings={"PORT": str(free_port()), **settings})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings['PORT']}"

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def client(self, token: str | None = None) -> httpx.Client:
        """For calls with this token; an admin's, where none is given."""
        return httpx.Client(base_url=self.url, headers=bearer(token or make_token()), timeout=30)


def make_token(
    role: str = "admin",
    *,
    subject: str = "somebody",
    tenant: str = "default",
    students: list[str] | None = None,
    cohorts: list[str] | None = None,
    secret: str = SECRET,
    lives_s: int = 3_600,
) -> str:
    """A token as the service would make it."""
    tokens = Tokens(secret, system_clock)
    return tokens.make(subject=subject, role=role, tenant=tenant, students=students, cohorts=cohorts, lives_s=lives_s)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused_start(data_dir: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """A `serve` that should not start; raises TimeoutExpired where it does."""
    return run_command("serve", environment=environment(data_dir, {"PORT": str(free_port()), **settings}))
