"""Where students stand today, each computed once for every list and figure that they are in.

A standing is cached in this process, with the version of the document and what its forecast was made from: the day, the
calendar, the model and the course's calibration. A call reads the documents' versions and the calendars, and computes
again what has changed. The standings of a cohort's members are also in the result cache, for all replicas.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from mastery_engine.domain.cohorts.standing import Standing, standing
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.forecast.calibration import Calibration
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import MINUTE, Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.ports.documents import DocumentStore
from mastery_engine.ports.result_cache import ResultCache, ResultKey
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.forecasts import Forecasts

MOST_STANDINGS = 100_000
PAGE = 500
CACHED_FOR: Micros = 5 * MINUTE  # since a replay may give documents the same versions again
KIND = "member-standings"
SHARED_FROM = 20  # if less than a twentieth is new, other replicas compute it as quickly as they would read it all
NO_FORECAST, UNPROFILED = "", "-"


class CachedStanding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A standing, computed ``at`` a moment from a version of the document, which names ``cohorts``.

    ``made_from`` is what its forecast was made from: ``NO_FORECAST`` where none was asked for, so that it is not known
    who needs help, and ``UNPROFILED`` where the student does not consent to profiling.
    """

    version: int
    at: Micros
    made_from: str
    cohorts: tuple[str, ...]
    standing: Standing | None


ByStudent: TypeAlias = dict[str, CachedStanding]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ByStudent).decode


class _Question(NamedTuple):
    """What a call asks; without a ``calibration`` it asks for no forecasts."""

    course: CourseSetup
    now: Micros
    profiled: frozenset[str]
    calibration: Calibration | None


class _Held(NamedTuple):
    """A standing in this process, and the rules that it was computed by."""

    entry: CachedStanding
    rules: Rules


class MemberStandings:
    """Computes the standings of students, and caches those last asked for."""

    def __init__(
        self,
        documents: DocumentStore,
        cohorts: Cohorts,
        consents: Consents,
        forecasts: Forecasts,
        results: ResultCache,
        *,
        most: int = MOST_STANDINGS,
    ) -> None:
        self._documents = documents
        self._cohorts = cohorts
        self._consents = consents
        self._forecasts = forecasts
        self._results = results
        self._most = most
        self._cached: OrderedDict[DocumentKey, _Held] = OrderedDict()

    async def of(
        self,
        course: CourseSetup,
        student_ids: Iterable[str],
        now: Micros,
        *,
        cohort_id: str | None = None,
        with_signs: bool = True,
    ) -> list[Standing]:
        """The standings in a course of the students about whom something is known there, by id.

        They say who needs help, and why, only ``with_signs``, and never of who does not consent to profiling. Those of
        the members of a ``cohort_id`` are shared with other replicas. Raises Unavailable.
        """
        names = sorted(student_ids)
        self._forget(now - CACHED_FOR)
        asked = await self._question(course, names, now, with_signs=with_signs)
        versions = await self._versions(course, names)
        found = await self._still_true(asked, self._of_this_process(asked, names), versions)
        if cohort_id is not None and len(found) < len(versions):
            shared = await self._still_true(asked, await self._of_all_replicas(asked, cohort_id), versions)
            found |= self._taken_up(course, {name: entry for name, entry in shared.items() if name not in found})
        missing = [name for name in versions if name not in found]
        for start in range(0, len(missing), PAGE):
            found |= self._taken_up(course, await self._computed(asked, missing[start : start + PAGE]))
        self._forget(now - CACHED_FOR)
        if cohort_id is not None and missing and SHARED_FROM * len(missing) >= len(versions):
            key = ResultKey(course.key.tenant, cohort_id, KIND)
            await self._results.put(key, _version(course, now), _encode(found))
        standings = (found[name].standing for name in names if name in found)
        return [known for known in standings if known is not None]

    async def _question(self, course: CourseSetup, names: Sequence[str], now: Micros, *, with_signs: bool) -> _Question:
        tenant = course.key.tenant
        profiled: list[str] = []
        if await self._consents.refresh_lately(now):
            profiled = [name for name in names if self._consents.state(StudentKey(tenant, name)).profiling]
        calibration = await self._forecasts.calibration(course.key, now) if with_signs else None
        return _Question(course, now, frozenset(profiled), calibration)

    async def _versions(self, course: CourseSetup, names: Sequence[str]) -> dict[str, int]:
        """The versions of the students' documents, without students who have none."""
        versions: dict[str, int] = {}
        for start in range(0, len(names), PAGE):
            page = names[start : start + PAGE]
            known = await self._documents.versions(_keys(course, page))
            versions |= {name: version for name, version in zip(page, known, strict=True) if version}
        return versions

    async def _still_true(self, asked: _Question, entries: ByStudent, versions: Mapping[str, int]) -> ByStudent:
        """The entries of the same documents, of today, whose forecasts would be made from the same again."""
        day_of = asked.course.rules.day_of
        today, oldest = day_of(asked.now), asked.now - CACHED_FOR
        alive = {
            name: entry
            for name, version in versions.items()
            if (entry := entries.get(name)) is not None
            and entry.version == version
            and oldest < entry.at <= asked.now
            and day_of(entry.at) == today
        }
        if asked.calibration is None:
            return alive
        due_days = await self._due_days(asked, {name: entry.cohorts for name, entry in alive.items()})
        return {
            name: entry
            for name, entry in alive.items()
            if entry.made_from == self._made_from(asked, due_days.get(name))
        }

    async def _due_days(self, asked: _Question, named: Mapping[str, Sequence[str]]) -> dict[str, tuple[Day, ...]]:
        """The days on which work is due, of the students who consent to profiling."""
        names = [name for name in named if name in asked.profiled]
        due_days: dict[str, tuple[Day, ...]] = {}
        for start in range(0, len(names), PAGE):
            page = {name: named[name] for name in names[start : start + PAGE]}
            due_days |= await self._cohorts.due_days(asked.course.key, page, asked.now)
            await asyncio.sleep(0)  # let other calls run between the pages of a large cohort
        return due_days

    def _made_from(self, asked: _Question, due_days: tuple[Day, ...] | None) -> str:
        if asked.calibration is None:
            return NO_FORECAST
        if due_days is None:
            return UNPROFILED
        return self._forecasts.made_from(asked.course, due_days, asked.now, asked.calibration)

    async def _computed(self, asked: _Question, names: Sequence[str]) -> ByStudent:
        stored = await self._documents.load(_keys(asked.course, names))
        documents = {name: document for name, document in zip(names, stored, strict=True) if document is not None}
        due_days: dict[str, tuple[Day, ...]] = {}
        if asked.calibration is not None:
            named = {name: document.student.cohorts for name, document in documents.items()}
            due_days = await self._due_days(asked, named)
        computed: ByStudent = {}
        rules = asked.course.rules
        for name, document in documents.items():
            student, due = document.student, due_days.get(name)
            ahead = None
            if asked.calibration is not None and due is not None and student.is_known(asked.now, rules):
                ahead = self._forecasts.make(student, asked.now, rules, due, asked.calibration)
                await asyncio.sleep(0)  # let other calls run between the forecasts of a class
            found = standing(name, student, asked.now, rules, ahead, profiled=due is not None)
            computed[name] = CachedStanding(
                document.version, asked.now, self._made_from(asked, due), student.cohorts, found
            )
        return computed

    def _of_this_process(self, asked: _Question, names: Sequence[str]) -> ByStudent:
        found = zip(names, map(self._cached.get, _keys(asked.course, names)), strict=True)
        rules = asked.course.rules
        return {name: held.entry for name, held in found if held is not None and held.rules is rules}

    def _taken_up(self, course: CourseSetup, entries: ByStudent) -> ByStudent:
        for key, entry in zip(_keys(course, list(entries)), entries.values(), strict=True):
            self._cached[key] = _Held(entry, course.rules)
            self._cached.move_to_end(key)
        return entries

    def _forget(self, before: Micros) -> None:
        """Drop what is too old to be true, of erased students too, and the oldest where there are too many."""
        while self._cached and (len(self._cached) > self._most or next(iter(self._cached.values())).entry.at <= before):
            self._cached.popitem(last=False)

    async def _of_all_replicas(self, asked: _Question, cohort_id: str) -> ByStudent:
        cached = await self._results.get(
            ResultKey(asked.course.key.tenant, cohort_id, KIND), _version(asked.course, asked.now)
        )
        return {} if cached is None else _decode(cached)


def _keys(course: CourseSetup, names: Sequence[str]) -> list[DocumentKey]:
    tenant, course_id = course.key
    return [DocumentKey(tenant, name, course_id) for name in names]


def _version(course: CourseSetup, now: Micros) -> str:
    """The version of what replicas share: course, day and rules. Each standing has its own beside it."""
    return f"{course.rules.day_of(now)}:{derived_id(course.key.course_id, repr(course.rules))}"
