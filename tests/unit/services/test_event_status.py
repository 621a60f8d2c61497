"""Whether an event was processed, while ids move between a document and the cold value beside it."""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.backends.memory.documents import MemoryDocuments
from mastery_engine.domain.events.cooling import filters_of
from mastery_engine.domain.events.seen import IdsByDay, Seen
from mastery_engine.domain.ids import seen_hash
from mastery_engine.domain.student import NOBODY, DocumentKey
from mastery_engine.ports.documents import DocumentChange
from mastery_engine.settings import Settings
from mastery_engine.wiring import open_engine
from tests.support.samples import NOW

ADA, HELD = DocumentKey("default", "ada"), {1: seen_hash("e-1")}
COLD, BACK = [replace(NOBODY, seen=seen) for seen in (Seen.of({}, filters_of([HELD])[0]), Seen.of(HELD, b""))]


class TakenBack(MemoryDocuments):
    """Documents of which another process takes the cold ids back just before they are read."""

    async def load_cold(self, keys: Sequence[DocumentKey]) -> list[IdsByDay]:
        await self.commit([DocumentChange(ADA, 1, BACK, {})])
        return await super().load_cold(keys)


async def test_an_event_whose_id_comes_back_to_the_document_meanwhile_is_processed(tmp_path: Path) -> None:
    stores = replace(memory_stores.open_stores(lambda: NOW), documents=TakenBack())
    await stores.documents.commit([DocumentChange(ADA, 0, COLD, HELD)])
    engine = open_engine(Settings(data_dir=tmp_path), clock=lambda: NOW, stores=stores, logs=memory_logs.open_logs())
    try:
        status = await engine.ingest.status(Caller("tests", "admin"), "ada", "e-1")
    finally:
        await engine.close()
    assert status.status == "processed"
