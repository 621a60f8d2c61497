"""Statements of xAPI in posts of 100 until all are stored and folded, beside openfun Ralph, which stores alone."""

import asyncio
import subprocess  # nosec B404
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random
from time import monotonic, perf_counter
from typing import Any

import httpx
import msgspec

from mastery_engine.domain.moments import SECOND, Micros, rfc3339
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.http import SECRET
from mastery_engine.lab.bench.load import command, serving
from mastery_engine.lab.bench.measures import Line, judged, ratios, shown, unmeasured
from mastery_engine.lab.bench.peer_environments import ROOT, python_with

RALPH = "5.1.0"
REQUIREMENTS = (f"ralph-malph[full]=={RALPH}", "pymongo==4.10.1")
STUDENTS = 400
AT_ONCE = 100  # statements in a post
CONNECTIONS = 4
MOST_STATEMENTS = 10_000
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.05  # the metrics are written anew for 20 looks at once, which is more than the fold is behind

MOODLE = "https://moodle.school.example"
CMI5 = "https://w3id.org/xapi/cmi5/context/categories/"
ADL = "http://adlnet.gov/expapi"

_encode = msgspec.json.Encoder().encode


class RecordStoreAddress(msgspec.Struct, frozen=True):
    """Where statements are sent, and by which key and secret."""

    statements: str
    key: str
    secret: str


def xapi(runs: int, until: Micros, events: int) -> list[Line]:
    """Quiz attempts of Moodle and of cmi5, ten statements each; each run sends new ones, the same to all.

    A first run is not counted: it makes the students. The floor decodes the posts, and does nothing else.
    """
    number = min(events, MOST_STATEMENTS)
    ours: list[float] = []
    floor: list[float] = []
    peers: list[float] = []
    with ExitStack() as running:
        address, metrics = running.enter_context(_engine())
        bare = running.enter_context(_floor())
        peer, why = None, ""
        try:
            peer = running.enter_context(_ralph())
        except StartRefused as error:
            why = str(error)
        for run in range(runs + 1):
            posts = posts_of(number, until, run)
            floor.append(number / asyncio.run(_answered(bare, posts)))
            ours.append(number / asyncio.run(_answered(address, posts, metrics)))
            if peer is not None:
                peers.append(number / asyncio.run(_answered(peer, posts)))
    ours, floor, peers = ours[1:], floor[1:], peers[1:]
    what = f"{number:,} statements in posts of {AT_ONCE}, stored and folded"
    lines = [
        judged("xapi", what, "statements/s", ours, "statements"),
        shown("xapi", "floor: a route that decodes the same posts", "statements/s", floor),
        shown("xapi", "ratio to the floor", "", ratios(ours, floor)),
    ]
    if peer is None:
        return [*lines, unmeasured("xapi", f"ratio to openfun Ralph {RALPH}: {why}")]
    return [
        *lines,
        shown("xapi", f"openfun Ralph {RALPH}, storing alone, in memory", "statements/s", peers),
        judged("xapi", "ratio to Ralph", "", ratios(ours, peers), "to Ralph"),
    ]


def posts_of(number: int, until: Micros, run: int) -> list[bytes]:
    """The bodies of posts with so many statements together, about attempts that end by a moment."""
    chance = Random(run)  # nosec B311
    statements: list[dict[str, Any]] = []
    attempt = 0
    while len(statements) < number:
        end = until - (number - len(statements)) * SECOND // 10
        of_attempt = (_moodle_attempt if attempt % 2 else _cmi5_attempt)(f"{run}{attempt:06d}", end, chance)
        statements += of_attempt
        attempt += 1
    return [_encode(statements[start : min(start + AT_ONCE, number)]) for start in range(0, number, AT_ONCE)]


def _moodle_attempt(attempt: str, at: Micros, chance: Random) -> list[dict[str, Any]]:
    """What the plugin logstore_xapi sends of a quiz: its attempt, and nine questions; without ids."""
    student, quiz, right = chance.randrange(STUDENTS), chance.randrange(20), chance.randrange(10)
    actor = {"name": f"Student {student}", "account": {"homePage": MOODLE, "name": str(1_000 + student)}}
    of_quiz = _activity(f"{MOODLE}/mod/quiz/view.php?id={quiz}", f"Quiz {quiz}", f"{ADL}/activities/assessment")
    course = _activity(f"{MOODLE}/course/view.php?id=7", "Algebra", "https://w3id.org/xapi/cmi5/activitytype/course")
    whole = _activity(
        f"{MOODLE}/mod/quiz/attempt.php?attempt={attempt}&cmid={quiz}", "Attempt", f"{ADL}/activities/attempt"
    )
    site = _activity(MOODLE, "School", "http://id.tincanapi.com/activitytype/lms")
    info = {
        "http://moodle.org": "4.5.0",
        "https://github.com/xAPI-vle/moodle-logstore_xapi": "4.7.0",
        "event_name": "\\mod_quiz\\event\\attempt_submitted",
        "event_function": "\\src\\transformer\\events\\mod_quiz\\attempt_submitted\\handler",
    }

    def about(
        verb: str, target: dict[str, Any], parents: list[dict[str, Any]], result: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "actor": actor,
            "verb": {"id": f"{ADL}/verbs/{verb}", "display": {"en": verb}},
            "object": target,
            "timestamp": rfc3339(at),
            "result": result,
            "context": {
                "platform": "Moodle",
                "language": "en",
                "contextActivities": {"category": [site], "parent": parents},
                "extensions": {"http://lrs.learninglocker.net/define/extensions/info": info},
            },
        }

    score = {"raw": right, "min": 0, "max": 9, "scaled": round(2 * right / 9 - 1, 4)}
    result = {"score": score, "completion": True, "success": right > 4, "duration": f"PT{60 + right}S"}
    return [
        about("completed", whole, [of_quiz, course], result),
        *[
            about(
                "answered",
                _question(f"{MOODLE}/question/question.php?cmid={quiz}&id={question}", f"Question {question}"),
                [whole, of_quiz, course],
                {"completion": True, "success": question < right, "response": f"answer-{question}"},
            )
            for question in range(9)
        ],
    ]


def _cmi5_attempt(attempt: str, at: Micros, chance: Random) -> list[dict[str, Any]]:
    """What an assignable unit sends: nine questions, and whether it was passed; with ids and a registration."""
    student, number, right = chance.randrange(STUDENTS), chance.randrange(20), chance.randrange(10)
    unit = f"https://content.school.example/units/{number}"
    objective = _activity(
        f"https://content.school.example/objectives/{number % 7}", "Objective", f"{ADL}/activities/objective"
    )
    related = {"grouping": [{"id": f"{unit}/published"}], "parent": [{"id": unit}], "other": [objective]}
    context = {
        "registration": _uuid(chance),
        "extensions": {"https://w3id.org/xapi/cmi5/context/extensions/sessionid": attempt},
    }

    def about(verb: str, target: dict[str, Any], result: dict[str, Any], category: str) -> dict[str, Any]:
        return {
            "id": _uuid(chance),
            "actor": {
                "objectType": "Agent",
                "account": {"homePage": "https://lms.school.example", "name": f"s{student}"},
            },
            "verb": {"id": f"{ADL}/verbs/{verb}", "display": {"en-US": verb}},
            "object": target,
            "timestamp": rfc3339(at),
            "result": result,
            "context": {
                **context,
                "contextActivities": {**related, "category": [{"id": f"{CMI5}{category}"}]},
            },
        }

    score = {"raw": right, "min": 0, "max": 9, "scaled": round(right / 9, 4)}
    passed = {"score": score, "success": right > 4, "duration": f"PT{90 + right}S"}
    return [
        *[
            about(
                "answered",
                _question(f"{unit}/questions/{question}", f"Question {question}"),
                {"success": question < right, "response": str(question), "duration": "PT8.5S"},
                "cmi5",
            )
            for question in range(9)
        ],
        about("passed" if right > 4 else "failed", {"objectType": "Activity", "id": unit}, passed, "moveon"),
    ]


def _activity(name: str, title: str, kind: str) -> dict[str, Any]:
    return {"objectType": "Activity", "id": name, "definition": {"type": kind, "name": {"en": title}}}


def _question(name: str, title: str) -> dict[str, Any]:
    definition = {
        "type": f"{ADL}/activities/cmi.interaction",
        "name": {"en": title},
        "description": {"en": f"What is the answer to {title.lower()}?"},
        "interactionType": "choice",
    }
    return {"objectType": "Activity", "id": name, "definition": definition}


def _uuid(chance: Random) -> str:
    text = f"{chance.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


@contextmanager
def _engine() -> Iterator[tuple[RecordStoreAddress, str]]:
    """The engine on SQLite with a credential; and where its metrics are."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "DATA_DIR": folder,
            "LOG_LEVEL": "WARNING",
            "JWT_SECRET": SECRET,
        }
        made = msgspec.json.decode(
            command("credentials", "create", "--name", "bench", "--door", "xapi", "--json", environment=environment)
        )
        with serving("-m", "mastery_engine", "serve", ready="/ready", environment=environment) as service:
            address = RecordStoreAddress(f"{service.url}/xapi/statements", made["key"], made["secret"])
            yield address, f"{service.url}/metrics"


@contextmanager
def _floor() -> Iterator[RecordStoreAddress]:
    with serving(
        "-m", "uvicorn", "mastery_engine.lab.bench.bare:app", "--log-level=error", ready="/docs", environment={}
    ) as bare:
        yield RecordStoreAddress(f"{bare.url}/xapi/statements", "", "")


@contextmanager
def _ralph() -> Iterator[RecordStoreAddress]:
    """Ralph on a database of its own, which keeps all in memory. Raises StartRefused where they cannot be had."""
    python = python_with("ralph", *REQUIREMENTS)
    with subprocess.Popen(  # nosec B603
        [sys.executable, "-m", "scripts.peers.ralph_store", str(python)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            line = started.stdout.readline().split() if started.stdout else []
            if len(line) != 3:
                raise StartRefused(f"it did not start: {started.communicate(timeout=PATIENCE_S)[1].strip()}")
            yield RecordStoreAddress(*line)
        finally:
            started.terminate()


async def _answered(address: RecordStoreAddress, posts: Sequence[bytes], metrics: str | None = None) -> float:
    """Seconds until all posts are answered and, where ``metrics`` say so, folded. Raises StartRefused."""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    headers = {"X-Experience-API-Version": "1.0.3", "Content-Type": "application/json"}
    async with httpx.AsyncClient(
        auth=(address.key, address.secret), headers=headers, limits=limits, timeout=PATIENCE_S
    ) as client:
        before = 0.0 if metrics is None else await _folded(client, metrics)
        left = iter(posts)
        started = perf_counter()

        async def send() -> int:
            sent = 0
            for body in left:
                answer = await client.post(address.statements, content=body)
                if answer.status_code != 200:
                    raise StartRefused(f"{address.statements} answers {answer.status_code}: {answer.text[:1_000]}")
                sent += len(answer.json())
            return sent

        sent = sum(await asyncio.gather(*[send() for _ in range(CONNECTIONS)]))
        if metrics is not None:
            until = monotonic() + PATIENCE_S
            while (folded := await _folded(client, metrics) - before) < sent:
                if monotonic() > until:
                    raise StartRefused(f"Of {sent:,} statements only {folded:,g} were folded within {PATIENCE_S:g} s.")
                await asyncio.sleep(LOOK_EVERY_S)
        return perf_counter() - started


async def _folded(client: httpx.AsyncClient, metrics: str) -> float:
    """How many events were folded since the start of a service."""
    lines = (await client.get(metrics)).raise_for_status().text.splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("mastery_events_total{") and 'outcome="folded"' in line
    )
