"""A SIGTERM under load loses nothing; a backup, the destruction, its restoring and a replay give the same documents."""

import shutil
import signal
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from mastery_engine.backends.sqlite.database import FILE_NAME
from tests.support.calls import event
from tests.support.live import Live, environment, make_token
from tests.support.processes import run_command

SENDERS = 6
ROWS = 200


class Sender:
    """Sends batches of events without a pause until it is told to stop, or nobody answers any more."""

    def __init__(self, number: int) -> None:
        self.student = f"student_{number}"
        self.acknowledged: list[str] = []
        self.lost: list[tuple[float, str]] = []

    def run(self, live: Live, stop: threading.Event) -> None:
        with live.client() as client:
            while not stop.is_set():
                rows = [event("quiz", student_id=self.student) for _ in range(ROWS)]
                began = time.monotonic()
                try:
                    answer = client.post("/mastery/ingest/batch", json={"events": rows})
                except httpx.TransportError as error:
                    self.lost.append((began, repr(error)))
                    return
                if answer.status_code == 202:
                    self.acknowledged += [row["event_id"] for row in answer.json()["data"]["results"]]


def test_a_sigterm_under_load_loses_no_request_and_no_event(tmp_path: Path) -> None:
    with Live(tmp_path / "data", home=tmp_path, LOG_LEVEL="WARNING") as live:
        senders = [Sender(number) for number in range(SENDERS)]
        stop = threading.Event()
        with ThreadPoolExecutor(SENDERS) as pool:
            running = [pool.submit(sender.run, live, stop) for sender in senders]
            time.sleep(2)
            live._signal(signal.SIGTERM)
            told = time.monotonic()
            deadline = told + 60
            while live.running and time.monotonic() < deadline:
                time.sleep(0.05)
            stop.set()
            for one in running:
                one.result()
        assert live.exit_code == 0
        assert sum(len(sender.acknowledged) for sender in senders) >= SENDERS * ROWS
        # What was under way is answered; who comes later finds the door closed, and knows it.
        assert [one for sender in senders for one in sender.lost if one[0] < told - 0.1] == []
        live.start()
        with live.client() as client:
            for sender in senders:
                _processed(client, sender.student, sender.acknowledged[-1])
                for event_id in sender.acknowledged[:: max(1, len(sender.acknowledged) // 20)]:
                    _processed(client, sender.student, event_id)
    found = sqlite3.connect(tmp_path / "data" / FILE_NAME)
    try:
        logged = {event_id for (event_id,) in found.execute("SELECT event_id FROM requests")}
    finally:
        found.close()
    assert {event_id for sender in senders for event_id in sender.acknowledged} <= logged


def _processed(client: httpx.Client, student: str, event_id: str) -> None:
    deadline = time.monotonic() + 60
    while client.get(f"/students/{student}/events/{event_id}").json()["data"]["status"] != "processed":
        assert time.monotonic() < deadline, event_id
        time.sleep(0.05)


def test_backup_destruction_restoring_and_replay_give_the_same_documents(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    kept.mkdir()
    students = [f"student_{number}" for number in range(5)]
    kinds = ("quiz", "completion", "quality", "consistency", "answer", "help")
    events = [event(kind, student_id=name, days_ago=day) for name in students for kind in kinds for day in (0, 3, 9)]
    with Live(data, home=tmp_path) as live, live.client() as client:
        assert client.post("/mastery/ingest/batch", json={"events": events}).json()["data"]["refused"] == 0
        for one in events[-1:] + events[:1]:
            _processed(client, one["student_id"], one["event_id"])
        before = [_known(client, name) for name in students]
        source, copy = sqlite3.connect(data / FILE_NAME), sqlite3.connect(kept / FILE_NAME)
        source.backup(copy)
        source.close()
        copy.close()
    shutil.rmtree(data)
    data.mkdir()
    (kept / FILE_NAME).rename(data / FILE_NAME)
    with Live(data, home=tmp_path) as live, live.client() as client:
        assert [_known(client, name) for name in students] == before
    run_command("replay", environment=environment(data, {}), check=True)
    with Live(data, home=tmp_path) as live, live.client() as client:
        assert [_known(client, name) for name in students] == before


def _known(client: httpx.Client, student: str) -> Any:
    found = client.post("/mastery/query", json={"student_id": student}).json()["data"]["current_mastery"]
    del found["timestamp"]
    return found


def test_a_sigterm_answers_whoever_is_still_sending_and_is_not_held_up(tmp_path: Path) -> None:
    """Each body that came slowly had 25 s, then a traceback and a plain 500."""
    with Live(tmp_path / "data", home=tmp_path, LOG_LEVEL="WARNING") as live:
        port = int(live.settings["PORT"])
        lines = ["POST /mastery/ingest HTTP/1.1", "Host: a", f"Authorization: Bearer {make_token()}"]
        form = ["POST /dashboard HTTP/1.1", "Host: a", "Content-Type: application/x-www-form-urlencoded"]
        calls = [
            "\r\n".join([*lines, "Content-Length: 9", "", "{"]),
            "\r\n".join([*form, "Content-Length: 9", "", "t"]),
            "GET /health HTTP/1.1\r\nHost: a\r\nX: ",
            "",
        ]
        senders = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in calls]
        for sender, call in zip(senders, calls, strict=True):
            sender.sendall(call.encode())
        time.sleep(0.5)
        live._signal(signal.SIGTERM)
        told = time.monotonic()
        answers = [sender.recv(4_096) for sender in senders]
        for sender in senders:
            sender.close()
        while live.running and time.monotonic() < told + 40:
            time.sleep(0.05)
        assert live.exit_code == 0
        assert time.monotonic() - told < 30
    assert [answer.split(b"\r\n", 1)[0] for answer in answers] == [b"HTTP/1.1 503 Service Unavailable"] * 2 + [b""] * 2
    assert all(b"SERVICE_UNAVAILABLE" in answer for answer in answers[:2])
    assert "Traceback" not in live.log_text()


def test_a_second_ctrl_c_does_not_wait_for_calls_and_ends_quietly(tmp_path: Path) -> None:
    with Live(tmp_path / "data", home=tmp_path) as live:
        with socket.create_connection(("127.0.0.1", int(live.settings["PORT"]))) as slow:
            slow.sendall(b"POST /process HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{")
            time.sleep(0.5)
            live._signal(signal.SIGINT)
            time.sleep(0.5)
            assert live.running, "it waits for the call that is under way"
            live._signal(signal.SIGINT)
            deadline = time.monotonic() + 5
            while live.running and time.monotonic() < deadline:
                time.sleep(0.02)
        assert live.exit_code == 128 + signal.SIGINT
        assert "Traceback" not in live.log_text()
        live.start()
