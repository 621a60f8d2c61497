"""Live streams of students' mastery: one look at all watched students every half second, however many watch."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from mastery_engine.auth.access import Act, Caller, check_student
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey
from mastery_engine.errors import Busy, Forbidden, MasteryError, NotFound, RateLimited, Unauthenticated, Unavailable
from mastery_engine.responses.scores import StudentMastery
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.scores import Scores
from mastery_engine.services.students import Students
from mastery_engine.telemetry.metrics import Metrics

MOST_WATCHERS = 1_000
MOST_OF_ONE_CALLER = 10
FULL_S = 60
LOOK_S = 0.5
HEARTBEAT_S = 15.0
LONGEST_S = 900.0

Changes: TypeAlias = AsyncGenerator[StudentMastery | None]


class _Watched:
    """What all streams of one student share; ``changed`` is set at each change, and replaced by a new event."""

    def __init__(self, updated: Micros, shown: StudentMastery) -> None:
        self.updated = updated
        self.shown = shown
        self.changed = asyncio.Event()
        self.watchers = 0
        self.is_gone = False


class LiveStream:
    """An open stream: what it iterates over, and its place among all streams until it is closed."""

    def __init__(self, changes: Changes, leave: Callable[[], None]) -> None:
        self._changes = changes
        self._leave = leave
        self._is_open = True

    def __aiter__(self) -> Changes:
        return self._changes

    async def close(self) -> None:
        """Give the place back, whether or not anything was read; it is safe to call again."""
        if self._is_open:
            self._is_open = False
            self._leave()
            await self._changes.aclose()


class Watching:
    """The open streams of one process. They follow the store's documents, so changes by other replicas are seen too."""

    def __init__(
        self, students: Students, scores: Scores, access: AccessControl, clock: Clock, metrics: Metrics
    ) -> None:
        self._students = students
        self._scores = scores
        self._access = access
        self._clock = clock
        self._metrics = metrics
        self._watched: dict[DocumentKey, _Watched] = {}
        self._open: Counter[tuple[str, str, str]] = Counter()
        self._ended = asyncio.Event()

    async def watch(
        self,
        caller: Caller,
        student_id: str,
        admitted: Callable[[], Awaitable[Caller]],
        *,
        course_id: str | None = None,
    ) -> LiveStream:
        """The mastery now and after each change; None when nothing changed for 15 seconds. Whoever opens it closes it.

        ``admitted`` checks the caller's token again before each item, so that nobody goes on seeing what their token or
        cohort no longer allows. The stream ends then, when the student is erased, and after 15 minutes. Raises
        Forbidden, NotFound, CourseRequired, RateLimited if 10 of the caller's streams are open, and Busy if 1,000 of
        all callers are.
        """
        self._access.check_student(caller, Act.READ, student_id, "stream")
        leave = self._enter(caller)
        try:
            now = caller.moment(self._clock)
            found = await self._students.known(caller, student_id, course_id, now)
            shown = await self._scores.query(_reader(caller.tenant, now), student_id, course_id=found.key.course_id)
        except BaseException:
            leave()
            raise
        watched = _Watched(found.student.updated, shown)
        return LiveStream(self._changes(found.key, watched, admitted), leave)

    def _enter(self, caller: Caller) -> Callable[[], None]:
        """Take a place among the streams; returns what gives it back. Raises RateLimited and Busy."""
        name = (caller.tenant, caller.role, caller.subject)
        if self._open[name] >= MOST_OF_ONE_CALLER:
            raise RateLimited(
                f"You have {MOST_OF_ONE_CALLER} open streams, and may have no more: close one, "
                f"or try again in {FULL_S} s.",
                retry_after=FULL_S,
            )
        if self._open.total() >= MOST_WATCHERS:
            raise Busy(f"All {MOST_WATCHERS:,} streams are in use: call POST /mastery/query, or try again later.")
        self._open[name] += 1
        self._metrics.streams.inc()

        def leave() -> None:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]
            self._metrics.streams.dec()

        return leave

    async def _changes(self, key: DocumentKey, opened: _Watched, admitted: Callable[[], Awaitable[Caller]]) -> Changes:
        watched = self._watched.setdefault(key, opened)
        watched.watchers += 1
        try:
            sent = watched.shown
            # What was read for this stream: since the last change a day may have passed, or a consent be withdrawn.
            yield opened.shown if opened.updated >= watched.updated else sent
            async with asyncio.timeout(LONGEST_S):
                while not self._ended.is_set():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(HEARTBEAT_S):
                            if sent is watched.shown:
                                await watched.changed.wait()
                    if self._ended.is_set() or watched.is_gone or not await _may_go_on(admitted, key):
                        return
                    yield None if sent is watched.shown else watched.shown
                    sent = watched.shown
        except TimeoutError:
            return
        finally:
            watched.watchers -= 1
            if not watched.watchers and self._watched.get(key) is watched:
                del self._watched[key]

    def end(self) -> None:
        """End all streams, because the server is about to stop."""
        self._ended.set()
        for watched in self._watched.values():
            watched.changed.set()

    async def keep_looking(self) -> None:
        """Look at all watched students every half second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for tenant in {key.tenant for key in self._watched}:
                with suppress(MasteryError):  # the store does not answer: look again in half a second
                    await self._look(tenant)

    async def _look(self, tenant: str) -> None:
        reader = _reader(tenant, self._clock())
        keys = [key for key in self._watched if key.tenant == tenant]
        for key, student in zip(keys, await self._students.load(keys), strict=True):
            watched = self._watched.get(key)
            if watched is not None and student.updated != watched.updated:
                try:
                    watched.shown = await self._scores.query(reader, key.student_id, course_id=key.course_id)
                except NotFound:  # erased, or older than the retention
                    watched.is_gone = True
                    del self._watched[key]
                watched.updated = student.updated
                watched.changed.set()
                watched.changed = asyncio.Event()


async def _may_go_on(admitted: Callable[[], Awaitable[Caller]], key: DocumentKey) -> bool:
    """Whether the caller may still read the student; True if this cannot be checked at the moment."""
    try:
        caller = await admitted()
        check_student(caller, Act.READ, key.student_id)
    except (Unauthenticated, Forbidden):
        return False
    except Unavailable:
        return True
    return caller.tenant == key.tenant


def _reader(tenant: str, at: Micros) -> Caller:
    """The caller that reads for all streams; the audit trail has who opened each stream."""
    return Caller("stream", "service", tenant, at=at)
