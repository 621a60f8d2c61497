"""The engine on any store and log, its doors, and faults at any step of its work."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import datetime, timedelta, tzinfo
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.backends.memory.result_log import MemoryResultLog
from mastery_engine.backends.sqlite import logs as sqlite_logs
from mastery_engine.backends.sqlite import stores as sqlite_stores
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.result_log import SqliteResultLog
from mastery_engine.domain.courses.course import Course, CourseRules
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.events.event import LearningEvent, check_times, decode
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.people.identity import Identity, external_student_id
from mastery_engine.domain.people.profile import ProfileChange
from mastery_engine.domain.results import Result, Updated, message, result_id
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import Conflict, InvalidInput
from mastery_engine.ports.backend import Logs, Stores
from mastery_engine.services.idempotency import keyed
from tests.support import oracle as plain
from tests.support.composed import composed
from tests.support.new_database import FAST, lay_new_database
from tests.support.samples import Clock, raw, when

ADAS, MAIL = Identity("https://lms.example", "42"), Identity("mailto", "ada@school.example")
Door: TypeAlias = Literal["ingest", "append", "fold", "calculate"]
Sent: TypeAlias = dict[str, Any]

CALLER = Caller("tests", "admin")
CALCULATION = "mastery.calculation.requested"


class Crash(Exception):
    """The process ends here."""


class Faults:
    """Counts the calls of store and log, and fails the ones it is told to, before or after they took effect."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.at: dict[int, tuple[Literal["before", "after"], type[Exception]]] = {}

    def fail(self, place: int, moment: Literal["before", "after"], error: type[Exception]) -> None:
        """Fail the call that comes so many calls after this one."""
        self.at[len(self.calls) + place] = (moment, error)

    async def run(self, name: str, call: Callable[..., Any], *values: Any, **named: Any) -> Any:
        moment, error = self.at.pop(len(self.calls), ("", Crash))
        self.calls.append(name)
        if moment == "before":
            raise error(name)
        answer = await call(*values, **named)
        if moment == "after":
            raise error(name)
        return answer


class Watched:
    """A part of a store or a log whose calls can fail; what it published is noted, repeats too."""

    UNWATCHED = ("batches", "pages", "all_keys", "close", "forget", "forget_students", "read_cached")

    def __init__(self, inner: Any, faults: Faults) -> None:
        self.inner = inner
        self.published: list[Result] = []
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name in self.UNWATCHED:
            return method
        if name == "precedes":  # asks about another part, and of what is behind it
            return lambda other: method(getattr(other, "inner", other))

        async def call(*values: Any, **named: Any) -> Any:
            if name == "publish":
                return await self._faults.run(name, self._publish, *values)
            return await self._faults.run(name, method, *values, **named)

        return call

    async def _publish(self, results: Sequence[Result], traceparents: Mapping[str, str]) -> None:
        await self.inner.publish(results, traceparents)
        self.published += results


def watched(parts: Any, faults: Faults) -> Any:
    """The same stores or logs, each part watched."""
    each = {name: getattr(parts, name) for name in parts.__struct_fields__}
    return type(parts)(**{name: part and Watched(part, faults) for name, part in each.items()})  # not all have all


class TestedEngine:
    """The engine with everything that was sent to it: what a plain reading of the log must come to."""

    __test__ = False

    def __init__(self, stores: Stores, logs: Logs, clock: Clock, rules: Rules | None = None) -> None:
        self.clock = clock
        self.rules = rules or Rules()
        self.faults = Faults()
        self.inner_stores, self.inner_logs = stores, logs
        self.stores, self.logs = watched(stores, self.faults), watched(logs, self.faults)
        self.sent: list[tuple[Sent, datetime]] = []
        self.linked: dict[str, str] = {}
        ids = count()
        self._new_id = lambda: f"minted-{next(ids)}"
        self.start()

    def start(self) -> None:
        """A process begins: nothing is left in memory of the one before."""
        self.engine = composed(self.stores, self.logs, self.clock, new_id=self._new_id)

    @property
    def published(self) -> list[Result]:
        """What went out, repeats too."""
        results: Any = self.logs.results
        published: list[Result] = results.published
        return published

    # ---- doors

    async def send(self, door: Door, events: Sequence[Sent]) -> None:
        """Send events through a door; a calculation goes through its own, the others' components not."""
        if door == "calculate":
            for one in events:
                await self.calculate(one["student_id"], one["event_id"], one["data"].get("components", {"quiz": 0.5}))
            return
        self.sent += [(one, when(self.clock())) for one in events]
        if door == "ingest":
            await self.engine.ingest.take(CALLER, [raw(one) for one in events])
        elif door == "append":
            await self.logs.events.append([decode(raw(one), received=self.clock()) for one in events])
        else:
            accepted = [event for one in events if (event := self._accepted(one)) is not None]
            logged = await self.engine.ingest.submit(CALLER, accepted, "test")
            await self.engine.worker._folding.fold(logged, self.clock())

    async def calculate(self, student_id: str, key: str, components: dict[str, float]) -> None:
        """As a caller does that names its call: what it records has an id that follows from the name."""
        named = keyed(key, msgspec.json.encode([student_id, components]))
        event_id = self.engine.ingest.derived_id(CALLER, "calculate", named, 0)
        event = {
            "event_id": event_id,
            "event_type": CALCULATION,
            "student_id": student_id,
            "timestamp": rfc3339(self.clock()),
            "data": {"components": components},
        }
        sent = (event, when(self.clock()))
        self.sent.append(sent)
        given = msgspec.convert(components, ComponentValues)
        try:
            await self.engine.scores.calculate(CALLER, student_id, given, course_id="default", key=named)
        except Conflict:  # a name used before for other components: nothing is recorded
            self.sent = [one for one in self.sent if one is not sent]

    async def link(self, student_id: str, *people: Identity) -> None:
        """Give a student identities of other platforms, beside those that they have."""
        store = self.inner_stores.people
        (before,) = await store.load([StudentKey("default", student_id)])
        self.linked |= {derived(one): student_id for one in people}
        external = tuple({*before.profile.external, *people})
        await self.engine.people.put(CALLER, student_id, ProfileChange(external=external))

    def owner(self, student_id: str) -> str:
        """The student to whom an id was linked, by one link or by several."""
        while student_id in self.linked:
            student_id = self.linked[student_id]
        return student_id

    @property
    def owned(self) -> list[tuple[Sent, datetime]]:
        """What was sent, as of whom it belongs to: a link moves what came before it, too."""
        return [({**one, "student_id": self.owner(one["student_id"])}, received) for one, received in self.sent]

    async def fold_again(self) -> None:
        """Replay the log into an emptied store."""
        await self.engine.replay.begin(0.0)
        await self.work()

    def _accepted(self, one: Sent) -> LearningEvent | None:
        try:
            return check_times(decode(raw(one), received=self.clock()), self.rules)
        except InvalidInput:
            return None

    # ---- work

    async def work(self) -> None:
        """Work all that is in the log."""
        async with asyncio.timeout(20):
            await self.engine.worker.run(until=await self.inner_logs.events.ends())

    async def work_through_crashes(self) -> None:
        """Work all that is in the log; whenever the process ends, another begins."""
        while True:
            try:
                await self.work()
            except Crash:
                self.start()
            else:
                return

    async def purge(self) -> None:
        await self.engine.purge.run()

    # ---- what must be true

    @property
    def zone(self) -> tzinfo:
        """The time zone of the rules, as the plain reading takes it."""
        return ZoneInfo(self.rules.zone.name)

    async def scores(self, at: int, course_id: str = "default") -> dict[str, tuple[Any, ...]]:
        """Each known student's components, coverage, level and score in a course at a time."""
        found = await self.all_scores(at)
        return {student_id: values for (student_id, course), values in found.items() if course == course_id}

    async def all_scores(self, at: int) -> dict[tuple[str, str], tuple[Any, ...]]:
        """The same in all courses, by student and course."""
        found = {}
        async for key in self.inner_stores.documents.all_keys():
            (held,) = await self.inner_stores.documents.load([key])
            if held is not None and held.student.is_known(at, self.rules):
                score = mastery_score(held.student.evidence, at, self.rules)
                found[key.student_id, key.course_id] = (*score.components, score.coverage, score.level, score.score)
        return found

    async def check_scores(self, *later: int) -> None:
        """Every student's score, now and later, is the one that a plain reading of what was sent comes to."""
        for ahead in (0, *later):
            at = self.clock() + ahead
            half_life = timedelta(days=self.rules.half_life_days)
            expected = plain.scores(self.owned, when(at), zone=self.zone, half_life=half_life)
            found = await self.all_scores(at)
            assert found.keys() == expected.keys()
            for place, result in expected.items():
                *numbers, level, score = found[place]
                assert numbers == pytest.approx([*result.components.values(), result.coverage], abs=1e-9)
                assert (level, score) == (result.level, pytest.approx(result.score, abs=1e-9))

    def accepted(self) -> set[tuple[str, str, str]]:
        """The student, the course and the id of every event that was ever accepted."""
        return {
            (one["student_id"], one.get("course_id", "default"), one["event_id"])
            for one, received in self.owned
            if plain.accepts(one, received, zone=self.zone) is None
        }

    async def check_results(self, *, fell_back: bool = False) -> None:
        """Each event is in one update; one that goes out again is the same as before; a consumer can tell it.

        A store that ``fell_back`` may have made the engine tell events once more, under ids of their own. What was
        under two ids of a person before they were linked has gone out for both.
        """
        content: dict[str, Any] = {}
        for result in self.published:
            assert content.setdefault(result_id(result), message(result)) == message(result)
        by_id = {result_id(result): result for result in self.published}
        causes = [
            (result.student_id, result.course_id, event_id)
            for result in by_id.values()
            if isinstance(result, Updated)
            for event_id in result.caused_by
        ]
        assert fell_back or len(causes) == len(set(causes))
        assert {(self.owner(student_id), *more) for student_id, *more in causes} == self.accepted()
        assert await consumed(self.inner_logs) == sorted(content)

    async def check_status(self) -> None:
        """Every event that was accepted says so, in whichever course; every other says why not."""
        accepted = {(student_id, event_id) for student_id, _, event_id in self.accepted()}
        for one, _ in self.sent:
            place = (one["student_id"], one["event_id"])
            status = await self.engine.ingest.status(CALLER, *place)
            if (self.owner(place[0]), place[1]) in accepted:
                assert status.status == "processed"
            else:
                assert status.status in ("dead_lettered", "not_processed")


async def consumed(logs: Logs) -> list[str]:
    """The ids of all that a consumer of the results has seen."""
    results = logs.results
    if isinstance(results, MemoryResultLog):
        return sorted(results.published)
    assert isinstance(results, SqliteResultLog)
    return [event_id for (event_id,) in results._database.read("SELECT event_id FROM results ORDER BY 1")]


def derived(person: Identity) -> str:
    """The id that a person has here whom no profile names."""
    return external_student_id(b"", "default", person)


@asynccontextmanager
async def engine(
    kind: str, clock: Clock | None = None, *, batch_size: int = 3, rules: Rules | None = None
) -> AsyncIterator[TestedEngine]:
    """The engine in memory, or on a file; the time zone and the half-life of the rules are those of its course."""
    clock = clock or Clock()
    if kind == "memory":
        memory = memory_stores.open_stores(clock)
        await _set_course(memory, rules)
        yield TestedEngine(memory, memory_logs.open_logs(batch_size=batch_size), clock, rules)
        return
    with TemporaryDirectory(dir=FAST) as folder:
        database = Database(lay_new_database(Path(folder)))
        try:
            stores = sqlite_stores.open_stores(database, clock)
            await _set_course(stores, rules)
            yield TestedEngine(stores, sqlite_logs.open_logs(database, batch_size=batch_size), clock, rules)
        finally:
            await database.close()


async def _set_course(stores: Stores, rules: Rules | None) -> None:
    if rules is not None:
        course = Course(time_zone=rules.zone.name, rules=CourseRules(half_life_days=rules.half_life_days))
        assert await stores.courses.put(CourseKey("default"), 0, course)


class Forgetful:
    """Stores in memory whose servers can come back without their last writes."""

    def __init__(self, clock: Clock) -> None:
        self.stores = memory_stores.open_stores(clock)

    def snapshot(self) -> Any:
        return deepcopy([vars(part) for part in self._parts()])

    def fall_back(self, to: Any) -> None:
        for part, held in zip(self._parts(), deepcopy(to), strict=True):
            vars(part).update(held)

    def _parts(self) -> list[Any]:
        return [self.stores.documents, self.stores.checkpoints]


def key(student_id: str, course_id: str = "default") -> DocumentKey:
    return DocumentKey("default", student_id, course_id)
