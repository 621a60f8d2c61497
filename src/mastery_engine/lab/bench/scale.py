"""A million students in Redis beside a thousand: what one costs in memory, and what their number costs a query."""

import asyncio
import socket
import subprocess  # nosec B404
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from redis import Redis, RedisError

from mastery_engine.domain.moments import Micros
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.load import Load, command, serving, tool
from mastery_engine.lab.bench.measures import Line, judged, ratios, shown
from mastery_engine.lab.bench.term import fill, grown

FEW = 1_000
SECONDS = 3
STUDENTS_AN_EVENT = 20  # so that the default number of events makes a million students
START_S = 20.0

NOWHERE = "127.0.0.1:9"  # the discard port: a query does not need the log

QUERY = '{"student_id": "student_%d"}'


def scale(runs: int, until: Micros, events: int) -> list[Line]:
    """Queries over all students and over the first thousand alone, by turns; 20 students for each of ``events``."""
    many = STUDENTS_AN_EVENT * events
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as url:
        with Redis.from_url(url) as client:
            empty = int(client.info("memory")["used_memory"])
            asyncio.run(fill(url, many, list(grown(until).values())))
            each = (int(client.info("memory")["used_memory"]) - empty) / many
        environment = {
            "REDIS_HOST": url,
            "KAFKA_BROKER": NOWHERE,
            "WORKER_ENABLED": "false",
            "DATA_DIR": str(Path(folder, "data")),
            "LOG_LEVEL": "WARNING",
        }
        token = command("token", "--role", "service", environment=environment).strip()
        with serving("-m", "mastery_engine", "serve", ready="/health", environment=environment) as service:
            of_few = Load(f"{service.url}/mastery/query", QUERY, token=token, students=FEW)
            of_many = Load(f"{service.url}/mastery/query", QUERY, token=token, students=many)
            pairs = [
                (of_few.per_second(SECONDS, seed=run), of_many.per_second(SECONDS, seed=run)) for run in range(runs)
            ]
    few, all_of_them = zip(*pairs, strict=True)
    return [
        judged(
            "scale",
            f"memory of one of {many:,} students with 30 days of history, in Redis",
            "bytes",
            [each],
            "bytes",
        ),
        shown("scale", f"queries over {FEW:,} students", "requests/s", few),
        shown("scale", f"queries over {many:,} students", "requests/s", all_of_them),
        judged("scale", "cost of a query, many to few", "", ratios(few, all_of_them), "many to few"),
    ]


@contextmanager
def redis_server(home: Path) -> Iterator[str]:
    """A Redis of our own on loopback, without persistence. Raises StartRefused where it is not installed."""
    program = tool("redis-server", "apt-get install redis-server")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"redis://127.0.0.1:{port}"
    argv = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(home), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # nosec B603
        try:
            _wait(url)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=START_S)


def _wait(url: str) -> None:
    until = monotonic() + START_S
    with Redis.from_url(url) as client:
        while monotonic() < until:
            try:
                client.ping()
                return
            except RedisError:
                sleep(0.02)
    raise StartRefused("redis-server does not answer on loopback.")
