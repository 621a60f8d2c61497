"""`kill -9` between the publishing of results and those who follow them: each result comes to them nevertheless."""

import sqlite3
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.live import Live, environment
from tests.support.processes import ROOT

FOLLOWING = ROOT / "tests" / "support" / "following_serve.py"
DEATHS = ("1-after", "2-before")  # at which call of which process the service is killed


class FollowedLive(Live):
    """The service with a follower that notes ids, and that kills it."""

    forks = False

    def argv(self) -> list[str]:
        given = [f"{name}={value}" for name, value in environment(self.data_dir, self.settings).items()]
        return ["env", "-i", *given, sys.executable, str(FOLLOWING), "serve"]


def published_in(data_dir: Path) -> set[str]:
    with sqlite3.connect(data_dir / "mastery.db") as database:
        return {str(event_id) for (event_id,) in database.execute("SELECT event_id FROM results")}


def noted_in(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.timeout(120)
def test_killed_before_or_after_they_were_followed_all_results_are_followed(tmp_path: Path) -> None:
    data, notes, number = tmp_path / "data", tmp_path / "followed", 0
    port = ""
    for death in DEATHS:
        live = FollowedLive(
            data, home=tmp_path, FOLLOWED=str(notes), KILLED_AT=death, **({"PORT": port} if port else {})
        )
        port = live.settings["PORT"]
        with live:
            deadline = time.monotonic() + 30
            while live.running and time.monotonic() < deadline:
                number += 1
                with suppress(httpx.TransportError), live.client() as client:
                    client.post("/mastery/ingest", json=sent(number))
                time.sleep(0.05)
            assert live.exit_code == -9, live.log_text()[-2_000:]
    published = published_in(data)
    assert published - set(noted_in(notes)), "no result was published that nobody had followed: the kill came too late"
    with FollowedLive(data, home=tmp_path, FOLLOWED=str(notes)) as live, live.client() as client:
        client.post("/mastery/ingest", json=sent(number + 1)).raise_for_status()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if len(published_in(data)) > len(published) and published_in(data) <= set(noted_in(notes)):
                break
            time.sleep(0.05)
    assert published_in(data) == set(noted_in(notes))
    assert len(noted_in(notes)) > len(set(noted_in(notes))), "none came twice: no kill came after it was noted"


def sent(number: int) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    data = {"total_questions": 10, "correct_answers": number % 10}
    return {"event_id": f"e{number}", "event_type": "quiz", "student_id": f"s{number}", "timestamp": at, "data": data}
