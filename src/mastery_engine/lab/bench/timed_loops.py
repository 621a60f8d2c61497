"""What the stream bench times, each in a process of its own: the engine's worker, and the floor below it.

``python -m mastery_engine.lab.bench.timed_loops engine|floor WRITTEN``, with the engine's settings in the environment.
It works the records that the log has, prints ``ready``, waits for a line, and prints the seconds that it took for those
that came meanwhile, and those of its processor time. The engine leaves in the file ``WRITTEN`` what it wrote about each
student; the floor writes the same.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from redis import Redis

from mastery_engine.backends.kafka.asker import ends_of
from mastery_engine.backends.kafka.headers import headers_of
from mastery_engine.backends.kafka.records import messages_of
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.redis import keys as names
from mastery_engine.collector import tune_gc
from mastery_engine.domain.events.event import DEFAULT_TENANT
from mastery_engine.domain.results import RESULTS_TOPIC
from mastery_engine.domain.student import DocumentKey
from mastery_engine.ports.event_log import REQUESTS_TOPIC
from mastery_engine.settings import settings_from
from mastery_engine.wiring import WORKER_BATCH, open_engine

BATCH = 500


class WrittenBytes(msgspec.Struct, frozen=True):
    """The document that the engine holds of a student, and the last result that it published."""

    document: bytes
    result: bytes
    headers: dict[str, str]


class TimeTaken(msgspec.Struct, frozen=True):
    """Seconds, and those of this process's processor time."""

    seconds: float
    processor: float


class Clocks:
    """Both clocks, from now on."""

    def __init__(self) -> None:
        self._started, self._worked = perf_counter(), process_time()

    def taken(self) -> TimeTaken:
        return TimeTaken(perf_counter() - self._started, process_time() - self._worked)


async def worker() -> TimeTaken:
    """The engine's worker as it is."""
    engine = open_engine(settings_from(os.environ), batch_size=WORKER_BATCH)
    tune_gc()
    await engine.worker.run(until=await engine.progress.ends())
    await asyncio.to_thread(_wait_for_the_word)
    ends = await engine.progress.ends()
    clocks = Clocks()
    await engine.worker.run(until=ends)
    taken = clocks.taken()
    await engine.close()
    return taken


def floor(known: Mapping[str, WrittenBytes]) -> TimeTaken:
    """The same loop without a domain: consume, decode, MGET, SET, produce (once a student), flush, commit.

    It writes the engine's bytes, a document and a result for each student of a batch, and makes none of them.
    """
    broker, host = os.environ["KAFKA_BROKER"], os.environ["REDIS_HOST"]
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    common: dict[str, Any] = {"bootstrap.servers": broker}
    reading = {"group.id": "floor", "enable.auto.commit": False, "fetch.wait.max.ms": 50, "fetch.queue.backoff.ms": 20}
    consumer = Consumer({**common, **reading})
    producer = Producer({**common, "enable.idempotence": True, "acks": "all", "compression.type": "lz4"})
    store = Redis.from_url(f"redis://{host}")
    reached = dict.fromkeys(ends_of(consumer), 0)

    def work(ends: Mapping[int, int]) -> None:
        consumer.assign([TopicPartition(REQUESTS_TOPIC, part, start) for part, start in reached.items()])
        while any(reached[part] < end for part, end in ends.items()):
            messages = consumer.consume(BATCH, 0.2)
            if not messages:
                continue
            students = {decode(message.value() or b"{}")["student_id"] for message in messages}
            store.mget([f"floor:{student}" for student in students])
            store.mset({f"floor:{student}": known[student].document for student in students})
            for student in students:
                producer.produce(RESULTS_TOPIC, known[student].result, student, headers={**known[student].headers})
            producer.flush()
            for message in messages:
                reached[message.partition() or 0] = (message.offset() or 0) + 1
            consumer.commit(
                offsets=[TopicPartition(REQUESTS_TOPIC, part, offset) for part, offset in reached.items()],
                asynchronous=False,
            )
        consumer.unassign()  # so that nothing is fetched before it is asked for

    store.mset({f"floor:{student}": one.document for student, one in known.items()})
    work(ends_of(consumer))  # as the engine: connected, and known to the broker
    _wait_for_the_word()
    ends = ends_of(consumer)
    clocks = Clocks()
    work(ends)
    taken = clocks.taken()
    consumer.close()
    store.close()
    return taken


def _written() -> dict[str, WrittenBytes]:
    """What stands in Redis and was published last, by student."""
    published = messages_of(KafkaSettings(os.environ["KAFKA_BROKER"]), RESULTS_TOPIC)
    last = {(message.key() or b"").decode(): message for message in published}
    with Redis.from_url(f"redis://{os.environ['REDIS_HOST']}") as store:
        documents = store.mget([names.document(DocumentKey(DEFAULT_TENANT, student)) for student in last])
    return {
        student: WrittenBytes(document, message.value() or b"", headers_of(message))
        for (student, message), document in zip(last.items(), documents, strict=True)
    }


def _wait_for_the_word() -> None:
    _say("ready")
    sys.stdin.readline()


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> None:
    """Run what the command line names, and print its seconds."""
    what, written = sys.argv[1], Path(sys.argv[2])
    if what == "engine":
        taken = asyncio.run(worker())
        written.write_bytes(msgspec.msgpack.encode(_written()))
    else:
        taken = floor(msgspec.msgpack.decode(written.read_bytes(), type=dict[str, WrittenBytes]))
    _say(f"{taken.seconds} {taken.processor}")


if __name__ == "__main__":
    main()
