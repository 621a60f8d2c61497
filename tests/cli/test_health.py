"""``status`` and ``doctor`` on one machine: beside a running service and without one."""

import asyncio
import errno
import json
import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from mastery_engine import doctor as doctor_module
from mastery_engine.backends.sqlite import disk
from mastery_engine.data_folder import SECRET_FILE, development_secret
from mastery_engine.doctor import Finding, address_of, examine
from mastery_engine.settings import Settings
from mastery_engine.wiring import open_engine
from scripts.servers.cache import free_port
from tests.support.live import SECRET, Live, environment
from tests.support.processes import run_command
from tests.support.small_disk import mounted_small_disk, need_a_disk


def run(data_dir: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return run_command(*words, environment=environment(data_dir, settings))


@pytest.fixture(autouse=True)
def _on_a_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is examined in this process is taken to lie on a disk, wherever temporary files are."""
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "none")


async def findings(data_dir: Path, *, ok: bool = False, **settings: str) -> list[Finding]:
    """What the doctor finds that is not well; with ``ok`` all that it finds."""
    given = {"DATA_DIR": str(data_dir), "JWT_SECRET": SECRET, "PSEUDONYM_KEY": SECRET, "PORT": str(free_port())}
    return [finding async for finding in examine({**given, **settings}) if ok or finding.status != "ok"]


def comes(condition: Callable[[], bool], seconds: float) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline
        sleep(0.05)


def test_beside_a_running_service_both_say_that_all_is_well(tmp_path: Path) -> None:
    need_a_disk(tmp_path)
    with Live(tmp_path / "data", home=tmp_path) as live:
        port = live.settings["PORT"]
        said = run(live.data_dir, "status", PORT=port)
        assert said.returncode == 0, said.stderr
        assert said.stdout.splitlines()[0] == f"The service at http://127.0.0.1:{port} is ready."
        assert {line.split(":")[0].strip() for line in said.stdout.splitlines()[1:]} == {"store", "log", "worker"}
        report = json.loads(run(live.data_dir, "status", "--json", PORT=port).stdout)
        assert [dependency["status"] for dependency in report["dependencies"]] == ["up", "up", "up"]
        examined = run(live.data_dir, "doctor", PORT=port)
        assert (examined.returncode, examined.stdout.splitlines()[-1]) == (0, "All is well."), examined.stdout
        assert f"ok       service: http://127.0.0.1:{port} is ready." in examined.stdout.splitlines()
        assert live.ready()
        bare = run(tmp_path, "status", PORT=port, ENVIRONMENT="production", JWT_SECRET="")  # it needs no secrets
        assert bare.returncode == 0, bare.stderr

        stranger = sqlite3.connect(live.data_dir / "mastery.db", isolation_level=None)
        stranger.execute("BEGIN EXCLUSIVE")
        comes(lambda: not live.ready(), 15)
        held = run(live.data_dir, "status", PORT=port)
        assert held.returncode == 1
        assert "log: down. The database is held by another process" in held.stdout
        assert httpx.get(f"{live.url}/health", timeout=5).status_code == 200
        examined = run(live.data_dir, "doctor", "--json", PORT=port)
        assert examined.returncode == 1
        told = [finding for finding in json.loads(examined.stdout)["findings"] if finding["status"] == "problem"]
        assert {finding["about"] for finding in told} == {"SQLite", "service"}
        assert all("held by another process" in finding["message"] for finding in told)
        stranger.execute("ROLLBACK")
        stranger.close()
        comes(live.ready, 10)


async def test_the_log_tells_of_a_lock_that_others_hold_even_if_nobody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mastery_engine.services.readiness.LOOK_EVERY_S", 0.05)
    monkeypatch.setattr("mastery_engine.services.readiness.SHARED_S", 0.0)
    monkeypatch.setattr("mastery_engine.backends.sqlite.database.PING_S", 0.3)
    engine = open_engine(Settings(data_dir=tmp_path / "data"))
    stranger = sqlite3.connect(tmp_path / "data" / "mastery.db", isolation_level=None)

    async def logged(words: str) -> None:
        async with asyncio.timeout(60):
            while not any(words in record.message for record in caplog.records):
                await asyncio.sleep(0.02)

    async with engine.at_work(serves=False):
        stranger.execute("BEGIN EXCLUSIVE")
        await logged("log is down: The database is held by another process")
        await logged("store is down: The database is held by another process")
        stranger.execute("ROLLBACK")
        await logged("log is up again")
        await logged("store is up again")
    stranger.close()
    await engine.close()


def test_without_a_service_status_fails_and_the_doctor_does_not(tmp_path: Path) -> None:
    need_a_disk(tmp_path)
    port = str(free_port())
    said = run(tmp_path / "data", "status", PORT=port)
    assert said.returncode == 1
    assert f"No service answers at http://127.0.0.1:{port}" in said.stdout
    told = json.loads(run(tmp_path / "data", "status", "--json", PORT=port).stdout)
    assert told["status"] == "unreachable"
    examined = run(tmp_path / "data", "doctor", PORT=port)
    assert (examined.returncode, examined.stdout.splitlines()[-1]) == (0, "All is well.")
    assert not (tmp_path / "data").exists()


async def test_settings_that_cannot_be_read_are_all_that_is_found(tmp_path: Path) -> None:
    (finding,) = await findings(tmp_path, PORT="many")
    assert (finding.about, finding.status) == ("settings", "problem")
    assert "PORT" in finding.message


async def test_probable_mistakes_are_warnings(tmp_path: Path) -> None:
    found = await findings(tmp_path / "data", GDPR_RETENTION_DAY="1", JWT_SECRET="short")
    assert [finding.status for finding in found] == ["warning", "warning"]
    production = await findings(tmp_path / "data", ENVIRONMENT="production", ALLOW_UNSAFE_SERVERS="true")
    assert ["ALLOW_UNSAFE_SERVERS" in finding.message for finding in production] == [True]


async def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    found = await findings(tmp_path / "data", RULES_FILE="/nowhere/rules.yaml", CURRICULUM_FILE="/nowhere/course.yaml")
    assert [finding.status for finding in found] == ["problem", "problem"]
    assert all("/nowhere/" in finding.message for finding in found)
    assert all("there is no such file" in finding.message for finding in found)
    (tmp_path / "model").write_bytes(b"{")
    (finding,) = await findings(tmp_path / "data", MODEL_FILE=str(tmp_path))
    assert "it is a folder" in finding.message
    (finding,) = await findings(tmp_path / "data", MODEL_FILE=str(tmp_path / "later"))
    assert (finding.status, str(tmp_path / "later") in finding.message) == ("warning", True)
    assert "the shipped models are used until it is" in finding.message
    (finding,) = await findings(tmp_path / "data", RULES_FILE=str(tmp_path / "model"))
    assert "line 1: The file is not YAML from about this line on" in finding.message


async def test_a_data_folder_that_is_open_to_others_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    await open_engine(Settings(data_dir=folder)).close()
    assert {path.name for path in folder.glob("*")} >= {"mastery.db", "pseudonym-key"}
    development_secret(Settings(data_dir=folder), SECRET_FILE)
    assert await findings(folder) == []
    for path, mode, about in (
        (folder, 0o755, str(folder)),
        (folder / "jwt-secret", 0o644, "chmod 600"),
        (folder / "jwt-secret", 0o640, "chmod 600"),
        (folder / "mastery.db", 0o644, "students' data"),
    ):
        before = path.stat().st_mode
        path.chmod(mode)
        (finding,) = await findings(folder)
        assert about in finding.message
        path.chmod(before)


async def test_a_data_folder_that_cannot_be_used_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (finding,) = await findings(tmp_path / "file")
    assert "is not a folder" in finding.message
    # Rights would let this test's user write there; the file system does not.
    assert "cannot be written" in next(one.message for one in await findings(Path("/proc/nowhere/data")))
    (tmp_path / "data").mkdir(mode=0o700)
    monkeypatch.setattr(os, "fsync", _no_room)
    (finding,) = await findings(tmp_path / "data")
    assert finding.status == "problem"
    assert "cannot be written (No space left on device)" in finding.message


def _no_room(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_full_disk_is_found(tmp_path: Path) -> None:
    with mounted_small_disk(tmp_path) as disk_mounted:
        folder = disk_mounted / "data"
        await open_engine(Settings(data_dir=folder)).close()
        with (disk_mounted / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4_096))
        found = await findings(folder)
    assert {"SQLite", "data folder"} <= {one.about for one in found if one.status == "problem"}
    assert any("disk is full" in one.message for one in found)


async def test_little_room_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module, "LITTLE", 2**60)
    (finding,) = await findings(tmp_path / "data")
    assert (finding.about, finding.status) == ("disk", "warning")
    monkeypatch.setattr(doctor_module, "SCARCE", 2**60)
    (finding,) = await findings(tmp_path / "data")
    assert (finding.about, finding.status) == ("disk", "problem")


async def test_a_damaged_database_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "mastery.db").touch(mode=0o600)
    (folder / "mastery.db").write_bytes(b"not a database " * 1_000)
    (finding,) = await findings(folder)
    assert (finding.about, finding.status) == ("SQLite", "problem")
    assert "backup" in finding.message


async def test_a_data_folder_in_memory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "file_system", lambda _: "tmpfs")
    (finding,) = await findings(tmp_path / "data")
    assert (finding.about, finding.status) == ("SQLite", "problem")
    assert "in memory" in finding.message


async def test_servers_that_are_away_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastery_engine.backends.kafka.logs.PING_S", 0.3)
    monkeypatch.setattr("mastery_engine.backends.kafka.topic_dangers.LOOK_S", 0.3)
    found = await findings(
        tmp_path, REDIS_HOST=f"127.0.0.1:{free_port()}", KAFKA_BROKER=f"127.0.0.1:{free_port()}", STATE_STORE="redis"
    )
    assert {finding.about for finding in found if finding.status == "problem"} == {"Redis", "Kafka"}


@contextmanager
def answering(body: bytes, headers: dict[str, str]) -> Iterator[int]:
    """A server that answers any GET with the same; its port."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


async def test_an_identity_provider_is_asked_for_its_keys_and_its_time(tmp_path: Path) -> None:
    late = {"Date": format_datetime(datetime.now(UTC) - timedelta(minutes=5), usegmt=True)}
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    key = ECAlgorithm.to_jwk(public, as_dict=True) | {"kid": "one"}
    usable = json.dumps({"keys": [key]}).encode()
    for body, headers, abouts in (
        (usable, {}, []),
        (usable, late, ["clock"]),
        (usable, {"Date": "garbage"}, []),
        (b'{"keys": []}', {}, ["identity provider"]),
        (b'{"keys": 5}', {}, ["identity provider"]),
        (json.dumps({"keys": [key | {"crv": "P-384"}]}).encode(), {}, ["identity provider"]),
        (b"9" * 6_000, {}, ["identity provider"]),
        (usable + b" " * 300_000, {}, ["identity provider"]),
        (b"<html>", {}, ["identity provider"]),
        (b"[" * 10_000, {}, ["identity provider"]),
    ):
        with answering(body, headers) as port:
            found = await findings(tmp_path / "data", JWT_JWKS_URL=f"http://127.0.0.1:{port}/jwks")
            assert [finding.about for finding in found] == abouts
    (finding,) = await findings(tmp_path / "data", JWT_JWKS_URL=f"http://127.0.0.1:{free_port()}/jwks")
    assert "does not answer" in finding.message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"JWT_SECRET": "ssh-ed25519 " + "A" * 40}, "PEM or SSH"),
        ({"TRACE_ENABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ],
)
async def test_what_the_service_would_refuse_is_found(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    found = await findings(tmp_path / "data", **settings)
    assert any(words in finding.message for finding in found if finding.status == "problem")
    assert not (tmp_path / "data").exists()


async def test_another_server_on_the_port_is_no_service(tmp_path: Path) -> None:
    for body in (b"<html>", b"{}", b'{"success": true}', b"[" * 10_000):
        with answering(body, {}) as port:
            (finding,) = await findings(tmp_path / "data", PORT=str(port))
            assert "is no Mastery Engine" in finding.message
    with answering(b"<html>", {}) as port:
        said = run(tmp_path, "status", PORT=str(port))
    assert said.returncode == 1
    assert "is no Mastery Engine" in said.stdout


async def test_a_port_that_never_answers_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module, "ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = await findings(tmp_path / "data", ok=True, PORT=str(silent.getsockname()[1]))
    assert found[-1].about == "service"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("::1", "http://[::1]:1"),
        ("[::]", "http://[::1]:1"),
        ("localhost", "http://localhost:1"),
    ],
)
def test_an_address_to_listen_on_becomes_one_to_call(host: str, address: str) -> None:
    assert address_of(host, 1) == address
