"""What the stream bench measures, each in a process of its own: the engine's worker, and the floor below it.

``python -m mastery_engine.lab.bench.stream_runs engine|floor WRITTEN``, with the engine's settings in the environment: it
works the records that the log has, says ``ready``, waits for a line, and prints the seconds that it took for those that
came meanwhile. The engine leaves in the file ``WRITTEN`` what it wrote about each student; the floor writes the same.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from redis import Redis

from mastery_engine.backends.kafka.dead_letters import headers_of, records_of
from mastery_engine.backends.kafka.reader import ends_of
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.redis.keys import beside
from mastery_engine.collector import settle
from mastery_engine.domain.events.event import DEFAULT_TENANT
from mastery_engine.domain.results import RESULTS_TOPIC
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.event_log import REQUESTS_TOPIC
from mastery_engine.settings import settings_from
from mastery_engine.wiring import WORKER_BATCH, open_mastery
from mastery_engine.worker.worker import Worker

BATCH = 500


class Written(msgspec.Struct, frozen=True):
    """What the engine holds of a student and last told about them."""

    document: bytes
    result: bytes
    headers: dict[str, str]


async def engine() -> float:
    """A worker as it is."""
    mastery = open_mastery(settings_from(os.environ), batch_size=WORKER_BATCH)
    settle()
    worker = Worker(mastery)
    await worker.run(until=await mastery.log.ends())
    await asyncio.to_thread(_told_to_go)
    ends = await mastery.log.ends()
    started = perf_counter()
    await worker.run(until=ends)
    seconds = perf_counter() - started
    await mastery.close()
    return seconds


def floor(known: Mapping[str, Written]) -> float:
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
            names = {decode(one.value() or b"{}")["student_id"] for one in messages}
            store.mget([f"floor:{name}" for name in names])
            store.mset({f"floor:{name}": known[name].document for name in names})
            for name in names:
                producer.produce(RESULTS_TOPIC, known[name].result, name, headers={**known[name].headers})
            producer.flush()
            for one in messages:
                reached[one.partition() or 0] = (one.offset() or 0) + 1
            consumer.commit(
                offsets=[TopicPartition(REQUESTS_TOPIC, part, offset) for part, offset in reached.items()],
                asynchronous=False,
            )
        consumer.unassign()  # so that nothing is fetched before it is asked for

    work(ends_of(consumer))  # as the engine: connected, and known to the broker
    _told_to_go()
    ends = ends_of(consumer)
    started = perf_counter()
    work(ends)
    seconds = perf_counter() - started
    consumer.close()
    store.close()
    return seconds


def _written() -> dict[str, Written]:
    """What stands in Redis and was told last, by student."""
    told = {
        (one.key() or b"").decode(): one for one in records_of(KafkaSettings(os.environ["KAFKA_BROKER"]), RESULTS_TOPIC)
    }
    with Redis.from_url(f"redis://{os.environ['REDIS_HOST']}") as store:
        documents = store.mget([beside(StudentKey(DEFAULT_TENANT, name), "d") for name in told])
    return {
        name: Written(document, one.value() or b"", headers_of(one))
        for (name, one), document in zip(told.items(), documents, strict=True)
    }


def _told_to_go() -> None:
    _say("ready")
    sys.stdin.readline()


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> None:
    """Run what the command line names, and print its seconds."""
    what, written = sys.argv[1], Path(sys.argv[2])
    if what == "engine":
        seconds = asyncio.run(engine())
        written.write_bytes(msgspec.msgpack.encode(_written()))
    else:
        seconds = floor(msgspec.msgpack.decode(written.read_bytes(), type=dict[str, Written]))
    _say(str(seconds))


if __name__ == "__main__":
    main()
