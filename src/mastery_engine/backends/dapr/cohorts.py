"""Cohorts in Dapr's state: the admin's word under an ETag, and sets of who joined by events.

Most questions are about one student, and read no roster. Beside the word stands its calendar. Beside a student stand
what the words say of them, by cohort, each with the version of the word, and the day of the last event by which they
joined each cohort.

Several keys cannot be written at once, so a calendar says whether the others are written too. Before a word is put,
its calendar is marked: it names the students of whom the word says something new. Then the word is written, then what
it says beside those students, and then the calendar again, which is settled now. Where a calendar is marked, or is
missing since an older engine wrote the word, the word is read wholly, and decides. So it does not matter where a
process ends, and what a slow one says late is older than what stands there.
"""

import asyncio
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from mastery_engine.backends.dapr import keys as names
from mastery_engine.backends.dapr.client import MAX_ROUNDS, DaprState, Fold, Replacement, Value, Write
from mastery_engine.backends.dapr.index import TOMBSTONE_S, DaprIndex, changed, listed, pair_from
from mastery_engine.domain.cohorts.cohort import MOST_MEMBERS, NO_COHORT, Cohort, Due
from mastery_engine.domain.moments import DAY, SECOND, Day
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.cohorts import Join, Roster

NO_WORD_S = 24 * 3_600
PUT, OUT, NOT_NAMED = "put", "out", ""
PAGE = 20

# From and to the days of last joining events, by student or by cohort.
_Change: TypeAlias = Callable[[Mapping[str, Day]], dict[str, Day]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cohort).decode


class _Word(msgspec.Struct, frozen=True):
    """An admin's word with the number of its writes; the text is the cohort in MessagePack and Base64."""

    version: int
    cohort: str


class _Calendar(msgspec.Struct, frozen=True, omit_defaults=True):
    """The calendar of a word's ``version``; 0 where there is no word.

    With ``touched`` it is marked: that version is being put, and says something new of these students.
    """

    version: int
    calendar: tuple[Due, ...] = ()
    touched: tuple[str, ...] | None = None


class DaprCohorts:
    """See ``CohortStore``. Who joined is a set of ``day student_id``."""

    def __init__(self, state: DaprState, *, life_s: int) -> None:
        """``life_s`` is the life of what events say, after the last of them."""
        self._state = state
        self._life_s = life_s
        self._life_days = life_s * SECOND // DAY
        self._all = DaprIndex(state, "joined-cohorts")
        self._mending: set[tuple[str, str]] = set()

    async def roster(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        word, beside, joined = await self._state.read(
            [names.cohort(tenant, cohort_id), names.calendar(tenant, cohort_id), names.joined(tenant, cohort_id)]
        )
        version, cohort = _read_word(word)
        if not _is_settled(_calendar(beside), version):
            await self._mend(tenant, cohort_id)
        days = _days(joined.data if joined is not None else ())
        return Roster(version, cohort, frozenset(student_id for student_id, day in days.items() if day >= since))

    async def put(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        """Hints for whom is put in come before the word, those for whom is not go after it: none is ever missing."""
        name = names.cohort(tenant, cohort_id)
        word, value = await self._state.read([name, names.calendar(tenant, cohort_id)])
        stored, before = _read_word(word)
        if stored != version:
            return False
        beside = _calendar(value)
        is_marked = beside is not None and beside.touched is not None
        touched = _changed(before, cohort)
        if not is_marked and not _is_settled(beside, version):
            touched |= _named(before) | _named(cohort)  # an older engine has said nothing beside them
        await self._mark(tenant, cohort_id, version + 1, touched)
        hint = changed(add=frozenset([cohort_id]), rewrite=True)
        put_in = (StudentKey(tenant, student_id) for student_id in touched.intersection(cohort.put))
        had, has = before.taught_by, cohort.taught_by
        await self._state.fold(
            dict.fromkeys((*map(names.put_into, put_in), *_beside_teachers(tenant, has - had)), hint)
        )
        written = _Word(version + 1, b64encode(_encode(cohort)).decode())
        won = await self._state.write([Write(name, written, word.etag if word is not None else None, None)])
        if not won:
            (word,) = await self._state.read([name])
            await self._say(tenant, cohort_id, _read_word(word), touched)
        await self._settle(tenant, cohort_id)
        await self._take_back_teachers(tenant, cohort_id, had ^ has)
        return won

    async def _take_back_teachers(self, tenant: str, cohort_id: str, touched: frozenset[str]) -> None:
        """Hints of teachers whom no word has; they come back where one does that was written meanwhile."""
        if touched:
            this = frozenset([cohort_id])
            stale = touched - await self._taught_now(tenant, cohort_id)
            await self._state.fold(dict.fromkeys(_beside_teachers(tenant, stale), changed(discard=this, rewrite=True)))
            teaching = touched & await self._taught_now(tenant, cohort_id)
            await self._state.fold(dict.fromkeys(_beside_teachers(tenant, teaching), changed(add=this, rewrite=True)))

    async def _taught_now(self, tenant: str, cohort_id: str) -> frozenset[str]:
        (word,) = await self._state.read([names.cohort(tenant, cohort_id)])
        return _read_word(word)[1].taught_by

    async def _mark(self, tenant: str, cohort_id: str, version: int, touched: frozenset[str]) -> None:
        """A mark that is there stays, whoever left it: those whom it names are not settled yet."""

        def marked(stored: Any) -> Replacement:
            before = None if stored is None else msgspec.convert(stored, _Calendar)
            if before is None or before.touched is None:
                return Replacement(_Calendar(version, touched=tuple(sorted(touched))), None)
            union = tuple(sorted(touched.union(before.touched)))
            return Replacement(_Calendar(max(version, before.version), touched=union), None)

        await self._state.fold({names.calendar(tenant, cohort_id): marked})

    async def _say(self, tenant: str, cohort_id: str, word: tuple[int, Cohort], student_ids: Iterable[str]) -> None:
        """Say beside students what a word says of them, unless a later one was said there before."""
        version, cohort = word
        this, put, out = frozenset([cohort_id]), frozenset(cohort.put), frozenset(cohort.out)
        folds: dict[str, Fold] = {}
        for student_id in student_ids:
            key = StudentKey(tenant, student_id)
            place = OUT if student_id in out else PUT if student_id in put else NOT_NAMED
            folds[names.said(key)] = _with_saying(cohort_id, version, place)
            is_in = student_id in put
            folds[names.put_into(key)] = (
                changed(add=this, rewrite=True) if is_in else changed(discard=this, rewrite=True)
            )
        await self._state.fold(folds)

    async def _mend(self, tenant: str, cohort_id: str) -> None:
        """Settle what an older engine, or a process that ended too early, left; of many readers one does."""
        if (tenant, cohort_id) not in self._mending:
            self._mending.add((tenant, cohort_id))
            try:
                await self._settle(tenant, cohort_id)
            finally:
                self._mending.discard((tenant, cohort_id))

    async def _settle(self, tenant: str, cohort_id: str) -> None:
        """Bring what stands beside the word and the students to what it says, unless a later word is just being put.

        The calendar is read before the word: whoever writes a word after that has marked the calendar before, so that
        this write of it loses.
        """
        name = names.calendar(tenant, cohort_id)
        for _ in range(MAX_ROUNDS):
            (value,) = await self._state.read([name])
            (word,) = await self._state.read([names.cohort(tenant, cohort_id)])
            version, cohort = _read_word(word)
            beside = _calendar(value)
            if _is_settled(beside, version) or (beside is not None and _is_ahead(beside, version)):
                return
            touched = beside.touched if beside is not None else None
            await self._say(tenant, cohort_id, (version, cohort), _named(cohort) if touched is None else touched)
            settled, etag = _Calendar(version, cohort.calendar), value.etag if value is not None else None
            if await self._state.write([Write(name, settled, etag, None if version else NO_WORD_S)]):
                return
        raise Unavailable("Too many writers want the same cohort at once: ask again.")

    async def put_into(self, key: StudentKey) -> frozenset[str]:
        hints, said = await self._state.read([names.put_into(key), names.said(key)])
        return _put_into(hints, said)

    async def taught_by(self, tenant: str, name: str) -> frozenset[str]:
        (value,) = await self._state.read([names.taught_by(tenant, name)])
        return _names(value)

    async def calendars(
        self, named: Mapping[StudentKey, Sequence[str]], *, since: Day
    ) -> list[Mapping[str, Sequence[Due]]]:
        """Of some students at a time."""
        calendars: list[Mapping[str, Sequence[Due]]] = []
        students = list(named.items())
        for start in range(0, len(students), PAGE):
            page = students[start : start + PAGE]
            calendars += await asyncio.gather(*(self._calendars_of(key, own, since) for key, own in page))
        return calendars

    async def _calendars_of(self, key: StudentKey, named: Sequence[str], since: Day) -> Mapping[str, Sequence[Due]]:
        """In one request, or in two where admins put the student into cohorts that events do not name.

        A cohort that is not settled costs one more, as does, once a day, a cohort that no admin spoke of.
        """
        beside_student = [names.put_into(key), names.said(key), names.joins(key)]
        hints, said, joins, *first = await self._state.read([*beside_student, *_calendar_keys(key, named)])
        calendars = dict(zip(named, map(_calendar, first), strict=True))
        put_into = _put_into(hints, said)
        others = sorted(put_into.difference(named))
        if others:
            second = await self._state.read(_calendar_keys(key, others))
            calendars |= zip(others, map(_calendar, second), strict=True)
        days = await self._look_up_joins(key, named) if joins is None else joins.data
        joined = {cohort_id for cohort_id, day in days.items() if day >= since}
        places = _places(said)
        due: dict[str, Sequence[Due]] = {}
        doubtful: dict[str, _Calendar | None] = {}
        for cohort_id, calendar in calendars.items():
            place = places.get(cohort_id, NOT_NAMED)
            if cohort_id not in joined and cohort_id not in put_into:
                continue
            if calendar is None or calendar.touched is not None:
                doubtful[cohort_id] = calendar
            elif place == PUT or (place == NOT_NAMED and cohort_id in joined):
                due[cohort_id] = calendar.calendar
        if doubtful:
            due |= await self._by_words(key, doubtful, joined)
        return {cohort_id: calendar for cohort_id, calendar in due.items() if calendar}

    async def _look_up_joins(self, key: StudentKey, named: Sequence[str]) -> Mapping[str, Day]:
        """The days on which a student joined cohorts, where an older engine noted them with the cohorts alone."""
        if not named:
            return {}
        sets = await self._state.read([names.joined(key.tenant, cohort_id) for cohort_id in named])
        joined = zip(named, (_days(value.data if value is not None else ()) for value in sets), strict=True)
        days = {cohort_id: own[key.student_id] for cohort_id, own in joined if key.student_id in own}
        await self._state.write([Write(names.joins(key), days, None, self._life_s)])  # where it loses, a join was noted
        return days

    async def _by_words(
        self, key: StudentKey, doubtful: Mapping[str, _Calendar | None], joined: Collection[str]
    ) -> dict[str, Sequence[Due]]:
        """The calendars of those of these cohorts that the student is in, by their words, which are read wholly."""
        words = await self._state.read([names.cohort(key.tenant, cohort_id) for cohort_id in doubtful])
        calendars: dict[str, Sequence[Due]] = {}
        unspoken = []
        for (cohort_id, beside), value in zip(doubtful.items(), words, strict=True):
            version, cohort = _read_word(value)
            if key.student_id in cohort.members((key.student_id,) if cohort_id in joined else ()):
                calendars[cohort_id] = cohort.calendar
            if value is None and beside is None:
                unspoken.append(Write(names.calendar(key.tenant, cohort_id), _Calendar(0), None, NO_WORD_S))
            elif beside is None or not _is_ahead(beside, version):
                await self._mend(key.tenant, cohort_id)
        if unspoken:
            await self._state.write(unspoken)  # where it loses, an admin speaks
        return calendars

    async def join(self, joins: Sequence[Join]) -> Sequence[Join]:
        """The list of cohorts before the cohorts, and those before the students: whoever clears finds all."""
        by_cohort: dict[tuple[str, str], dict[str, Day]] = defaultdict(dict)
        for join in joins:
            students = by_cohort[join.key.tenant, join.cohort_id]
            students[join.key.student_id] = max(join.day, students.get(join.key.student_id, 0))
        if not joins:
            return ()
        await self._all.add([listed(*cohort) for cohort in by_cohort])
        full: dict[tuple[str, str], Collection[str]] = {}
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

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        left = frozenset(cohort_ids)
        if left:
            gone = self._of_cohort(_without([key.student_id]))
            cohorts = {names.joined(key.tenant, cohort_id): gone for cohort_id in left}
            await self._state.fold({**cohorts, names.joins(key): self._of_student(_without(left))})

    async def clear_joins(self) -> None:
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

    async def purge(self, before: Day) -> None:
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
            await self._mend_all(cohorts)
        await self._all.renew()

    async def _listed_cohorts(self) -> AsyncIterator[tuple[list[tuple[str, str]], list[dict[str, Day]]]]:
        """The cohorts that events name, some at a time, and who joined each, and when."""
        cohorts = [pair_from(name) for name in sorted(await self._all.members())]
        for start in range(0, len(cohorts), PAGE):
            page = cohorts[start : start + PAGE]
            values = await self._state.read([names.joined(*cohort) for cohort in page])
            yield page, [_days(value.data if value is not None else ()) for value in values]

    async def _unlist(self, cohorts: Sequence[tuple[str, str]]) -> None:
        """Take those of these cohorts out of the list that nobody joined any more."""
        known = [listed(*cohort) for cohort in cohorts]
        joined = await self._joined_by_some(known)
        await self._all.discard_gone([name for name in known if name not in joined], self._joined_by_some)

    async def _joined_by_some(self, known: Sequence[str]) -> list[str]:
        """Which of these cohorts, by their names in the list, somebody joined."""
        values = await self._state.read([names.joined(*pair_from(name)) for name in known])
        return [name for name, value in zip(known, values, strict=True) if value is not None and value.data]

    async def _mend_all(self, cohorts: Sequence[tuple[str, str]]) -> None:
        """Settle the cohorts of which an older engine wrote the word."""
        beside = await self._state.read([names.calendar(*cohort) for cohort in cohorts])
        unsettled = [cohort for cohort, value in zip(cohorts, beside, strict=True) if value is None]
        words = await self._state.read([names.cohort(*cohort) for cohort in unsettled])
        for cohort, word in zip(unsettled, words, strict=True):
            if word is not None:
                await self._mend(*cohort)

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


def _read_word(value: Value | None) -> tuple[int, Cohort]:
    """An admin's word and the number of its writes."""
    if value is None:
        return 0, NO_COHORT
    word = msgspec.convert(value.data, _Word)
    return word.version, _decode(b64decode(word.cohort))


def _with_saying(cohort_id: str, version: int, place: str) -> Fold:
    """Into what words say of a student. One who is named by none any more is forgotten in a day."""

    def fold(stored: Mapping[str, tuple[int, str]] | None) -> Replacement | None:
        before = stored or {}
        if cohort_id in before and before[cohort_id][0] >= version:
            return None
        after = {**before, cohort_id: (version, place)}
        is_named = any(place != NOT_NAMED for _, place in after.values())
        return Replacement(after, None if is_named else TOMBSTONE_S)

    return fold


def _places(said: Value | None) -> dict[str, str]:
    """By cohort what its word says of a student."""
    return {} if said is None else {cohort_id: place for cohort_id, (_, place) in said.data.items()}


def _put_into(hints: Value | None, said: Value | None) -> frozenset[str]:
    """The cohorts that words put a student in, or that words which are just being put do."""
    put = [cohort_id for cohort_id, place in _places(said).items() if place == PUT]
    return _names(hints).union(put)


def _beside_teachers(tenant: str, teachers: Iterable[str]) -> list[str]:
    return [names.taught_by(tenant, name) for name in teachers]


def _calendar_keys(key: StudentKey, cohort_ids: Iterable[str]) -> list[str]:
    return [names.calendar(key.tenant, cohort_id) for cohort_id in cohort_ids]


def _calendar(value: Value | None) -> _Calendar | None:
    return None if value is None else msgspec.convert(value.data, _Calendar)


def _is_settled(beside: _Calendar | None, version: int) -> bool:
    """Whether all that stands beside a word of this version says what it says; 0: there is no word."""
    if beside is None:
        return version == 0
    return beside.touched is None and beside.version == version


def _is_ahead(beside: _Calendar, version: int) -> bool:
    """Whether a word after this version is just being put."""
    return beside.touched is not None and beside.version > version


def _named(cohort: Cohort) -> frozenset[str]:
    """Whom a word names."""
    return frozenset((*cohort.put, *cohort.out))


def _changed(before: Cohort, after: Cohort) -> frozenset[str]:
    """Of whom a word says something else than the one before."""
    return (
        frozenset(before.put)
        .symmetric_difference(after.put)
        .union(frozenset(before.out).symmetric_difference(after.out))
    )


def _names(value: Value | None) -> frozenset[str]:
    return frozenset(value.data if value is not None else ())


def _days(lines: Iterable[str]) -> dict[str, Day]:
    """By student the day of their last joining event; an interrupted older engine may have left two."""
    days: dict[str, Day] = {}
    for line in lines:
        day, student_id = line.split(" ", 1)
        days[student_id] = max(int(day), days.get(student_id, 0))
    return days


def _lines(days: Mapping[str, Day]) -> list[str]:
    return sorted(f"{day} {student_id}" for student_id, day in days.items())
