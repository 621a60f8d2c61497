"""Real learners: 52,211 events of the Open University Learning Analytics Dataset, first to last through the engine.

Kuzilek, Hlosta, Zdrahal 2017, Scientific Data 4:170171 (CC BY 4.0). The file lies beside the project, not in it.
"""

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.event_log import SqliteLog
from mastery_engine.backends.sqlite.store import SqliteStore
from mastery_engine.domain.evidence.score import mastery
from mastery_engine.domain.moments import DAY, moment_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import pack, pack_ids
from mastery_engine.services import Mastery
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.worker.worker import Worker
from tests.support import oracle as plain
from tests.support.samples import HOUR, Clock, when

EVENTS = Path(__file__).parents[2].parent / "shared" / "data" / "oulad_events.jsonl.gz"
CALLER = Caller("tests", "admin")
AT_ONCE = 1_000


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    if not EVENTS.exists():
        pytest.skip(f"NOT TESTED WITH REAL LEARNERS: {EVENTS} is missing")
    with gzip.open(EVENTS) as file:
        return file.read().splitlines()


async def take(engine: Mastery, lines: list[bytes]) -> None:
    """Ingest as a caller does, and work the log to its end."""
    for first in range(0, len(lines), AT_ONCE):
        some = lines[first : first + AT_ONCE]
        answer = await engine.ingest(CALLER, some)
        assert (answer.accepted, answer.refused) == (len(some), 0)
    await Worker(engine).run(until=await engine.log.ends())


async def documents(engine: Mastery) -> dict[str, tuple[bytes, bytes]]:
    """Every document and its cold ids, byte for byte."""
    found = {}
    async for key in engine.store.students():
        (held,), (cold,) = await engine.store.load([key]), await engine.store.load_cold([key])
        assert held is not None
        found[key.student_id] = (pack(held.student), pack_ids(cold))
    return found


@pytest.mark.timeout(300)
async def test_real_learners_score_as_a_plain_reading_says_and_repeats_change_no_byte(
    lines: list[bytes], tmp_path: Path
) -> None:
    events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert len(events) == 52_211
    clock = Clock(max(moment_of(datetime.fromisoformat(event["timestamp"])) for event in events) + HOUR)
    database = Database(tmp_path / "mastery.db")
    engine = Mastery(SqliteStore(database), SqliteLog(database), Rules(), clock, Metrics(), lambda: "never asked")

    await take(engine, lines)
    first = await documents(engine)
    received = when(clock())
    expected = plain.score([(event, received) for event in events], received)
    assert first.keys() == expected.keys()
    assert len(first) == 1_500
    async for key in engine.store.students():
        (held,) = await engine.store.load([key])
        assert held is not None
        found, right = mastery(held.student.evidence, clock(), engine.rules), expected[key.student_id]
        assert found.components == pytest.approx(tuple(right.components.values()), abs=1e-9), key
        assert (found.score, found.coverage) == pytest.approx((right.score, right.coverage), abs=1e-9), key
        assert found.level == right.level, key

    # Half of it again on the same day, and all that is not too old by then more than a week later.
    await take(engine, lines[::2])
    assert await documents(engine) == first
    clock.tick(8 * DAY)
    oldest = when(clock() - 89 * DAY)
    again = [
        line for line, event in zip(lines, events, strict=True) if datetime.fromisoformat(event["timestamp"]) > oldest
    ]
    assert len(again) > 45_000
    await take(engine, again)
    assert await documents(engine) == first
    assert database.read("SELECT count(*) FROM dead_letters") == [(0,)]
    assert database.read("SELECT count(*) FROM requests") == [(len(lines) + len(lines[::2]) + len(again),)]
    await database.close()
