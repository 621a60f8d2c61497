"""A large class for minutes: 10,000 events and 300 queries a second over 50,000 students, one API and one worker.

The students are amid their term, each with a month behind them, and do what they would do next, in its order; who
does the next thing is left to chance. Events go to Kafka at their rate whatever the engine does, queries likewise (k6).
Where that rate is too much, lower ones are tried until one holds. At the end, once all is worked, each document is
asked for the ids that it holds: so many events were counted, and none twice.
"""

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from random import Random

import msgspec
from confluent_kafka import Consumer

from mastery_engine.domain.events.event import DEFAULT_TENANT, NAME_OF
from mastery_engine.domain.ids import SEEN_BYTES
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey
from mastery_engine.lab.bench.goals import GOALS
from mastery_engine.lab.bench.load import Load, LoadAnswer, command, point, serving
from mastery_engine.lab.bench.measures import Line, judged, shown
from mastery_engine.lab.bench.servers import (
    Servers,
    asking,
    drained,
    fresh,
    lag_of,
    memory_mib,
    produce,
    servers,
    working,
)
from mastery_engine.lab.bench.term import StudentAtWork, at_work, documents_in, fill
from mastery_engine.settings import settings_from
from mastery_engine.wiring import curriculum

RATE, QUERIES, STUDENTS = 10_000, 300, 50_000
SHORTEST_S, LONGEST_S, EVENTS_A_SECOND = 10, 300, 150
WARMING_S = 30  # of the same before, not counted: until then a broker's JVM takes half the machine to compile
TRIED_S = 30  # of each lower rate
TRIED = (0.95, 0.85, 0.75, 0.65, 0.5)  # of what the worker did under too much
STEPS = 100
SAMPLED_S = 0.2
PLOTTED = 30  # points of the latency over time
PAGE = 1_000
QUERY = '{"student_id": "student_%d"}'
EVENT = b'{"event_id":"soak-%d","event_type":"%s","data":%s,"student_id":"student_%d"}'

_encode = msgspec.json.Encoder().encode


class Sample(msgspec.Struct, frozen=True):
    """One moment: the lag as seconds of events that came and are not worked, and the worker's memory in MiB."""

    at: float
    lag_s: float
    memory: float


def soak(runs: int, until: Micros, events: int, *, rate: int | None = None) -> list[Line]:
    """One run, of a second for each 150 of ``events``, 300 at most. Raises StartRefused."""
    del runs
    rate = rate or RATE
    seconds = min(LONGEST_S, max(SHORTEST_S, events // EVENTS_A_SECOND))
    models = at_work(until, STEPS, curriculum(settings_from(os.environ)))
    chance = Random(1)  # nosec B311
    made = next_events(models, (chance.randrange(STUDENTS) for _ in count()))
    with servers() as running:
        fresh(running.environment)
        documents = [(model.student, model.cold) for model in models]
        asyncio.run(fill(running.environment["REDIS_HOST"], STUDENTS, documents))
        before = asyncio.run(_counted(running.environment["REDIS_HOST"]))
        with (
            tempfile.TemporaryDirectory() as folder,
            working(running.environment) as (worker,),
            asking(running.environment) as asker,
        ):
            given = {
                **running.environment,
                "LOG_LEVEL": "WARNING",
                "WORKER_ENABLED": "false",
                "DATA_DIR": folder,
                "RATE_LIMIT_ENABLED": "0",
            }
            token = command("token", "--role", "service", environment=given).strip()
            with serving("-m", "mastery_engine", "serve", ready="/health", environment=given) as service:
                load = Load(f"{service.url}/mastery/query", QUERY, token=token, students=STUDENTS)
                under_load = _UnderLoad(running, asker, worker, made, load)
                under_load.run(WARMING_S, rate)
                samples, answers = under_load.run(seconds, rate)
                worked = seconds - samples[-1].lag_s
                held = highest_rate(
                    rate, samples, worked / seconds, lambda lower: under_load.run(min(seconds, TRIED_S), lower)[0]
                )
            counted = asyncio.run(_counted(running.environment["REDIS_HOST"])) - before
    third = samples[len(samples) // 3].memory
    growth = [samples[-1].memory / third]
    lag = judged("soak", "lag, 99% point", "s", [_lag_s(samples)], "lag")
    memory = judged("soak", "memory of the worker at the end, to that after a third", "", growth, "memory")
    taken = [answer.ms for answer in answers]
    query = judged("soak", f"query at {QUERIES}/s meanwhile, 99% point", "ms", [point(taken, 0.99)], "query")
    lost = [abs(under_load.sent - counted)]
    return [
        judged("soak", f"events of {under_load.sent:,} lost or counted twice", "", lost, "lost"),
        shown("soak", f"events worked within {seconds} s", "events/s", [worked * rate / seconds]),
        judged("soak", f"the same, to the {rate:,} a second that came", "", [worked / seconds], "worked"),
        shown("soak", "lag, 50% point", "s", [point([sample.lag_s for sample in samples], 0.5)]),
        msgspec.structs.replace(lag, over_time=[(sample.at, sample.lag_s) for sample in samples]),
        shown("soak", f"query at {QUERIES}/s meanwhile, 50% point", "ms", [point(taken, 0.5)]),
        msgspec.structs.replace(query, over_time=_by_time(answers, max(1, seconds // PLOTTED))),
        msgspec.structs.replace(memory, over_time=[(sample.at, sample.memory) for sample in samples]),
        shown("soak", "the highest rate that was tried and kept that lag", "events/s", [held]),
    ]


def highest_rate(rate: int, samples: Sequence[Sample], share: float, sampled: Callable[[int], Sequence[Sample]]) -> int:
    """The rate if its samples keep the lag, or else the first lower one that does, or 0.

    ``share`` of the rate was worked; ``sampled`` tries another.
    """
    if _holds(samples):
        return rate
    lower = [round(rate * share * part / 100) * 100 for part in TRIED]
    return next((tried for tried in lower if tried and _holds(sampled(tried))), 0)


def _holds(samples: Sequence[Sample]) -> bool:
    return GOALS["soak"]["lag"].is_met(_lag_s(samples))


def _lag_s(samples: Sequence[Sample]) -> float:
    return point([sample.lag_s for sample in samples], 0.99)


def next_events(models: Sequence[StudentAtWork], students: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """What each of these students does next; its time is that of its receipt."""
    steps = [[(NAME_OF[type(data)].encode(), _encode(data)) for data in model.next] for model in models]
    done: Counter[int] = Counter()
    for number, student in enumerate(students):
        mine = steps[student % len(steps)]
        yield f"student_{student}", EVENT % (number, *mine[done[student] % len(mine)], student)
        done[student] += 1


class _UnderLoad:
    """Events and queries that come at their rates, run after run; ``sent`` counts the events."""

    def __init__(
        self, running: Servers, asker: Consumer, worker: int, made: Iterator[tuple[str, bytes]], load: Load
    ) -> None:
        self._running, self._asker, self._worker, self._made, self._load = running, asker, worker, made, load
        self.sent = 0

    def run(self, seconds: int, rate: int) -> tuple[list[Sample], list[LoadAnswer]]:
        """A sample every fifth of a second, and the queries' answers; it ends when all events are worked."""
        _say(f"{seconds} s at {rate:,} events/s")
        samples: list[Sample] = []
        answers: list[LoadAnswer] = []
        failed: list[BaseException] = []

        def beside(work: Callable[[], None]) -> threading.Thread:
            def run() -> None:
                try:
                    work()
                except BaseException as error:  # noqa: BLE001  it is raised below
                    failed.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            return thread

        records = (next(self._made) for _ in range(seconds * rate))
        threads = [
            beside(lambda: produce(self._running.environment, records, rate=rate)),
            beside(lambda: answers.extend(self._load.answers(QUERIES, seconds))),
        ]
        started = time.perf_counter()
        for number in range(1, round(seconds / SAMPLED_S) + 1):
            time.sleep(max(0.0, started + number * SAMPLED_S - time.perf_counter()))
            lag_s = lag_of(self._asker) / rate
            samples.append(Sample(time.perf_counter() - started, lag_s, memory_mib(self._worker)))
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        self.sent += seconds * rate
        drained(self._asker, on_wait=lambda left: _say(f"{left:,} events wait to be worked"))
        return samples, answers


def _say(words: str) -> None:
    """To the error stream: a run is long, and its table comes at the end."""
    sys.stderr.write(f"soak: {words}\n")


def _by_time(answers: Sequence[LoadAnswer], width: int) -> list[tuple[float, float]]:
    """The 99% point of the ms in each so many seconds."""
    taken: dict[int, list[float]] = defaultdict(list)
    for answer in answers:
        taken[int(answer.second) // width].append(answer.ms)
    return [(float((place + 1) * width), point(times, 0.99)) for place, times in sorted(taken.items())]


async def _counted(host: str) -> int:
    """How many events the documents and the values beside them hold, by their ids."""
    counted = 0
    async with documents_in(host) as store:
        for start in range(0, STUDENTS, PAGE):
            numbers = range(start, min(start + PAGE, STUDENTS))
            keys = [DocumentKey(DEFAULT_TENANT, f"student_{number}") for number in numbers]
            for document, cold in zip(await store.load(keys), await store.load_cold(keys), strict=True):
                assert document is not None  # nosec B101
                counted += sum(map(len, (document.student.seen.ids, *cold.values()))) // SEEN_BYTES
    return counted
