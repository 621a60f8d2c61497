"""Load, fold, commit: the one way in which events reach documents, for the worker and for calls that answer at once."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import msgspec

from mastery_engine.domain.courses.curriculum import NO_CURRICULUM, Curriculum
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.moments import Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.student import NOBODY, Student, StudentKey, key_of
from mastery_engine.domain.transition import Transition, Turn, apply, apply_all, needs_cold
from mastery_engine.errors import Unavailable
from mastery_engine.ports.clock import Clock
from mastery_engine.ports.documents import Change, DocumentCache, Held, Join, Store
from mastery_engine.services.consents import Consents
from mastery_engine.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

MAX_ROUNDS = 100
STUDENTS_AT_ONCE = 2_000  # documents before and after are some 20 KB each in memory
PATIENCE_S = 0.5


class Folded(msgspec.Struct, frozen=True):
    """The documents after a fold, the events that could not be folded at all, and those that consent does not allow."""

    students: dict[StudentKey, Student]
    failed: list[tuple[Logged, Exception]]
    refused: list[Logged]


class Folding:
    """Folds batches of events into the store's documents."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        clock: Clock,
        metrics: Metrics,
        consents: Consents,
        documents: DocumentCache | None = None,
        skills: SkillModel = DEFAULT_SKILLS,
        curriculum: Curriculum = NO_CURRICULUM,
    ) -> None:
        self._store = store
        self._consents = consents
        self._documents = documents
        self._rules = rules
        self.skills = skills
        self._clock = clock
        self._metrics = metrics
        self._curriculum = curriculum
        self._last_turn: dict[StudentKey, asyncio.Future[None]] = {}

    async def fold(self, events: Sequence[Logged], settled: Mapping[int, int] | None = None) -> Folded:
        """Fold events, in order; whoever loses a race for a document reads it again and folds again.

        ``settled`` gives for each partition the offset below which results have gone out. Raises Unavailable.
        """
        named: dict[str, dict[str, list[Logged]]] = defaultdict(lambda: defaultdict(list))
        for one in events:
            event = one.event
            named[event.tenant][event.student_id].append(one)
        waiting = {StudentKey(tenant, name): some for tenant, own in named.items() for name, some in own.items()}
        folded, keys = Folded({}, [], []), list(waiting)
        for start in range(0, len(keys), STUDENTS_AT_ONCE):
            some = {key: waiting[key] for key in keys[start : start + STUDENTS_AT_ONCE]}
            async with self._turn(list(some)):
                await self._fold(some, settled or {}, folded)
        return folded

    async def _fold(
        self, waiting: Mapping[StudentKey, list[Logged]], settled: Mapping[int, int], folded: Folded
    ) -> None:
        for _ in range(MAX_ROUNDS):
            waiting = await self._round(waiting, settled, folded)
            if not waiting:
                return
            self._metrics.conflicts.inc(len(waiting))
        raise Unavailable("Too many writers want the same students at once: some of this call was not folded yet.")

    @asynccontextmanager
    async def _turn(self, keys: Sequence[StudentKey]) -> AsyncIterator[None]:
        """Let those who fold some of the same students in this process go first, for half a second at most.

        A courtesy: a call that answers at once and the worker meet the same event, and would fold it twice. What holds
        is the documents' version. A call waits for all who are folded together with its student.
        """
        before = {self._last_turn[key] for key in keys if key in self._last_turn}
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last_turn |= dict.fromkeys(keys, turn)
        try:
            if before:
                await asyncio.wait(before, timeout=PATIENCE_S)
            yield
        finally:
            turn.set_result(None)
            for key in keys:
                if self._last_turn.get(key) is turn:
                    del self._last_turn[key]

    async def _round(
        self, waiting: Mapping[StudentKey, list[Logged]], settled: Mapping[int, int], folded: Folded
    ) -> dict[StudentKey, list[Logged]]:
        """Fold what waits and counts; what lost the race is returned, to be tried again.

        Consent is read after the documents: of an erasure that is not known by then, either the document is seen to
        be gone at the commit, or the erasure is seen right after it.
        """
        found = dict(zip(waiting, await self._store.load(list(waiting)), strict=True))
        await self._consents.refresh()
        erased = self._consents.erased(list(waiting))
        sifted = self._consents.sift(waiting)
        await self.remove([key for key in erased if found[key] is not None and self._consents.state(key).erased])
        held = {key: one for key, one in found.items() if sifted[key]}
        cold = await self._cold_ids(held, sifted)
        started = perf_counter()
        batch = [(before.student if before else NOBODY, sifted[key], cold.get(key)) for key, before in held.items()]
        done, failed = self._apply(batch, settled, [self._consents.state(key).profiling for key in held])
        changes = [
            Change(key, before.version if before else 0, after.student, after.cold)
            for (key, before), (student, _, _), after in zip(held.items(), batch, done, strict=True)
            if after.student is not student
        ]
        self._metrics.fold_seconds.observe(perf_counter() - started)
        has_joined = await self._join(zip(held, batch, done, strict=True))
        lost = await self._commit(changes) if changes else set()
        if changes or has_joined:
            cohorts = {key: after.student.cohorts for key, after in zip(held, done, strict=True)}
            lost |= await self._erased_meanwhile(cohorts, erased)
        new: list[LearningEvent] = []
        for key, after in zip(held, done, strict=True):
            if key not in lost:
                folded.students[key] = after.student
                new += after.new
        self._metrics.count_folded(new)
        for key, some in waiting.items():
            if key not in lost and len(sifted[key]) < len(some):
                kept = {(one.partition, one.offset) for one in sifted[key]}
                folded.refused.extend(one for one in some if (one.partition, one.offset) not in kept)
        folded.failed.extend(one for one in failed if key_of(one[0].event) not in lost)
        return {key: waiting[key] for key in lost}

    async def _join(self, turns: Iterable[tuple[StudentKey, Turn, Transition]]) -> bool:
        """Who is in which cohort by events, before the documents say so: a crash in between loses none. False for none.

        It is said for new cohorts, once a day for the others, and for repeats, whose first time a store may have lost.
        """
        joins = [
            Join(key, cohort_id, day_of(after.student.received))
            for key, (before, _, _), after in turns
            if after.student.cohorts
            and (
                after.student is before
                or after.student.cohorts != before.cohorts
                or day_of(after.student.received) > day_of(before.received)
            )
            for cohort_id in after.student.cohorts
        ]
        if joins:
            await self._store.join(joins)
        return bool(joins)

    async def _erased_meanwhile(
        self, cohorts: Mapping[StudentKey, Sequence[str]], erased: Mapping[StudentKey, Micros]
    ) -> set[StudentKey]:
        """Whoever was erased while their document was folded: it is removed, and what counts is folded anew.

        They leave the cohorts too, which they may have joined after the erasure had taken them out.
        """
        await self._consents.refresh()
        late = {key for key, at in self._consents.erased(list(cohorts)).items() if erased.get(key) != at}
        await self.remove(list(late))
        for key in late:
            await self._store.leave(key, cohorts[key])
        return late

    async def remove(self, keys: Sequence[StudentKey]) -> int:
        """Remove all that the store holds about students who were erased; how many records there were."""
        removed = sum([await self._store.erase(key) for key in keys])
        if self._documents is not None and keys:
            self._documents.forget(keys)
        return removed

    async def _commit(self, changes: Sequence[Change]) -> set[StudentKey]:
        """Write the documents; those whose race was lost."""
        started = perf_counter()
        won = await self._store.commit(changes)
        if self._documents is not None:
            self._documents.forget([change.key for change in changes])
        self._metrics.commit_seconds.observe(perf_counter() - started)
        return {change.key for change, took in zip(changes, won, strict=True) if not took}

    async def _cold_ids(
        self, held: Mapping[StudentKey, Held | None], waiting: Mapping[StudentKey, Sequence[Logged]]
    ) -> dict[StudentKey, IdsByDay]:
        asked = [key for key, one in held.items() if one is not None and needs_cold(one.student, waiting[key])]
        return dict(zip(asked, await self._store.load_cold(asked), strict=True)) if asked else {}

    def _apply(
        self, batch: Sequence[Turn], settled: Mapping[int, int], profiled: Sequence[bool]
    ) -> tuple[list[Transition], list[tuple[Logged, Exception]]]:
        """The batch's fold. Should an event break it, that event alone is left out, to be dead-lettered."""
        given: dict[str, Any] = {
            "at": self._clock(),
            "rules": self._rules,
            "skills": self.skills,
            "settled": settled,
            "curriculum": self._curriculum,
        }
        try:
            return apply_all(batch, **given, profiled=profiled), []
        except Exception:
            logger.exception("an event broke the fold: each is tried on its own")
        failed: list[tuple[Logged, Exception]] = []
        done: list[Transition] = []
        for (student, events, cold), may in zip(batch, profiled, strict=True):
            sound: list[Logged] = []
            for one in events:
                try:
                    apply(student, [*sound, one], cold=cold, profiled=may, **given)
                    sound.append(one)
                except Exception as error:
                    logger.exception("an event broke the fold", extra={"event_id": one.event.event_id})
                    failed.append((one, error))
            done.append(apply(student, sound, cold=cold, profiled=may, **given) if sound else Transition(student, ()))
        return done, failed
