"""The calls, beside a bare FastAPI route that is loaded by turns with them."""

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import perf_counter, sleep

import httpx
import msgspec

from mastery_engine.auth.tokens import Tokens
from mastery_engine.domain.events.event import LearningEvent, encode
from mastery_engine.domain.moments import Micros
from mastery_engine.lab.bench.load import Load, RunningService, command, point, serving
from mastery_engine.lab.bench.measures import Line, judged, ratios, shown
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.wiring_clocks import system_clock

SECONDS = 3
RATE = 500
CALCULATIONS = 1_000
INGEST_RATE = 1_000

SECRET = "for-benches-alone-0123456789-0123456789"  # nosec B105
QUERY = '{"student_id": "student_%d"}'
CALCULATE = '{"student_id": "student_%d", "components": {"quiz": 0.9}, "record": false}'


def http(runs: int, until: Micros, events: int) -> list[Line]:
    """Query and calculation with token, audit and metrics, one process, 32 connections; ``events`` students."""
    floor: list[float] = []
    queries: list[float] = []
    calculations: list[float] = []
    with (
        served(until, events) as (service, token),
        serving(
            "-m", "uvicorn", "mastery_engine.lab.bench.bare:app", "--log-level=error", ready="/docs", environment={}
        ) as bare,
    ):
        query = Load(f"{service.url}/mastery/query", QUERY, token=token, students=events)
        calculate = Load(f"{service.url}/mastery/calculate", CALCULATE, token=token, students=events)
        plain = Load(f"{bare.url}/mastery/query", QUERY, students=events)
        for run in range(runs):
            floor.append(plain.per_second(SECONDS, seed=run))
            queries.append(query.per_second(SECONDS, seed=run))
            calculations.append(calculate.per_second(SECONDS, seed=run))
        p95, p99 = zip(*(query.latency_ms(RATE, 2 * SECONDS) for _ in range(runs)), strict=True)
        calculated = [calculate.latency_ms(RATE, 2 * SECONDS)[1] for _ in range(runs)]
    return [
        shown("http", "floor: a bare FastAPI route", "requests/s", floor),
        shown("http", "query", "requests/s", queries),
        judged("http", "query, ratio to the floor", "", ratios(queries, floor), "query to floor"),
        shown("http", "calculation, not recorded", "requests/s", calculations),
        judged("http", "calculation, ratio to the floor", "", ratios(calculations, floor), "calculation to floor"),
        shown("http", f"query at {RATE}/s, 95% point", "ms", p95),
        judged("http", f"query at {RATE}/s, 99% point", "ms", p99, "p99"),
        judged("http", f"calculation at {RATE}/s, 99% point", "ms", calculated, "p99"),
    ]


def batch(runs: int, until: Micros, events: int) -> list[Line]:
    """A batch of 1,000 recorded calculations, beside 1,000 single calls over 32 connections."""
    del events
    with served(until, CALCULATIONS) as (service, token):
        timed = [asyncio.run(_batch_and_singles(service.url, token, run)) for run in range(runs)]
    batches, singles = zip(*timed, strict=True)
    return [
        shown("batch", "1,000 calculations in one batch", "s", batches),
        shown("batch", "1,000 single calculations, one after another", "s", singles),
        judged("batch", "batch to singles", "", ratios(batches, singles), "to singles"),
        judged(
            "batch",
            "calculations a second in batches",
            "/s",
            [CALCULATIONS / seconds for seconds in batches],
            "a second",
        ),
    ]


async def _batch_and_singles(url: str, token: str, run: int) -> tuple[float, float]:
    """Seconds for a batch until its answer is there, and for as many single calls."""
    chance = Random(run)  # nosec B311
    rows = [
        {"student_id": f"student_{number}", "components": {"quiz": round(chance.random(), 3)}}
        for number in range(CALCULATIONS)
    ]
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        started = perf_counter()
        begun = (await client.post("/batch/mastery", json={"requests": rows})).raise_for_status().json()["data"]
        while await _is_under_way(client, begun["batch_id"]):  # noqa: ASYNC110  it is another process's
            await asyncio.sleep(0.01)
        together = perf_counter() - started
        started = perf_counter()
        for row in rows:
            (await client.post("/mastery/calculate", json=row)).raise_for_status()
        return together, perf_counter() - started


async def _is_under_way(client: httpx.AsyncClient, batch_id: str) -> bool:
    answer = await client.get(f"/batch/mastery/{batch_id}")
    return bool(answer.json()["data"]["status"] != "completed")


async def _is_unknown(client: httpx.AsyncClient, student_id: str) -> bool:
    return (await client.post("/mastery/query", json={"student_id": student_id})).status_code == 404


def lag(runs: int, until: Micros, events: int) -> list[Line]:
    """From the acknowledgement of an event to the query that shows it, at 1,000 events/s."""
    del events
    with served(until, CALCULATIONS) as (service, token):
        points = [asyncio.run(_lags(service.url, token, run)) for run in range(runs)]
    return [judged("lag", f"event to visible state at {INGEST_RATE:,} events/s, 95% point", "ms", points, "p95")]


async def _lags(url: str, token: str, run: int) -> float:
    """The 95% point in ms over 5 s of load, from one probe every 100 ms."""
    lags: list[float] = []
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client, asyncio.TaskGroup() as group:
        loading = group.create_task(_ingesting(client, run))
        for probe in range(50):
            student, event_id = f"probe_{run}_{probe}", f"probe-{run}-{probe}"
            event = {"event_id": event_id, "event_type": "help", "student_id": student, "data": {"topic": "loops"}}
            started = perf_counter()
            (await client.post("/mastery/ingest", json=event)).raise_for_status()
            while await _is_unknown(client, student):  # noqa: ASYNC110  it is another process's
                await asyncio.sleep(0.002)
            lags.append((perf_counter() - started) * 1e3)
            await asyncio.sleep(0.1)
        loading.cancel()
    return point(lags, 0.95)


async def _ingesting(client: httpx.AsyncClient, run: int) -> None:
    """1,000 events a second, in 20 calls of 50."""
    chance = Random(run)  # nosec B311
    started, sent = perf_counter(), 0
    while True:
        rows = [
            {
                "event_type": "quiz",
                "student_id": f"student_{chance.randrange(CALCULATIONS)}",
                "data": {"total_questions": 10, "correct_answers": chance.randrange(11)},
            }
            for _ in range(50)
        ]
        (await client.post("/mastery/ingest/batch", json={"events": rows})).raise_for_status()
        sent += len(rows)
        await asyncio.sleep(max(0.0, started + sent / INGEST_RATE - perf_counter()))


@contextmanager
def served(until: Micros, students: int) -> Iterator[tuple[RunningService, str]]:
    """The engine on SQLite with so many students who have a few events each; and a service's token."""
    with served_events(_of_each(students, until)) as served_ones:
        yield served_ones


@contextmanager
def served_events(events: Iterable[LearningEvent], **settings: str) -> Iterator[tuple[RunningService, str]]:
    """The engine on SQLite that has folded these events; and a service's token."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "DATA_DIR": str(Path(folder, "data")),
            "LOG_LEVEL": "WARNING",
            "JWT_SECRET": SECRET,
            "FORWARDED_ALLOW_IPS": "127.0.0.1",  # the load comes from one address, as from a proxy
            **settings,
        }
        source = Path(folder, "events.jsonl")
        source.write_bytes(b"\n".join(encode(event) for event in events))
        command("ingest", str(source), "--json", environment=environment)
        token = command("token", "--role", "service", environment=environment).strip()
        with serving("-m", "mastery_engine", "serve", ready="/ready", environment=environment) as service:
            while _has_unfolded(service.url):
                sleep(0.1)
            yield service, token


def student_token(student_id: str) -> str:
    """A student's own token, for what ``served`` serves."""
    return Tokens(SECRET, system_clock).make(subject=student_id, role="student", lives_s=86_400)


def _of_each(students: int, until: Micros) -> Iterator[LearningEvent]:
    """Three events of each student, of the simulated class's kinds."""
    kinds = past(pupils(40, 1), days=10, seed=1, until=until)
    for number in range(students):
        for turn in range(3):
            model = kinds[(7 * number + 31 * turn) % len(kinds)]
            yield msgspec.structs.replace(
                model, event_id=f"bench-{number}-{turn}", student_id=f"student_{number}", tenant="default"
            )


def _has_unfolded(url: str) -> bool:
    """Whether events in the log wait to be folded."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return any(line.startswith("mastery_queue_depth ") and float(line.split()[1]) > 0 for line in lines)
