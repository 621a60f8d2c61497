"""The life of a real server: start, wait until it answers, kill, stop, freeze, start again on its data."""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

# So that nothing outlives a test run that was killed, the kernel ends a server with the *thread* that started
# it (PR_SET_PDEATHSIG). Whoever asks, all are started by this one, which lives as long as the process.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starts-servers")


class StartFailed(Exception):
    """A server ended, or did not answer in time; the text holds the end of its log."""


class Server:
    """One process with a home folder for its data and log, which `close` takes away if it was made for it.

    A derived class says what to run and when it answers; it settles its ports once, and a restart keeps them.
    """

    def __init__(self, name: str, version: str, *, home: Path | None = None, start_limit: float = 60) -> None:
        """The limit is in seconds, from the start of the process to its first answer."""
        self.name = name
        self.version = version
        self.start_limit = start_limit
        self._made_home = home is None
        prefix = f"{name.lower().replace(' ', '-')}-"
        self.home = Path(tempfile.mkdtemp(prefix=prefix)) if home is None else home.resolve()
        self.home.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.kills: list[float] = []  # when it was killed, in seconds since 1970: it may have lost what it held last
        atexit.register(self.close)

    def argv(self) -> Sequence[str]:
        """The command that is the server; called at each start, so it may prepare the home."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether the server answers as its clients need it; must not raise for one that is not there yet."""
        raise NotImplementedError

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def running(self) -> bool:
        """A frozen server runs too."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.running else None

    def start(self) -> None:
        """Starts the process and waits until it is ready; raises StartFailed, and leaves no process then."""
        if self.running:
            raise RuntimeError(f"{self} runs already")
        argv = list(self.argv())
        if shutil.which("setpriv"):
            argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
        self._process = _starter.submit(self._spawn, argv).result()
        try:
            self.wait()
        except BaseException:
            self.kill()
            raise

    def wait(self) -> None:
        """Waits until the server is ready; raises StartFailed if it ends first or takes over its limit."""
        wait_until(self.ready, self.start_limit, lambda: self.running, lambda: f"{self}\n{self._tail()}")

    def kill(self) -> None:
        """SIGKILL to the process and what it forked: no farewell, nothing flushed."""
        if self.running:
            self.kills.append(time.time())
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def stop(self, grace: float = 15) -> None:
        """SIGTERM, to a frozen one too; SIGKILL after so many seconds. The data stay."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        if self._process is not None:
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()

    def pause(self) -> None:
        """Freezes the server (SIGSTOP): its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Starts it again with the same ports and data, after a `stop` if it runs."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stops it, and takes away the home if it was made for this server."""
        atexit.unregister(self.close)
        self.stop()
        if self._made_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def _spawn(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        # A group of its own, so that a terminal's Ctrl-C reaches us alone and what it forks ends with it.
        with self.log.open("ab") as log:
            return subprocess.Popen(
                argv,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def _signal(self, number: signal.Signals) -> None:
        # `running` has not reaped it then, so the id is still ours.
        if self._process is not None and self.running:
            os.killpg(self._process.pid, number)

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


class Group:
    """Servers that are one service together: all are started, killed, stopped and closed as one."""

    def __init__(self, name: str, version: str, members: Sequence[Server]) -> None:
        self.name = name
        self.version = version
        self.members = tuple(members)

    def ready(self) -> bool:
        """Whether the members have found each other."""
        raise NotImplementedError

    def start(self) -> None:
        for member in self.members:
            member.start()
        self.wait()

    def wait(self, limit: float = 60) -> None:
        """Waits until the members have found each other, as after the restart of one; raises StartFailed."""
        running = [member for member in self.members if member.running]
        wait_until(self.ready, limit, lambda: all(member.running for member in running), lambda: str(self))

    def kill(self) -> None:
        for member in self.members:
            member.kill()

    def stop(self) -> None:
        for member in reversed(self.members):
            member.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        for member in reversed(self.members):
            member.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def wait_until(
    ready: Callable[[], bool], limit: float, alive: Callable[[], bool], described: Callable[[], str]
) -> None:
    """Asks until the answer is yes; raises StartFailed when it cannot come now, or after so many seconds."""
    deadline = time.monotonic() + limit
    while True:
        if not alive():
            raise StartFailed(f"ended instead of answering: {described()}")
        if ready():
            return
        if time.monotonic() > deadline:
            raise StartFailed(f"no answer in {limit:.0f} s: {described()}")
        time.sleep(0.05)
