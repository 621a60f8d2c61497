"""Basic verification: `python test_basic.py` starts the service and goes through it once, over HTTP.

Needs only the packages of requirements.txt: no Docker, Kafka, Redis or network. Leaves nothing behind.
Exits 0 when everything was as it should be, 1 when something was not.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parent
STUDENT = "student_12345"
START_SECONDS = 60
PROCESSED_SECONDS = 10
STOP_SECONDS = 30

# The trial must not touch a real Kafka or Redis that this shell names, nor go through its proxy.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV")
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """Something was not as it should be; says what."""


def expect(what: str, found: object, wanted: object) -> None:
    """Print the step; fail where ``found`` is not ``wanted``."""
    if found != wanted:
        raise Failed(f"{what.strip()}: expected {wanted!r}, found {found!r}")
    print(f"  ok    {what}: {found}")


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(url: str, body: Json | None = None, token: str | None = None) -> tuple[int, Json]:
    """GET, or POST where there is a body; return the status and the JSON object."""
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with direct.open(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def wait_for_start(server: subprocess.Popen[bytes], base: str) -> None:
    """Return once /health answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Failed(f"the service stopped at its start with exit code {server.returncode}")
        try:
            status, _ = call(f"{base}/health")
        except OSError:
            time.sleep(0.1)
            continue
        expect("GET  /health", status, 200)
        return
    raise Failed(f"the service did not answer within {START_SECONDS} s")


def wait_for_event(base: str, event_id: str, token: str) -> None:
    """Return once the event is in the student's state."""
    deadline = time.monotonic() + PROCESSED_SECONDS
    found: object = None
    while time.monotonic() < deadline:
        _, answer = call(f"{base}/students/{STUDENT}/events/{event_id}", token=token)
        found = answer.get("data", {}).get("status")
        if found == "processed":
            break
        time.sleep(0.05)
    expect(f"GET  /students/{STUDENT}/events/…", found, "processed")


def walk(base: str, token: str) -> None:
    """Ingest, query, calculate, and the refusal of a call without a token."""
    event = {
        "event_type": "completion",
        "student_id": STUDENT,
        "data": {"total_exercises": 10, "completed_exercises": 8, "difficulty": "intermediate"},
    }
    status, answer = call(f"{base}/mastery/ingest", event, token)
    expect("POST /mastery/ingest", (status, answer.get("data", {}).get("status")), (202, "queued"))
    wait_for_event(base, answer["data"]["event_id"], token)

    status, answer = call(f"{base}/mastery/query", {"student_id": STUDENT, "include_components": True}, token)
    expect("POST /mastery/query", status, 200)
    mastery = answer["data"]["current_mastery"]
    expect("     completion, 8 of 10 exercises", mastery["components"]["completion"], 0.8)
    expect("     covered: completion and consistency", mastery["coverage"], 0.5)

    components = {"completion": 0.85, "quiz": 0.90, "quality": 0.85, "consistency": 0.82}
    body = {"student_id": STUDENT, "components": components}
    status, answer = call(f"{base}/mastery/calculate", body, token)
    expect("POST /mastery/calculate", status, 200)
    mastery = answer["data"]["current_mastery"]
    expect("     0.40·0.85 + 0.30·0.90 + 0.20·0.85 + 0.10·0.82", mastery["mastery_score"], 0.862)
    expect("     level", mastery["level"], "proficient")

    status, answer = call(f"{base}/mastery/query", {"student_id": STUDENT})
    expect("POST /mastery/query without a token", (status, answer["error"]["code"]), (401, "AUTH_ERROR"))

    status, _ = call(f"{base}/ready")
    expect("GET  /ready", status, 200)


def verify(scratch: Path) -> None:
    """Start the service on a free port with its data in ``scratch``, walk through it, stop it."""
    settings = {name: os.environ[name] for name in KEPT if name in os.environ}
    settings |= {"PYTHONPATH": str(ROOT / "src"), "DATA_DIR": str(scratch / "data")}
    command = [sys.executable, "-m", "mastery_engine"]
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    print(f"Mastery Engine at {base}, data in {scratch / 'data'}")

    with (scratch / "service.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "serve", "--host", "127.0.0.1", "--port", str(port)],
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for_start(server, base)
            printed = subprocess.run(
                [*command, "token"], env=settings, check=False, capture_output=True, text=True, timeout=60
            )
            if printed.returncode != 0:
                raise Failed(f"mastery-engine token: {printed.stderr.strip()}")
            walk(base, printed.stdout.strip())
            server.terminate()
            stopped = server.wait(STOP_SECONDS)
            if os.name == "posix":
                expect("stopped by SIGTERM, exit code", stopped, 0)
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()


def main() -> int:
    """Verify, and say how it went."""
    with tempfile.TemporaryDirectory(prefix="mastery-engine-") as folder:
        scratch = Path(folder)
        try:
            verify(scratch)
        except (Failed, OSError, ValueError, LookupError, subprocess.SubprocessError) as failure:
            log = scratch / "service.log"
            if log.exists():
                print("\n".join(log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)
            print(f"  FAILED  {type(failure).__name__}: {failure}", file=sys.stderr)
            return 1
    print("All as it should be.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
