"""Cohorts in Dapr's state: the admin's word under an ETag, beside who joined by events (``DaprJoins``).

Most questions are about one student, and read no roster. Beside the word stands its calendar, with its course. Beside
a student stands what the words say of them, by cohort, each with the version of the word.

Several keys cannot be written at once, so a calendar says whether the others are written too. Before a word is put,
its calendar is marked: it names the students of whom the word says something new. Then the word is written, then what
it says beside those students, and then the calendar again, which is settled now. Where a calendar is marked, or is
missing since an older engine wrote the word, the word is read wholly, and decides. So it does not matter where a
process ends, and what a slow one says late is older than what stands there.
"""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from mastery_engine.backends.dapr import keys as names
from mastery_engine.backends.dapr.client import MAX_ROUNDS, DaprState, Fold, Replacement, Value, Write
from mastery_engine.backends.dapr.index import TOMBSTONE_S, changed
from mastery_engine.backends.dapr.joins import DaprJoins, days_of, first_of
from mastery_engine.domain.cohorts.cohort import NO_COHORT, Cohort, Due, Naming, course_of_cohort
from mastery_engine.domain.moments import Day
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.cohorts import Join, Roster

NO_WORD_S = 24 * 3_600
PUT, OUT, NOT_NAMED = "put", "out", ""
PAGE = 20

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cohort).decode


class _Word(msgspec.Struct, frozen=True):
    """An admin's word with the number of its writes; the text is the cohort in MessagePack and Base64."""

    version: int
    cohort: str


class _Calendar(msgspec.Struct, frozen=True, omit_defaults=True):
    """The calendar of a word's ``version``, and its course; 0 where there is no word.

    With ``touched`` it is marked: that version is being put, and says something new of these students.
    """

    version: int
    calendar: tuple[Due, ...] = ()
    touched: tuple[str, ...] | None = None
    course_id: str | None = None


class _Beside(NamedTuple):
    """What stands beside a cohort's word: its calendar, and the first event that named it."""

    calendar: _Calendar | None
    first: Naming | None


class DaprCohorts:
    """See ``CohortStore``."""

    def __init__(self, state: DaprState, *, life_s: int) -> None:
        """``life_s`` is the life of what events say, after the last of them."""
        self._state = state
        self._joins = DaprJoins(state, life_s=life_s)
        self._mending: set[tuple[str, str]] = set()

    async def roster(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        beside_cohort = (names.cohort, names.calendar, names.joined, names.named_first)
        word, beside, joined, first = await self._state.read([name(tenant, cohort_id) for name in beside_cohort])
        version, cohort = _read_word(word)
        if not _is_settled(_calendar(beside), version):
            await self._mend(tenant, cohort_id)
        members = frozenset(student_id for student_id, day in days_of(joined).items() if day >= since)
        return Roster(version, cohort, members, first_of(first))

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
            settled = _Calendar(version, cohort.calendar, course_id=cohort.course_id)
            etag = value.etag if value is not None else None
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
        self, named: Mapping[DocumentKey, Sequence[str]], *, since: Day
    ) -> list[Mapping[str, Sequence[Due]]]:
        """Of some students at a time."""
        calendars: list[Mapping[str, Sequence[Due]]] = []
        students = list(named.items())
        for start in range(0, len(students), PAGE):
            page = students[start : start + PAGE]
            calendars += await asyncio.gather(*(self._calendars_of(key, own, since) for key, own in page))
        return calendars

    async def _calendars_of(self, key: DocumentKey, named: Sequence[str], since: Day) -> Mapping[str, Sequence[Due]]:
        """In one request, or in two where admins put the student into cohorts that events do not name.

        A cohort that is not settled costs one more, as does, once a day, a cohort that no admin spoke of.
        """
        student = key.student
        beside_student = [names.put_into(student), names.said(student), names.joins(student)]
        hints, said, joins, *first = await self._state.read([*beside_student, *_beside_cohorts(key, named)])
        calendars = dict(zip(named, _pairs(first), strict=True))
        put_into = _put_into(hints, said)
        others = sorted(put_into.difference(named))
        if others:
            second = await self._state.read(_beside_cohorts(key, others))
            calendars |= zip(others, _pairs(second), strict=True)
        days = await self._joins.of_student(key, joins, named)
        joined = {cohort_id for cohort_id, day in days.items() if day >= since}
        places = _places(said)
        due: dict[str, Sequence[Due]] = {}
        doubtful: dict[str, _Beside] = {}
        for cohort_id, beside in calendars.items():
            place = places.get(cohort_id, NOT_NAMED)
            if cohort_id not in joined and cohort_id not in put_into:
                continue
            calendar = beside.calendar
            if calendar is None or calendar.touched is not None:
                doubtful[cohort_id] = beside
            elif place == PUT or (place == NOT_NAMED and cohort_id in joined):
                word = Cohort(calendar=calendar.calendar, course_id=calendar.course_id)
                due[cohort_id] = _due(word, beside, key)
        if doubtful:
            due |= await self._by_words(key, doubtful, joined)
        return {cohort_id: calendar for cohort_id, calendar in due.items() if calendar}

    async def _by_words(
        self, key: DocumentKey, doubtful: Mapping[str, _Beside], joined: Collection[str]
    ) -> dict[str, Sequence[Due]]:
        """The calendars of those of these cohorts that the student is in, by their words, which are read wholly."""
        words = await self._state.read([names.cohort(key.tenant, cohort_id) for cohort_id in doubtful])
        calendars: dict[str, Sequence[Due]] = {}
        unspoken = []
        for (cohort_id, beside), value in zip(doubtful.items(), words, strict=True):
            version, cohort = _read_word(value)
            if key.student_id in cohort.members((key.student_id,) if cohort_id in joined else ()):
                calendars[cohort_id] = _due(cohort, beside, key)
            if value is None and beside.calendar is None:
                unspoken.append(Write(names.calendar(key.tenant, cohort_id), _Calendar(0), None, NO_WORD_S))
            elif beside.calendar is None or not _is_ahead(beside.calendar, version):
                await self._mend(key.tenant, cohort_id)
        if unspoken:
            await self._state.write(unspoken)  # where it loses, an admin speaks
        return calendars

    async def join(self, joins: Sequence[Join]) -> Sequence[Join]:
        return await self._joins.note(joins)

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        await self._joins.leave(key, cohort_ids)

    async def clear_joins(self) -> None:
        await self._joins.clear()

    async def purge(self, before: Day) -> None:
        async for cohorts in self._joins.purge(before):
            await self._mend_all(cohorts)

    async def _mend_all(self, cohorts: Sequence[tuple[str, str]]) -> None:
        """Settle the cohorts of which an older engine wrote the word."""
        beside = await self._state.read([names.calendar(*cohort) for cohort in cohorts])
        unsettled = [cohort for cohort, value in zip(cohorts, beside, strict=True) if value is None]
        words = await self._state.read([names.cohort(*cohort) for cohort in unsettled])
        for cohort, word in zip(unsettled, words, strict=True):
            if word is not None:
                await self._mend(*cohort)


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


def _beside_cohorts(key: DocumentKey, cohort_ids: Iterable[str]) -> list[str]:
    beside = (names.calendar, names.named_first)
    return [name(key.tenant, cohort_id) for cohort_id in cohort_ids for name in beside]


def _pairs(values: Sequence[Value | None]) -> list[_Beside]:
    """What ``_beside_cohorts`` leads to, by cohort."""
    calendars, firsts = map(_calendar, values[::2]), map(first_of, values[1::2])
    return [_Beside(calendar, first) for calendar, first in zip(calendars, firsts, strict=True)]


def _due(cohort: Cohort, beside: _Beside, key: DocumentKey) -> Sequence[Due]:
    """A cohort's calendar if it is one of the document's course."""
    return cohort.calendar if course_of_cohort(cohort, beside.first) == key.course_id else ()


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
