"""The client under `mypy --strict`, as somebody's program sees it: what is right passes, what is wrong is told."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

PROGRAM = '''
"""A program that uses the client."""

import asyncio
from datetime import UTC, date, datetime

from mastery_client import ApiError, AsyncMasteryClient, LearningEvent, MasteryClient, TooManyRequests
from mastery_client.answers import AtRisk, BatchState, StudentMastery
from mastery_client.events import Quiz


def worst(engine: MasteryClient, cohort_id: str) -> AtRisk | None:
    return next(engine.iter_cohort(cohort_id, limit=100), None)


def score(engine: MasteryClient, student_id: str) -> float:
    try:
        mastery: StudentMastery = engine.query(student_id, date=date(2026, 1, 14))
    except TooManyRequests as error:
        return error.retry_after or 0.0
    except ApiError as error:
        raise SystemExit(f"{error.code} {error.status} {error.request_id}") from error
    return mastery.current_mastery.mastery_score


def send(engine: MasteryClient) -> list[str]:
    quiz = Quiz(total_questions=10, correct_answers=7.5, topic="loops")
    event = LearningEvent("quiz", "ada", quiz, timestamp=datetime.now(UTC))
    answer = engine.ingest_batch([event, {"event_type": "help"}], idempotency_key="lesson-7")
    return [receipt.error.message for receipt in answer.results if receipt.error is not None]


def batch(engine: MasteryClient) -> str | None:
    answer = engine.calculate_batch([{"student_id": "ada"}], priority="high")
    if isinstance(answer, BatchState):
        return answer.batch_id
    return answer.results[0].current_mastery.level


async def skills(engine: AsyncMasteryClient, student_id: str) -> dict[str, float]:
    found = await engine.skills(student_id)
    async for change in engine.stream(student_id):
        print(change.trend == "improving")
        break
    return {one.skill: one.probability for one in found.skills}


def main() -> None:
    with MasteryClient("http://localhost:8005", token=lambda: "fresh", timeout=5, retries=2) as engine:
        print(worst(engine, "py-101"), score(engine, "ada"), send(engine), batch(engine))
        engine.history("ada").to_frame()
    asyncio.run(skills(AsyncMasteryClient("http://localhost:8005", token="t"), "ada"))
'''
WRONG = {
    "engine.query(7)": "arg-type",
    'engine.query("ada", course="x")': "call-arg",
    'engine.query("ada").current_mastery.scores': "attr-defined",
    'engine.history("ada", aggregation="yearly")': "arg-type",
    'engine.query("ada").trend == "up"': "comparison-overlap",
    'engine.calculate_batch([], priority="urgent")': "arg-type",
}


def test_a_program_is_typed_to_the_bottom(tmp_path: Path) -> None:
    lines = "\n".join(f"    {one}" for one in WRONG)
    wrong = f"from mastery_client import MasteryClient\n\ndef wrong(engine: MasteryClient) -> None:\n{lines}\n"
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(wrong)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "program.py", "wrong.py"]
    given = {**os.environ, "MYPYPATH": str(ROOT / "clients" / "python" / "src")}
    said = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False).stdout
    assert [line for line in said.splitlines() if line.startswith("program.py")] == []
    found = re.findall(r"^wrong\.py:(\d+): error: .*\[([\w-]+)\]$", said, re.MULTILINE)
    assert found == [(str(place + 4), code) for place, code in enumerate(WRONG.values())]
