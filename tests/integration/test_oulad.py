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
from mastery_engine.backends.sqlite.logs import open_logs
from mastery_engine.backends.sqlite.stores import open_stores
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.moments import DAY, moment_of
from mastery_engine.domain.student import pack, pack_ids
from mastery_engine.engine import Engine
from mastery_engine.ports.documents import DocumentStore
from tests.support import oracle
from tests.support.composed import composed
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


async def take(engine: Engine, lines: list[bytes]) -> None:
    """Ingest as a caller does, and work the log to its end."""
    for first in range(0, len(lines), AT_ONCE):
        batch = lines[first : first + AT_ONCE]
        answer = await engine.ingest.take(CALLER, batch)
        assert (answer.accepted, answer.refused) == (len(batch), 0)
    await engine.worker.run(until=await engine.progress.ends())


async def documents(store: DocumentStore) -> dict[str, tuple[bytes, bytes]]:
    """Every document and its cold ids, byte for byte."""
    packed = {}
    async for key in store.all_keys():
        (document,), (cold,) = await store.load([key]), await store.load_cold([key])
        assert document is not None
        packed[key.student_id] = (pack(document.student), pack_ids(cold))
    return packed


@pytest.mark.timeout(300)
async def test_real_learners_score_as_a_plain_reading_says_and_repeats_change_no_byte(
    lines: list[bytes], tmp_path: Path
) -> None:
    events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert len(events) == 52_211
    clock = Clock(max(moment_of(datetime.fromisoformat(event["timestamp"])) for event in events) + HOUR)
    database = Database(tmp_path / "mastery.db")
    stores = open_stores(database, clock)
    engine = composed(stores, open_logs(database), clock, new_id=lambda: "never asked")

    await take(engine, lines)
    first = await documents(stores.documents)
    received = when(clock())
    expected = oracle.score([(event, received) for event in events], received)
    assert first.keys() == expected.keys()
    assert len(first) == 1_500
    async for key in stores.documents.all_keys():
        (document,) = await stores.documents.load([key])
        assert document is not None
        score, right = mastery_score(document.student.evidence, clock(), engine.rules), expected[key.student_id]
        assert score.components == pytest.approx(tuple(right.components.values()), abs=1e-9), key
        assert (score.score, score.coverage) == pytest.approx((right.score, right.coverage), abs=1e-9), key
        assert score.level == right.level, key

    # Half of it again on the same day, and all that is not too old by then more than a week later.
    await take(engine, lines[::2])
    assert await documents(stores.documents) == first
    clock.tick(8 * DAY)
    oldest = when(clock() - 89 * DAY)
    again = [
        line for line, event in zip(lines, events, strict=True) if datetime.fromisoformat(event["timestamp"]) > oldest
    ]
    assert len(again) > 45_000
    await take(engine, again)
    assert await documents(stores.documents) == first
    assert database.read("SELECT count(*) FROM dead_letters") == [(0,)]
    assert database.read("SELECT count(*) FROM requests") == [(len(lines) + len(lines[::2]) + len(again),)]
    await database.close()
