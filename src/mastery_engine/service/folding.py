"""Load, fold, commit: the one way in which events reach documents, for the worker and for calls that answer at once."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from time import perf_counter

import msgspec

from mastery_engine.clock import Clock
from mastery_engine.domain.events import Logged
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.seen import IdsByDay
from mastery_engine.domain.student import NOBODY, Student, StudentKey
from mastery_engine.domain.transition import Transition, apply, needs_cold
from mastery_engine.errors import Unavailable
from mastery_engine.metrics import Metrics
from mastery_engine.stores.base import Change, DocumentCache, Held, Store

logger = logging.getLogger(__name__)

MAX_ROUNDS = 100


class Folded(msgspec.Struct, frozen=True):
    """The documents after a fold, and the events that could not be folded at all."""

    students: dict[StudentKey, Student]
    failed: list[tuple[Logged, Exception]]


class Folding:
    """Folds batches of events into the store's documents."""

    def __init__(
        self, store: Store, rules: Rules, clock: Clock, metrics: Metrics, documents: DocumentCache | None = None
    ) -> None:
        self._store = store
        self._documents = documents
        self._rules = rules
        self._clock = clock
        self._metrics = metrics

    async def fold(self, events: Sequence[Logged], settled: Mapping[int, int] | None = None) -> Folded:
        """Fold events, in order; whoever loses a race for a document reads it again and folds again.

        ``settled`` gives for each partition the offset below which results have gone out. Raises Unavailable.
        """
        waiting: dict[StudentKey, list[Logged]] = defaultdict(list)
        for one in events:
            waiting[StudentKey(one.event.tenant, one.event.student_id)].append(one)
        folded = Folded({}, [])
        for _ in range(MAX_ROUNDS):
            waiting = await self._round(waiting, settled or {}, folded)
            if not waiting:
                return folded
            self._metrics.conflicts.inc(len(waiting))
        raise Unavailable("Too many writers want the same students at once: nothing of this call was folded yet.")

    async def _round(
        self, waiting: Mapping[StudentKey, list[Logged]], settled: Mapping[int, int], folded: Folded
    ) -> dict[StudentKey, list[Logged]]:
        """Fold what waits; what lost the race is returned, to be tried again."""
        keys = list(waiting)
        held = dict(zip(keys, await self._store.load(keys), strict=True))
        cold = await self._cold_ids(held, waiting)
        started = perf_counter()
        changes: list[Change] = []
        outcomes: list[tuple[StudentKey, Transition, list[tuple[Logged, Exception]]]] = []
        for key, events in waiting.items():
            before = held[key]
            student = before.student if before else NOBODY
            done, failed = self._apply(student, events, cold.get(key), settled)
            outcomes.append((key, done, failed))
            if done.student is not student:
                changes.append(Change(key, before.version if before else 0, done.student, done.cold))
        self._metrics.fold_seconds.observe(perf_counter() - started)
        lost = await self._commit(changes) if changes else set()
        for key, done, failed in outcomes:
            if key not in lost:
                folded.students[key] = done.student
                folded.failed.extend(failed)
                self._metrics.count_folded(done.new)
        return {key: waiting[key] for key in lost}

    async def _commit(self, changes: Sequence[Change]) -> set[StudentKey]:
        """Write the documents; those whose race was lost."""
        started = perf_counter()
        won = await self._store.commit(changes)
        if self._documents is not None:
            self._documents.forget([change.key for change in changes])
        self._metrics.commit_seconds.observe(perf_counter() - started)
        return {change.key for change, took in zip(changes, won, strict=True) if not took}

    async def _cold_ids(
        self, held: Mapping[StudentKey, Held | None], waiting: Mapping[StudentKey, list[Logged]]
    ) -> dict[StudentKey, IdsByDay]:
        asked = [key for key, one in held.items() if one is not None and needs_cold(one.student, waiting[key])]
        return dict(zip(asked, await self._store.load_cold(asked), strict=True)) if asked else {}

    def _apply(
        self, student: Student, events: Sequence[Logged], cold: IdsByDay | None, settled: Mapping[int, int]
    ) -> tuple[Transition, list[tuple[Logged, Exception]]]:
        """One student's fold. Should an event break it, that event alone is left out, to be dead-lettered."""
        at = self._clock()
        try:
            return apply(student, events, at, self._rules, cold=cold, settled=settled), []
        except Exception as error:
            if len(events) == 1:
                logger.exception("an event broke the fold", extra={"event_id": events[0].event.event_id})
                return Transition(student, ()), [(events[0], error)]
        sound: list[Logged] = []
        failed: list[tuple[Logged, Exception]] = []
        for one in events:
            try:
                apply(student, [*sound, one], at, self._rules, cold=cold, settled=settled)
                sound.append(one)
            except Exception as error:
                logger.exception("an event broke the fold", extra={"event_id": one.event.event_id})
                failed.append((one, error))
        done = apply(student, sound, at, self._rules, cold=cold, settled=settled) if sound else Transition(student, ())
        return done, failed
