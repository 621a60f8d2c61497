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

from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.event import LearningEvent, encode
from mastery_engine.domain.moments import Micros
from mastery_engine.engine import Engine
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.measures import Line, judged, shown
from mastery_engine.lab.simulate.classes import BEST_KNOWN, past, pupils
from mastery_engine.mcp.server import make_server
from mastery_engine.mcp.tokens import INSTALL, count
from mastery_engine.settings import Settings
from mastery_engine.wiring import open_engine

STUDENTS, DAYS, SEED = 30, 30, 1
AGENT, ADMIN = Caller("bench", "service"), Caller("bench", "admin")
CLOSE = 0.0006  # what is sent is rounded to 4 decimals

Call = tuple[str, dict[str, Any]]


def tokens(runs: int, until: Micros, events: int) -> list[Line]:
    """The share saved for each job, in percent. Sizes do not vary with ``runs``.

    Raises ValueError for a wrong answer, StartRefused where nothing can count tokens.
    """
    del runs, events
    _count("")  # refused before the work
    return asyncio.run(_measure(until))


def _count(text: str) -> int:
    """The tokens of a text. Raises StartRefused where the package that counts them is not installed."""
    tokens = count(text)
    if tokens is None:
        raise StartRefused(f"Tokens are counted by a package that is not installed: {INSTALL}.")
    return tokens


def _jobs(ids: Sequence[str]) -> dict[str, list[Call]]:
    student = {"student_id": BEST_KNOWN}
    return {
        "what does she know": [("get_mastery", student), ("get_skills", student)],
        "will he pass": [("forecast", student)],
        "what next": [("recommend", student)],
        "who needs help": [("who_needs_help", {"student_ids": ids})],
        "why this score": [("explain_score", {**student, "detail": True})],
        "compare classes": [("compare", {"cohort_ids": list(_classes(ids))})],
    }


def _classes(ids: Sequence[str]) -> dict[str, Sequence[str]]:
    """Two classes, half of the students each."""
    return {"py-101": ids[: len(ids) // 2], "py-102": ids[len(ids) // 2 :]}


async def _measure(until: Micros) -> list[Line]:
    class_ = past(pupils(STUDENTS, SEED), days=DAYS, seed=SEED, until=until)
    ids = sorted({event.student_id for event in class_})
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(Settings(environment="test", data_dir=Path(folder)), clock=lambda: until)
        try:
            await engine.ingest.submit(AGENT, class_, "ingest")
            await engine.worker.run(until=await engine.progress.ends())
            server = make_server(engine, lambda: AGENT)
            for cohort_id, members in _classes(ids).items():
                await engine.cohorts.put(ADMIN, cohort_id, cohort_id, members, None)
            return await _lines(engine, server, class_, ids)
        finally:
            await engine.close()


async def _lines(engine: Engine, server: MCPServer, class_: Sequence[LearningEvent], ids: Sequence[str]) -> list[Line]:
    of_class = sum(_count(encode(event).decode() + "\n") for event in class_)
    of_one = sum(_count(encode(event).decode() + "\n") for event in class_ if event.student_id == BEST_KNOWN)
    lines: list[Line] = []
    saved: list[float] = []
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        for job, calls in _jobs(ids).items():
            cost = 0
            for tool, arguments in calls:
                answer = await client.call_tool(tool, arguments)
                text = "".join(part.text for part in answer.content if part.type == "text")
                await _check(engine, tool, arguments, json.loads(text), _classes(ids))
                cost += _count(json.dumps(arguments)) + _count(tool) + _count(text)
            before = of_one if "student_id" in calls[0][1] else of_class
            saved.append(100.0 * (1.0 - cost / before))
            lines.append(shown("tokens", f"{job}: raw history", "tokens", [before]))
            lines.append(shown("tokens", f"{job}: calls and answers", "tokens", [cost]))
            lines.append(judged("tokens", f"{job}: saved", "%", [saved[-1]], "each"))
    listed = sum(_count(tool.model_dump_json(exclude_none=True, by_alias=True)) for tool in tools)
    lines.append(shown("tokens", "the list of tools, once a session", "tokens", [listed]))
    lines.append(judged("tokens", "saved, the job in the middle", "%", [median(saved)], "middle"))
    return lines


async def _check(
    engine: Engine,
    tool: str,
    arguments: dict[str, Any],
    answer: dict[str, Any],
    classes: dict[str, Sequence[str]],
) -> None:
    """Raises ValueError where an answer is not what the calls of HTTP say."""
    if tool == "who_needs_help":
        average = await _average(engine, arguments["student_ids"])
        right = abs(answer["average"] - average) < CLOSE and answer["size"] == len(arguments["student_ids"])
    elif tool == "compare":
        averages = [await _average(engine, members) for members in classes.values()]
        right = all(
            abs(class_["average"] - average) < CLOSE
            for class_, average in zip(answer["classes"], averages, strict=True)
        )
    elif tool == "explain_score":
        total = answer["score"] + sum(part["cost"] for part in answer["costs"])
        right = abs(total - 1.0) < CLOSE and abs(answer["score"] - await _score(engine, BEST_KNOWN)) < CLOSE
    elif tool == "get_mastery":
        right = abs(answer["score"] - await _score(engine, BEST_KNOWN)) < CLOSE
    elif tool == "forecast":
        right = answer["lower"] <= answer["then"] <= answer["upper"]
    elif tool == "recommend":
        right = bool(answer["advice"])
    else:
        weakest = [skill["right_next"] for skill in answer["weakest"]]
        right = weakest == sorted(weakest)
    if not right:
        raise ValueError(f"{tool} answered wrongly: {answer}")


async def _average(engine: Engine, student_ids: Sequence[str]) -> float:
    return sum([await _score(engine, student_id) for student_id in student_ids]) / len(student_ids)


async def _score(engine: Engine, student_id: str) -> float:
    return (await engine.scores.query(AGENT, student_id)).current_mastery.mastery_score
