"""The server on an engine of its own, in this process and without HTTP: the moment of a call, and the metric."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mcp.client import Client

from mastery_engine.auth.access import Caller
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.engine import Engine
from mastery_engine.mcp import tokens
from mastery_engine.mcp.server import make_server
from mastery_engine.settings import Settings
from mastery_engine.wiring import open_engine
from tests.support.samples import NOW, envelope

AGENT = Caller("agent", "service")
STUDENT = "student_1"
QUIZ = {"total_questions": 10, "correct_answers": 9}


@asynccontextmanager
async def agent(home: Path, *, at: Micros = NOW) -> AsyncIterator[tuple[Client, Engine]]:
    """A client whose calls come at a moment, and the engine, on which it is NOW: the student had a quiz today."""
    engine = open_engine(Settings(environment="test", data_dir=home), clock=lambda: NOW)
    try:
        await engine.ingest.take(AGENT, [msgspec.json.encode(envelope("quiz", QUIZ, student_id=STUDENT))])
        await engine.worker.run(until=await engine.progress.ends())
        server = make_server(engine, lambda: msgspec.structs.replace(AGENT, at=at))
        async with Client(server) as client:
            yield client, engine
    finally:
        await engine.close()


async def ask(client: Client, tool: str, **arguments: Any) -> Any:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return answer.structured_content


@pytest.mark.parametrize(("later", "seen"), [(0, True), (4 * DAY, True), (5 * DAY, False)])
async def test_days_are_counted_back_from_the_moment_of_the_call(tmp_path: Path, later: Micros, seen: bool) -> None:
    async with agent(tmp_path, at=NOW + later) as (client, _):
        history = await ask(client, "get_history", student_id=STUDENT, days=5)
        assert ("days_average" in history) == seen


@pytest.fixture
def _without_the_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where ``mastery-engine`` is installed without the extra ``tokens``."""
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    tokens._encoding.cache_clear()
    yield
    tokens._encoding.cache_clear()


COUNTED = b'mastery_mcp_answer_tokens_count{tool="get_mastery"} 1.0'


async def test_an_answer_s_tokens_are_a_metric(tmp_path: Path) -> None:
    async with agent(tmp_path) as (client, engine):
        await ask(client, "get_mastery", student_id=STUDENT)
        assert COUNTED in engine.metrics.text(engine.clock())


@pytest.mark.usefixtures("_without_the_package")
async def test_without_the_package_answers_come_and_nothing_is_counted(tmp_path: Path) -> None:
    async with agent(tmp_path) as (client, engine):
        assert (await ask(client, "get_mastery", student_id=STUDENT))["student_id"] == STUDENT
        assert b"mastery_mcp_answer_tokens_count" not in engine.metrics.text(engine.clock())
    assert tokens.count("a text") is None
