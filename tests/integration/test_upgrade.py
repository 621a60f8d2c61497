"""Today's engine takes over the data folders of earlier ones, and an older engine leaves a newer folder as it is."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.sqlite.database import FILE_NAME, Database
from mastery_engine.backends.sqlite.migrations import MIGRATIONS
from mastery_engine.domain.student import FORMAT, unpack
from mastery_engine.errors import StartRefused
from mastery_engine.wiring import system_clock
from tests.support.calls import Api, MovedClock, serving
from tests.support.live import SECRET, refused_start
from tests.support.processes import ROOT

RELEASED = ROOT / "tests" / "support" / "released"
FOLDERS = sorted(path.stem for path in RELEASED.glob("*.sql"))
ADMIN = Caller("tests", "admin")
KEY = "a key of at least 32 bytes, for tests"
Json = dict[str, Any]


def laid(folder: Path, name: str) -> Json:
    """Lay down the database of an earlier engine; what that engine answered."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        database.execute("PRAGMA journal_mode = WAL")  # as an engine leaves it
        database.executescript((RELEASED / f"{name}.sql").read_text())
    answers: Json = json.loads((RELEASED / f"{name}.json").read_text())
    return answers


@pytest.fixture(params=FOLDERS)
async def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Api, Json]]:
    """Today's engine on an earlier folder, at the moment at which the earlier one answered."""
    answers = laid(tmp_path / "data", request.param)
    clock = MovedClock()
    clock.ahead = answers["at"] - system_clock()
    async with serving(tmp_path / "data", clock, pseudonym_key=KEY) as api:
        yield api, answers


async def test_nothing_is_lost_and_every_score_is_the_same(upgraded: tuple[Api, Json]) -> None:
    api, answers = upgraded
    names = ("completion", "quiz", "quality", "consistency")
    rows = {row.student_id: row async for page in api.engine.dumps.scores(ADMIN, None) for row in page}
    assert rows.keys() == answers["scores"].keys() - {answers["withdrawn"]}
    for student_id, (score, level, coverage, *components) in answers["scores"].items():
        found = await api.data("/mastery/query", {"student_id": student_id})
        now = found["current_mastery"]
        assert (now["mastery_score"], now["level"]) == (pytest.approx(score, abs=5e-5), level)
        if student_id != answers["withdrawn"]:
            row = rows[student_id]
            assert (row.mastery_score, row.coverage) == pytest.approx((score, coverage), abs=1e-9)
            assert [getattr(row.components, name) for name in names] == pytest.approx(components, abs=1e-9)
        assert {name: found[name] for name in answers["queries"][student_id]} == answers["queries"][student_id]
    usual = answers["usual"]
    history = {"student_id": usual, "start_date": "2026-01-01", "end_date": "2036-01-01", "aggregation": "daily"}
    assert (await api.data("/analytics/mastery-history", history))["history"] == answers["history"]
    known = (await api.data("/analytics/skills", {"student_id": usual}))["skills"]
    counted = {one["skill"]: one["answers"] for one in known}  # today also those that exercises alone speak of
    assert {one["skill"]: counted[one["skill"]] for one in answers["skills"]} == {
        one["skill"]: one["answers"] for one in answers["skills"]
    }
    assert (await api.get("/cohorts/py-101")).json()["data"]["members"] == answers["members"]
    held = (await api.get(f"/compliance/students/{usual}/export")).json()["data"]
    assert sorted(one["event_id"] for one in held["events"]) == answers["export"]
    assert len(await api.audited()) >= answers["audit"]


async def test_consent_and_erasure_hold_and_an_event_counts_once(upgraded: tuple[Api, Json]) -> None:
    api, answers = upgraded
    assert (await api.post("/mastery/query", {"student_id": answers["erased"]})).status_code == 404
    assert (await api.post("/analytics/skills", {"student_id": answers["unprofiled"]})).status_code == 409
    quiz = {"event_type": "quiz", "data": {"total_questions": 4, "correct_answers": 4}}
    for student_id in (answers["erased"], answers["withdrawn"]):
        assert (await api.post("/mastery/ingest", {**quiz, "student_id": student_id})).status_code == 403
    usual = answers["usual"]
    held = (await api.get(f"/compliance/students/{usual}/export")).json()["data"]
    before = answers["scores"][usual][0]
    await api.learn(*[json.loads(one["content"]) for one in held["events"]])
    assert (await api.data("/mastery/query", {"student_id": usual}))["current_mastery"][
        "mastery_score"
    ] == pytest.approx(before, abs=5e-5)
    await api.learn({**quiz, "event_id": "after-the-upgrade", "student_id": usual})
    after = (await api.data("/mastery/query", {"student_id": usual}))["current_mastery"]["mastery_score"]
    assert after != pytest.approx(before, abs=5e-5)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_command_as_a_user_gives_it_migrates_the_folder_and_an_older_engine_refuses_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older one is today's with fewer steps of the schema: what it says is what its release says."""
    answers = laid(tmp_path / "data", name)
    Database(tmp_path / "data" / FILE_NAME)._reader.close()
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        bodies = database.execute("SELECT body FROM documents").fetchall()
    assert len(bodies) == len(answers["scores"])
    assert all(unpack(body).latest > 0 for (body,) in bodies)
    monkeypatch.setattr("mastery_engine.backends.sqlite.migrations.MIGRATIONS", MIGRATIONS[:-1])
    with pytest.raises(StartRefused, match=f"schema version {len(MIGRATIONS)}.*run the one that wrote it"):
        Database(tmp_path / "data" / FILE_NAME)


def test_what_a_newer_engine_left_stops_the_start_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    laid(folder, FOLDERS[-1])
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = (folder / FILE_NAME).read_bytes()
    said = refused_start(folder, PSEUDONYM_KEY=SECRET)
    assert said.returncode == 1
    assert f"this engine knows {len(MIGRATIONS)}: run the one that wrote it" in said.stderr
    assert "Traceback" not in said.stderr
    assert (folder / FILE_NAME).read_bytes() == before


async def test_a_document_of_a_newer_engine_is_left_alone_and_what_comes_for_it_waits(tmp_path: Path) -> None:
    """As where a store is shared while its engines are replaced one by one."""
    folder = tmp_path / "data"
    folder.mkdir()
    event = {"event_type": "quiz", "data": {"total_questions": 4, "correct_answers": 4}}
    async with serving(folder) as api:
        await api.learn(*[{**event, "event_id": "first", "student_id": one} for one in ("ada", "bob")])
    bodies = "SELECT body FROM documents WHERE student_id = 'ada'"
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        ((body,),) = database.execute(bodies)
        newer = bytes((FORMAT + 1,)) + body[1:] + b"more"
        database.execute("UPDATE documents SET body = ? WHERE student_id = 'ada'", (newer,))
    async with serving(folder) as api:
        refused = await api.post("/mastery/query", {"student_id": "ada"})
        assert refused.status_code == 503
        assert f"format {FORMAT + 1}" in refused.json()["error"]["message"]
        assert (await api.post("/mastery/query", {"student_id": "bob"})).status_code == 200
        await api.data("/mastery/ingest", {**event, "event_id": "second", "student_id": "ada"})
        async with asyncio.timeout(10):
            while (answer := await api.get("/ready")).status_code == 200:
                await asyncio.sleep(0.02)
        assert f"format {FORMAT + 1}" in answer.text
        assert (await api.get("/students/ada/events/second")).status_code == 503
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        assert database.execute(bodies).fetchone() == (newer,)
