"""The index of the dead letters on Kafka: read once, then on from where it stopped, and bounded."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

import pytest
from confluent_kafka import Message

from mastery_engine.backends.kafka import logs as kafka_logs
from mastery_engine.backends.kafka.dead_letters import KafkaDeadLetters
from mastery_engine.backends.kafka.letter_index import KnownLetters, LetterIndex
from mastery_engine.backends.kafka.settings import KafkaSettings
from scripts.servers.kafka import Kafka
from tests.support.fleet import without_topics
from tests.support.logs import letter
from tests.support.samples import NOW

pytestmark = pytest.mark.xdist_group("kafka")


@pytest.fixture
async def queue(kafka: Kafka) -> AsyncIterator[KafkaDeadLetters]:
    await asyncio.to_thread(without_topics, kafka)
    settings = KafkaSettings(kafka.bootstrap, partitions=2)
    logs = kafka_logs.open_logs(settings)
    assert isinstance(logs.dead_letters, KafkaDeadLetters)
    yield logs.dead_letters
    await logs.connection.close()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages went into the index."""
    seen: list[int] = []
    take = KnownLetters.take

    def counted(known: KnownLetters, message: Message) -> None:
        seen.append(message.offset() or 0)
        take(known, message)

    monkeypatch.setattr(KnownLetters, "take", counted)
    return seen


async def test_what_was_read_is_not_read_again(queue: KafkaDeadLetters, taken: list[int]) -> None:
    await queue.append([letter(n, key=b"%d" % n) for n in range(300)])
    (reason,) = (await queue.reasons("default")).reasons
    assert (reason.count, len(taken)) == (300, 300)
    for _ in range(3):
        assert (await queue.reasons("default")).reasons == [reason]
    assert len(taken) == 300
    await queue.append([letter(1_000 + n, key=b"%d" % n) for n in range(5)])
    newest = (await queue.with_code("default", "VALIDATION_ERROR", before=None, limit=26))[0]
    assert newest.value is not None
    await queue.redrive([newest.letter_id], NOW + 1)
    (reason,) = (await queue.reasons("default")).reasons
    assert (reason.count, len(taken)) == (304, 306), "five letters and a marker are new"


async def test_of_more_than_are_to_be_known_the_newest_are_and_it_is_said(
    queue: KafkaDeadLetters, taken: list[int]
) -> None:
    await queue.append([letter(n, key=b"%d" % n, at=NOW + n) for n in range(200)])
    oldest = min(await queue.page(limit=1_000), key=lambda each: each.at)
    await queue.close()
    queue._index = LetterIndex(queue._settings, most=40)
    found = await queue.reasons("default")
    assert len(taken) <= 40
    assert found.of_newest == found.reasons[0].count == len(taken)
    await queue.append([letter(1_000 + n, key=b"%d" % n, at=NOW + 1_000 + n) for n in range(60)])
    found = await queue.reasons("default")
    assert (found.of_newest, found.reasons[0].count, found.reasons[0].newest) == (40, 40, NOW + 1_059)
    assert await queue.find(oldest.letter_id) == oldest, "what is older is found all the same"
    assert set(await queue.redrive([oldest.letter_id], NOW + 9)) == {oldest.letter_id}


async def test_a_long_topic_is_shown_quickly(queue: KafkaDeadLetters) -> None:
    value = b'{"event_type": "quiz", "student_id": "ada", "padding": "%s"}' % (b"x" * 300)
    for start in range(0, 12_000, 2_000):
        await queue.append([letter(n, key=b"%d" % n, value=value) for n in range(start, start + 2_000)])
    first = perf_counter()
    assert (await queue.reasons("default")).reasons[0].count == 12_000
    again = perf_counter()
    for _ in range(5):
        await queue.reasons("default")
    rows = perf_counter()
    assert len(await queue.with_code("default", "VALIDATION_ERROR", before=None, limit=26)) == 26
    end = perf_counter()
    print(f"first {again - first:.3f} s, again {(rows - again) / 5:.3f} s, 26 letters {end - rows:.3f} s")
    assert (rows - again) / 5 < 0.5
    assert end - rows < 3.0
