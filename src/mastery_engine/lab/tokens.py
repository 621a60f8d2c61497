"""What an agent's jobs cost in tokens: by the tools, beside the raw history in the prompt."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from mcp.client import Client
from mcp.server import MCPServer

from mastery_engine.access import Caller
from mastery_engine.domain.events import LearningEvent, encode
from mastery_engine.domain.moments import Micros
from mastery_engine.lab.measures import Line, at_least, shown
from mastery_engine.lab.simulate import BEST_KNOWN, past, pupils
from mastery_engine.mcp.server import make_server
from mastery_engine.mcp.tokens import count
from mastery_engine.service import Mastery
from mastery_engine.service.predictions import Predictions
from mastery_engine.settings import Settings
from mastery_engine.wiring import forecast_model, open_mastery

STUDENTS, DAYS, SEED = 30, 30, 1
AGENT = Caller("bench", "service")
CLOSE = 0.0006  # what is sent is rounded to 4 decimals
EACH, MIDDLE = 95.0, 99.0

Call = tuple[str, dict[str, Any]]


def tokens(runs: int, until: Micros, events: int) -> list[Line]:
    """The share saved for each job, in percent; a wrong answer raises ValueError. Sizes do not vary with ``runs``."""
    del runs, events
    return asyncio.run(_measure(until))


def _jobs(ids: Sequence[str]) -> dict[str, list[Call]]:
    one = {"student_id": BEST_KNOWN}
    halves = ids[: len(ids) // 2], ids[len(ids) // 2 :]
    return {
        "what does she know": [("get_mastery", one), ("get_skills", one)],
        "will he pass": [("forecast", one)],
        "what next": [("recommend", one)],
        "who needs help": [("who_needs_help", {"student_ids": ids})],
        "why this score": [("explain_score", {**one, "detail": True})],
        "compare classes": [("who_needs_help", {"student_ids": half, "limit": 1}) for half in halves],
    }


async def _measure(until: Micros) -> list[Line]:
    class_ = past(pupils(STUDENTS, SEED), days=DAYS, seed=SEED, until=until)
    jobs = _jobs(sorted({event.student_id for event in class_}))
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(environment="test", data_dir=Path(folder))
        mastery = open_mastery(settings, clock=lambda: until)
        try:
            await mastery.folding.fold(await mastery.submit(AGENT, class_, "ingest"))
            server = make_server(mastery, Predictions(mastery, forecast_model(settings)), lambda: AGENT)
            return await _lines(mastery, server, class_, jobs)
        finally:
            await mastery.close()


async def _lines(
    mastery: Mastery, server: MCPServer, class_: Sequence[LearningEvent], jobs: dict[str, list[Call]]
) -> list[Line]:
    of_class = sum(count(encode(event).decode() + "\n") for event in class_)
    of_one = sum(count(encode(event).decode() + "\n") for event in class_ if event.student_id == BEST_KNOWN)
    lines: list[Line] = []
    saved: list[float] = []
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        for job, calls in jobs.items():
            cost = 0
            for tool, arguments in calls:
                answer = await client.call_tool(tool, arguments)
                text = "".join(part.text for part in answer.content if part.type == "text")
                await _check(mastery, tool, arguments, json.loads(text))
                cost += count(json.dumps(arguments)) + count(tool) + count(text)
            before = of_class if "student_ids" in calls[0][1] else of_one
            saved.append(100.0 * (1.0 - cost / before))
            lines.append(shown("tokens", f"{job}: raw history", "tokens", [before]))
            lines.append(shown("tokens", f"{job}: calls and answers", "tokens", [cost]))
            lines.append(at_least("tokens", f"{job}: saved", "%", [saved[-1]], EACH))
    listed = count(json.dumps([tool.model_dump(mode="json", exclude_none=True) for tool in tools]))
    lines.append(shown("tokens", "the list of tools, once a session", "tokens", [listed]))
    lines.append(at_least("tokens", "saved, the job in the middle", "%", [median(saved)], MIDDLE))
    return lines


async def _check(mastery: Mastery, tool: str, arguments: dict[str, Any], answer: dict[str, Any]) -> None:
    """Raises ValueError where an answer is not what the calls of HTTP say."""
    if tool == "who_needs_help":
        scores = [await _score(mastery, student_id) for student_id in arguments["student_ids"]]
        right = abs(answer["average"] - sum(scores) / len(scores)) < CLOSE and answer["students"] == len(scores)
    elif tool == "explain_score":
        total = answer["score"] + sum(one["cost"] for one in answer["costs"])
        right = abs(total - 1.0) < CLOSE and abs(answer["score"] - await _score(mastery, BEST_KNOWN)) < CLOSE
    elif tool == "get_mastery":
        right = abs(answer["score"] - await _score(mastery, BEST_KNOWN)) < CLOSE
    elif tool == "forecast":
        right = answer["lower"] <= answer["then"] <= answer["upper"]
    elif tool == "recommend":
        right = bool(answer["steps"])
    else:
        weakest = [one["right_next"] for one in answer["weakest"]]
        right = weakest == sorted(weakest)
    if not right:
        raise ValueError(f"{tool} answered wrongly: {answer}")


async def _score(mastery: Mastery, student_id: str) -> float:
    return (await mastery.query(AGENT, student_id)).current_mastery.mastery_score
