"""The engine's commands on a fleet, as an operator runs them, and events as other services send them."""

import json
import random
from typing import Any
from uuid import uuid4

from tests.support.fleet import Fleet, Json, event
from tests.support.live import Live, environment, make_token
from tests.support.processes import run_command


def command(fleet: Fleet, *words: str, fails: bool = False, **settings: str) -> Any:
    """What a command of the engine says with --json; what it complains of, where it says nothing else."""
    given = environment(fleet.home / "data", fleet.environment(**settings))
    done = run_command(*words, "--json", environment=given, timeout=120)
    assert done.returncode == int(fails), done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def quiz(**more: Any) -> Json:
    """A quiz with 3 right answers of 4, of a student of its own."""
    made = event(str(uuid4()), random.Random(1), f"s-{uuid4()}")
    return {**made, "event_type": "quiz", "data": {"total_questions": 4, "correct_answers": 3}, **more}


def raw(event: Json, *without: str) -> bytes:
    """An event as it is sent, without some of its fields."""
    return json.dumps({name: value for name, value in event.items() if name not in without}).encode()


def query(api: Live, student_id: str, tenant: str = "default") -> Json:
    """A student's current mastery."""
    with api.client(make_token(tenant=tenant)) as client:
        answer = client.post("/mastery/query", json={"student_id": student_id})
        assert answer.status_code == 200, answer.text
        current: Json = answer.json()["data"]["current_mastery"]
        return current
