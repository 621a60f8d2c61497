"""Who joined cohorts by events, in Dapr's state, and the first event that named each cohort.

Beside a cohort stands a set of ``day student_id``, and beside a student the day of the last event by which they joined
each cohort, so that a question about one student reads no roster.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from mastery_engine.backends.dapr import keys as names
from mastery_engine.backends.dapr.client import DaprState, Fold, Replacement, Value, Write
from mastery_engine.backends.dapr.index import TOMBSTONE_S, DaprIndex, listed, pair_from
from mastery_engine.domain.cohorts.cohort import BEFORE_COURSES, MOST_MEMBERS, Naming
from mastery_engine.domain.moments import DAY, SECOND, Day
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.ports.cohorts import Join

PAGE = 20

CohortName: TypeAlias = tuple[str, str]  # tenant and id
# From and to the days of last joining events, by student or by cohort.
_Change: TypeAlias = Callable[[Mapping[str, Day]], dict[str, Day]]


class _First(msgspec.Struct, frozen=True):
    """The first event that named a cohort, and the day on which this was last written, from which on it lives."""

    received: int
    course_id: str
    day: Day


class DaprJoins:
    """What events said of cohorts. All calls raise Unavailable."""

    def __init__(self, state: DaprState, *, life_s: int) -> None:
        """``life_s`` is the life of what events say, after the last of them."""
        self._state = state
        self._life_s = life_s
        self._life_days = life_s * SECOND // DAY
        self._all = DaprIndex(state, "joined-cohorts")

    async def note(self, joins: Sequence[Join]) -> Sequence[Join]:
        """As ``CohortStore.join``.

        The list of cohorts is written before the cohorts, and those before the students: whoever clears finds all.
        """
        if not joins:
            return ()
        by_cohort: dict[CohortName, dict[str, Day]] = defaultdict(dict)
        named: dict[CohortName, Naming] = {}
        for join in joins:
            cohort = (join.key.tenant, join.cohort_id)
            students = by_cohort[cohort]
            students[join.key.student_id] = max(join.day, students.get(join.key.student_id, 0))
            named[cohort] = min(join.first, named.get(cohort, join.first))
        await self._all.add([listed(*cohort) for cohort in by_cohort])
        await self._name(by_cohort, named)
        full: dict[CohortName, Collection[str]] = {}
        await self._state.fold(
            {
                names.joined(*cohort): self._of_cohort(_while_there_is_room(self._joining(days), cohort, full))
                for cohort, days in by_cohort.items()
            }
        )
        by_student: dict[StudentKey, dict[str, Day]] = defaultdict(dict)
        refused = []
        for join in joins:
            if join.key.student_id in full.get((join.key.tenant, join.cohort_id), ()):
                refused.append(join)
                continue
            cohorts = by_student[join.key]
            cohorts[join.cohort_id] = max(join.day, cohorts.get(join.cohort_id, 0))
        await self._state.fold(
            {names.joins(key): self._of_student(self._joining(days)) for key, days in by_student.items()}
        )
        return refused

    async def _name(
        self, by_cohort: Mapping[CohortName, Mapping[str, Day]], named: Mapping[CohortName, Naming]
    ) -> None:
        """Note the first event of each cohort, before any student joins it.

        So whoever joined one of which no first event is known did so by an engine without courses.
        """
        values = await self._state.read([names.named_first(*cohort) for cohort in by_cohort])
        unnamed = [cohort for cohort, value in zip(by_cohort, values, strict=True) if value is None]
        older = set(await self._joined_by_some([listed(*cohort) for cohort in unnamed]))
        folds: dict[str, Fold] = {}
        for cohort, days in by_cohort.items():
            first = BEFORE_COURSES if listed(*cohort) in older else named[cohort]
            folds[names.named_first(*cohort)] = self._with_first(first, max(days.values()))
        await self._state.fold(folds)

    def _with_first(self, named: Naming, day: Day) -> Fold:
        """It is written once a day, to live on."""

        def fold(stored: Mapping[str, Day | str] | None) -> Replacement | None:
            before = None if stored is None else msgspec.convert(stored, _First)
            if before is None:
                return Replacement(_First(*named, day), self._life_s)
            first = min(named, Naming(before.received, before.course_id))
            after = _First(*first, max(day, before.day))
            return None if after == before else Replacement(after, self._life_s)

        return fold

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        """As ``CohortStore.leave``."""
        left = frozenset(cohort_ids)
        if left:
            gone = self._of_cohort(_without([key.student_id]))
            cohorts = {names.joined(key.tenant, cohort_id): gone for cohort_id in left}
            await self._state.fold({**cohorts, names.joins(key): self._of_student(_without(left))})

    async def clear(self) -> None:
        """The students before their cohort: after a crash in between a second clearing finds the others."""
        async for cohorts, members in self._listed_cohorts():
            left: dict[StudentKey, set[str]] = defaultdict(set)
            for (tenant, cohort_id), days in zip(cohorts, members, strict=True):
                for student_id in days:
                    left[StudentKey(tenant, student_id)].add(cohort_id)
            await self._state.fold({names.joins(key): self._of_student(_without(own)) for key, own in left.items()})
            await self._state.fold(
                {
                    names.joined(*cohort): self._of_cohort(_without(days))
                    for cohort, days in zip(cohorts, members, strict=True)
                }
            )
            await self._unlist(cohorts)

    async def purge(self, before: Day) -> AsyncIterator[list[CohortName]]:
        """As ``CohortStore.purge``, some cohorts at a time: those that were looked at."""
        async for cohorts, members in self._listed_cohorts():
            old = {
                StudentKey(tenant, student_id)
                for (tenant, _), days in zip(cohorts, members, strict=True)
                for student_id, day in days.items()
                if day < before
            }
            await self._state.fold(dict.fromkeys(map(names.joins, old), self._of_student(_since(before))))
            await self._state.fold(
                dict.fromkeys((names.joined(*cohort) for cohort in cohorts), self._of_cohort(_since(before)))
            )
            await self._unlist(cohorts)
            yield cohorts
        await self._all.renew()

    async def of_student(self, key: DocumentKey, beside: Value | None, named: Sequence[str]) -> Mapping[str, Day]:
        """The days on which a student joined cohorts, by ``beside``, what stands beside them.

        Where an older engine noted them with the cohorts alone, those that are ``named`` are looked up.
        """
        if beside is not None:
            days: Mapping[str, Day] = beside.data
            return days
        if not named:
            return {}
        sets = await self._state.read([names.joined(key.tenant, cohort_id) for cohort_id in named])
        joined = zip(named, map(days_of, sets), strict=True)
        found = {cohort_id: own[key.student_id] for cohort_id, own in joined if key.student_id in own}
        # Where this loses, a join was noted.
        await self._state.write([Write(names.joins(key.student), found, None, self._life_s)])
        return found

    async def _listed_cohorts(self) -> AsyncIterator[tuple[list[CohortName], list[dict[str, Day]]]]:
        """The cohorts that events name, some at a time, and who joined each, and when."""
        cohorts = [pair_from(name) for name in sorted(await self._all.members())]
        for start in range(0, len(cohorts), PAGE):
            page = cohorts[start : start + PAGE]
            yield page, list(map(days_of, await self._state.read([names.joined(*cohort) for cohort in page])))

    async def _unlist(self, cohorts: Sequence[CohortName]) -> None:
        """Take those of these cohorts out of the list that nobody joined any more."""
        known = [listed(*cohort) for cohort in cohorts]
        joined = await self._joined_by_some(known)
        await self._all.discard_gone([name for name in known if name not in joined], self._joined_by_some)

    async def _joined_by_some(self, known: Sequence[str]) -> list[str]:
        """Which of these cohorts, by their names in the list, somebody joined."""
        values = await self._state.read([names.joined(*pair_from(name)) for name in known])
        return [name for name, value in zip(known, values, strict=True) if value is not None and value.data]

    def _joining(self, days: Mapping[str, Day]) -> _Change:
        """With these days where they are later, and without those that are past."""
        oldest = max(days.values()) - self._life_days

        def change(before: Mapping[str, Day]) -> dict[str, Day]:
            latest = {name: max(day, before.get(name, 0)) for name, day in days.items()}
            return {name: day for name, day in {**before, **latest}.items() if day >= oldest}

        return change

    def _of_cohort(self, change: _Change) -> Fold:
        """A change of who joined a cohort."""

        def fold(stored: Sequence[str] | None) -> Replacement | None:
            before = _days(stored or ())
            after = change(before)
            return None if after == before else Replacement(_lines(after), self._life_of(after))

        return fold

    def _of_student(self, change: _Change) -> Fold:
        """A change of the cohorts that a student joined."""

        def fold(stored: Mapping[str, Day] | None) -> Replacement | None:
            before = stored or {}
            after = change(before)
            return None if after == before else Replacement(after, self._life_of(after))

        return fold

    def _life_of(self, days: Mapping[str, Day]) -> int:
        return self._life_s if days else TOMBSTONE_S


def _while_there_is_room(
    change: _Change, cohort: tuple[str, str], full: dict[tuple[str, str], Collection[str]]
) -> _Change:
    """The change, without the students for whom a cohort has no room; ``full`` has them by cohort after it."""

    def bounded(before: Mapping[str, Day]) -> dict[str, Day]:
        after = change(before)
        over = [name for name in after if name not in before][
            max(0, MOST_MEMBERS - len(before.keys() & after.keys())) :
        ]
        full[cohort] = frozenset(over)
        return _without(full[cohort])(after)

    return bounded


def _without(gone: Collection[str]) -> _Change:
    return lambda before: {name: day for name, day in before.items() if name not in gone}


def _since(first: Day) -> _Change:
    return lambda before: {name: day for name, day in before.items() if day >= first}


def days_of(value: Value | None) -> dict[str, Day]:
    """By student the day of their last joining event; an interrupted older engine may have left two."""
    return _days(value.data if value is not None else ())


def first_of(value: Value | None) -> Naming | None:
    """The first event that named a cohort."""
    if value is None:
        return None
    first = msgspec.convert(value.data, _First)
    return Naming(first.received, first.course_id)


def _days(lines: Iterable[str]) -> dict[str, Day]:
    days: dict[str, Day] = {}
    for line in lines:
        day, student_id = line.split(" ", 1)
        days[student_id] = max(int(day), days.get(student_id, 0))
    return days


def _lines(days: Mapping[str, Day]) -> list[str]:
    return sorted(f"{day} {student_id}" for student_id, day in days.items())
