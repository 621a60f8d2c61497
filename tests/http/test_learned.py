"""Item difficulties learned from the log, and taken up by a running service."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.domain.events.event import decode
from mastery_engine.domain.model_file import with_answers, with_skills
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, Revision, SkillModel
from mastery_engine.domain.skills.next_answer.levels import ItemLevel
from mastery_engine.domain.skills.next_answer.parameters import EVERYWHERE, AnswerParameters, LevelRevision
from mastery_engine.errors import StartRefused
from mastery_engine.model_files import ModelFileWatch, skill_model
from mastery_engine.settings import Settings
from mastery_engine.wiring import open_engine
from tests.support.calls import Api, serving
from tests.support.live import SECRET

PATIENCE_S = 10


def answer(event_id: str, student_id: str, *, item: str = "i", right: bool = True) -> dict[str, Any]:
    data = {"item_id": item, "skills": ["s"], "correct": right}
    return {"event_id": event_id, "event_type": "answer", "student_id": student_id, "data": data}


async def test_answers_are_read_once_of_whoever_allowed_it(api: Api) -> None:
    await api.learn(answer("e1", "ann", item="first"), answer("e2", "ann", item="second", right=False))
    await api.learn(answer("e3", "ben"), answer("e4", "cid"))
    page = [record async for records in api.logs.events.pages() for record in records]
    await api.logs.events.append(
        [decode(page[0].value or b"", received=page[0].received, tenant="default", event_id=lambda: "e1")]
    )
    answered = await api.call("PUT", "/compliance/students/ben/consent", {"processing": False})
    assert answered.status_code == 200
    assert (await api.call("DELETE", "/compliance/students/cid")).status_code == 200
    await api.learn(answer("e5", "dot"))
    found = await api.engine.logged_answers.read()
    assert sorted((one.key.student_id, one.answer.item_id, one.answer.correct) for one in found) == [
        ("ann", "first", True),
        ("ann", "second", False),
        ("ben", "i", True),
        ("dot", "i", True),
    ], "ben's was allowed when it was received; cid was erased"
    assert all(one.received >= one.at > 0 for one in found)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_service_takes_up_a_model_that_changes_and_keeps_its_own_where_the_file_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "model.msgpack"
    path.write_bytes(with_skills(None, SkillModel(version="first")))
    settings = Settings(environment="test", data_dir=tmp_path / "data", jwt_secret=SECRET, model_file=path)
    engine = open_engine(settings)
    models = engine.models
    assert models.skills.version == "first"
    watch = ModelFileWatch(settings, models, look_every_s=0.01)
    watching = asyncio.create_task(watch.keep_watching())
    try:
        await asyncio.sleep(0.05)
        path.write_bytes(b"{")
        await until(lambda: "is not used" in caplog.text)
        path.unlink()
        await until(lambda: "is missing" in caplog.text)
        assert models.skills.version == "first"
        second = SkillModel(version="second").revised(Revision(5, 4, {"i": (1.0, 0.1)}), floor=0)
        path.write_bytes(with_skills(None, second))
        await until(lambda: models.skills.version == "second")
        learned = AnswerParameters(revisions=(LevelRevision(items={"i": ItemLevel(1.5)}),))
        path.write_bytes(with_answers(path.read_bytes(), EVERYWHERE, learned))
        await until(lambda: models.answers.of("school").item("i", 5) == ItemLevel(1.5))
        assert engine.worker._folding._models.skills.difficulty("i", None, 5) == 1.0
    finally:
        watching.cancel()
        await engine.close()


async def test_without_a_file_there_is_nothing_to_look_for(tmp_path: Path) -> None:
    settings = Settings(environment="test", data_dir=tmp_path, jwt_secret=SECRET)
    engine = open_engine(settings)
    await asyncio.wait_for(engine.model_file.keep_watching(), PATIENCE_S)
    assert engine.models.skills == skill_model(settings) == DEFAULT_SKILLS
    await engine.close()


async def test_the_first_model_file_is_taken_up_while_the_service_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ready without the file, and says so."""
    monkeypatch.setattr("mastery_engine.model_files.LOOK_EVERY_S", 0.01)
    path = tmp_path / "none-yet" / "model.msgpack"
    async with serving(tmp_path / "data", model_file=path) as api:

        async def warnings() -> list[str]:
            await api.engine.dangers.look()
            answer = (await api.get("/ready", token="")).json()["data"]
            assert answer["status"] == "ready"
            (models,) = (one for one in answer["dependencies"] if one["name"] == "models")
            assert models["status"] == "up"
            said: list[str] = models["warnings"]
            return said

        assert ["not there: the shipped models are used" in said for said in await warnings()] == [True]
        assert api.engine.models.skills == DEFAULT_SKILLS
        path.parent.mkdir()
        path.write_bytes(with_skills(None, SkillModel(version="first")))
        await until(lambda: api.engine.models.skills.version == "first")
        assert await warnings() == []
        path.write_bytes(b"{")
        async with asyncio.timeout(PATIENCE_S):
            while await warnings() == []:
                await asyncio.sleep(0.01)
        assert ["has changed and is not used" in said for said in await warnings()] == [True]
        path.unlink()
        assert ["is gone" in said for said in await warnings()] == [True]
        assert api.engine.models.skills.version == "first"


async def test_a_file_that_is_there_and_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    for named in (tmp_path, tmp_path / "part" / "model"):
        (tmp_path / "part").touch()
        settings = Settings(environment="test", data_dir=tmp_path, jwt_secret=SECRET, model_file=named)
        with pytest.raises(StartRefused, match="MODEL_FILE .* (it is a folder|is no folder)"):
            open_engine(settings)


async def test_without_a_setting_readiness_tells_of_no_models(api: Api) -> None:
    names = [one["name"] for one in (await api.get("/ready", token="")).json()["data"]["dependencies"]]
    assert "models" not in names
