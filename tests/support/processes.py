"""The engine's commands, each a process of its own, as a shell starts them.

They are forked from processes that have imported the engine already (``tests.support.fork_server``): a second of the
processor's time less for each of hundreds. Two of those take turns, so that processes that work together order their
sets otherwise. Where lines are counted, and beside Linux, each is started anew; so are those that are started by
``COMMAND``.
"""

import atexit
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TypeAlias

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "mastery_engine")
FORKS = sys.platform == "linux" and not any(name.startswith("COVERAGE_PROCESS") for name in os.environ)

_PR_SET_CHILD_SUBREAPER = 36
_ANSWER_S = 60.0
_turns = cycle(range(2))
_forking = threading.Lock()


class Forked:
    """A process that was forked for this one: what the tests use of ``Popen``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ends = os.pidfd_open(pid)
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Its exit code, negative where a signal ended it; None while it runs."""
        with self._lock:
            if self.returncode is None:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                if ended:
                    self.returncode = os.waitstatus_to_exitcode(status)
                    os.close(self._ends)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises TimeoutExpired."""
        if self.poll() is None:
            select.select([self._ends], [], [], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("mastery-engine", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process: TypeAlias = "subprocess.Popen[bytes] | Forked"


@contextmanager
def _taking_in_orphans() -> Iterator[None]:
    """What becomes an orphan inside the block is from then on this process's child; later ones are the system's."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0)


class _ForkServer:
    """A running ``tests.support.fork_server``."""

    def __init__(self) -> None:
        self._asking, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._asking.settimeout(_ANSWER_S)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        with other:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fork_server.py")), str(other.fileno())],
                env={**kept, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self._close)

    def fork(self, asked: Mapping[str, Any], files: tuple[int, int, int]) -> Forked:
        with _forking, _taking_in_orphans():
            socket.send_fds(self._asking, [json.dumps(asked).encode()], files)
            answer = self._asking.recv(64)
        assert answer, "the engine cannot be imported: what stands above says why"
        return Forked(int(answer))

    def _close(self) -> None:
        self._asking.close()
        self._process.wait()


@cache
def _fork_server(turn: int) -> _ForkServer:
    del turn
    return _ForkServer()


def started(
    *words: str, environment: Mapping[str, str], out: IO[bytes], errors: IO[bytes] | None = None, **how: Any
) -> Process:
    """A command that runs, with this environment alone; ``how`` may have a ``folder``, and a file as ``stdin``.

    Its group is its own, and it ends with this process.
    """
    folder, stdin = str(how.get("folder", Path.cwd())), how.get("stdin")
    if not FORKS:
        return subprocess.Popen(
            [*COMMAND, *words],
            env=environment,
            cwd=folder,
            stdin=stdin or subprocess.DEVNULL,
            stdout=out,
            stderr=errors or out,
            process_group=0,
        )
    asked = {"words": words, "environment": dict(environment), "folder": folder}
    with Path(os.devnull).open("rb") as nothing:
        files = (stdin or nothing).fileno(), out.fileno(), (errors or out).fileno()
        return _fork_server(next(_turns)).fork(asked, files)


def run_command(
    *words: str,
    environment: Mapping[str, str],
    stdin: str = "",
    timeout: float = 60,
    check: bool = False,
    folder: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """As ``subprocess.run`` does it: what a command said, and its exit code."""
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as errors:
        given.write(stdin.encode())
        given.seek(0)
        where = {} if folder is None else {"folder": folder}
        process = started(*words, environment=environment, out=out, errors=errors, stdin=given, **where)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        said = []
        for file in (out, errors):
            file.seek(0)
            said.append(file.read().decode())
    done = subprocess.CompletedProcess(words, code, *said)
    if check:
        done.check_returncode()
    return done
