"""Students watched live: one look at all of them every half second, however many watch."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from mastery_engine.auth.access import Act, Caller, check_student
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Busy, Forbidden, MasteryError, NotFound, Unauthenticated, Unavailable
from mastery_engine.responses.scores import StudentMastery
from mastery_engine.services.mastery import Mastery

MOST_WATCHERS = 1_000
LOOK_S = 0.5
HEARTBEAT_S = 15.0
LIFE_S = 900.0


class _Watched:
    """What all who watch one student share; ``changed`` is set, and replaced, at each change."""

    def __init__(self, updated: Micros, shown: StudentMastery) -> None:
        self.updated = updated
        self.shown = shown
        self.changed = asyncio.Event()
        self.watchers = 0
        self.is_gone = False


class Watching:
    """Works with any number of replicas: each looks at the store's documents, not at its own folds."""

    def __init__(self, mastery: Mastery) -> None:
        self._mastery = mastery
        self._watched: dict[StudentKey, _Watched] = {}
        self._open = 0
        self._ended = asyncio.Event()

    async def watch(
        self, caller: Caller, student_id: str, admitted: Callable[[], Awaitable[Caller]]
    ) -> AsyncIterator[StudentMastery | None]:
        """The mastery now and after each change; None where nothing came for 15 seconds.

        ``admitted`` lets the caller in anew: asked before each of them, so that nobody goes on seeing what their token,
        or their cohort, no longer shows them. It ends then, with the student, and after 15 minutes. Raises Forbidden,
        NotFound, and Busy where 1,000 watch already.
        """
        mastery = self._mastery
        mastery.check_student(caller, Act.READ, student_id, "stream")
        if self._open >= MOST_WATCHERS:
            raise Busy(f"{MOST_WATCHERS:,} streams are open: ask by POST /mastery/query, or try again later.")
        self._open += 1
        mastery.metrics.streams.set(self._open)
        try:
            student = await mastery.known(caller, student_id)
            shown = await mastery.query(_reader(caller.tenant), student_id)
        except BaseException:
            self._leave()
            raise
        one = _Watched(student.updated, shown)
        return self._changes(StudentKey(caller.tenant, student_id), one, admitted)

    async def _changes(
        self, key: StudentKey, one: _Watched, admitted: Callable[[], Awaitable[Caller]]
    ) -> AsyncIterator[StudentMastery | None]:
        one = self._watched.setdefault(key, one)
        one.watchers += 1
        try:
            told = one.shown
            yield told
            async with asyncio.timeout(LIFE_S):
                while not self._ended.is_set():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(HEARTBEAT_S):
                            if told is one.shown:
                                await one.changed.wait()
                    if self._ended.is_set() or one.is_gone or not await _may_go_on(admitted, key):
                        return
                    yield None if told is one.shown else one.shown
                    told = one.shown
        except TimeoutError:
            return
        finally:
            one.watchers -= 1
            if not one.watchers and self._watched.get(key) is one:
                del self._watched[key]
            self._leave()

    def _leave(self) -> None:
        self._open -= 1
        self._mastery.metrics.streams.set(self._open)

    def end(self) -> None:
        """All streams end; the server is about to."""
        self._ended.set()
        for one in self._watched.values():
            one.changed.set()

    async def keep_looking(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for tenant in {key.tenant for key in self._watched}:
                with suppress(MasteryError):  # the store is away: the next look may know more
                    await self._look(tenant)

    async def _look(self, tenant: str) -> None:
        reader = _reader(tenant)
        keys = [key for key in self._watched if key.tenant == tenant]
        for key, student in zip(
            keys, await self._mastery.students(reader, [key.student_id for key in keys]), strict=True
        ):
            one = self._watched.get(key)
            if one is not None and student.updated != one.updated:
                try:
                    one.shown = await self._mastery.query(reader, key.student_id)
                except NotFound:  # erased, or aged out
                    one.is_gone = True
                    del self._watched[key]
                one.updated = student.updated
                one.changed.set()
                one.changed = asyncio.Event()


async def _may_go_on(admitted: Callable[[], Awaitable[Caller]], key: StudentKey) -> bool:
    """Whether the caller may still read the student; where nobody can tell just now, what was known holds."""
    try:
        caller = await admitted()
        check_student(caller, Act.READ, key.student_id)
    except (Unauthenticated, Forbidden):
        return False
    except Unavailable:
        return True
    return caller.tenant == key.tenant


def _reader(tenant: str) -> Caller:
    """Who reads for all that watch; each of them is on record with the call that opened the stream."""
    return Caller("stream", "service", tenant)
