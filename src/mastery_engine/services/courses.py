"""Courses: what holds in each, for who folds and who asks; and setting it."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence

import msgspec
from cachetools import FIFOCache, LRUCache

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.course import CourseChange, CourseSetup, check_badges, setup_of
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import Conflict, NotFound, Unavailable
from mastery_engine.ports.courses import CourseStore, StoredCourse
from mastery_engine.responses.courses import CourseList, CourseRecord, course_entry, course_record
from mastery_engine.responses.cursors import make_cursor, read_cursor
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey

CACHED_FOR: Micros = 2 * SECOND
# What the cache holds at most: a course counts as a thousand items, and an item takes 0.6 KB.
LARGEST_CACHE, COURSE_SIZE = 1_000_000, 1_000
PAGE_LEARNED = 100
MOST_NOTED = 10_000
MAX_ROUNDS = 20
PAGE = 100


class CachedCourse(msgspec.Struct, frozen=True):
    """A course's setup, and when it was last known to be the store's."""

    setup: CourseSetup
    read: Micros


class Courses:
    """Reads and sets courses. What another process sets is taken up within some seconds."""

    def __init__(
        self,
        store: CourseStore,
        access: AccessControl,
        audit: Audit,
        idempotency: Idempotency,
        rules: Rules,
        curriculum: Curriculum,
        clock: Clock,
    ) -> None:
        """``rules`` and ``curriculum`` are those of the installation's files."""
        self._store = store
        self._access = access
        self._audit = audit
        self._idempotency = idempotency
        self._rules = rules
        self._curriculum = curriculum
        self._clock = clock
        # Whoever is asked of is read again every two seconds, so the oldest reading is the least wanted.
        self._cached: FIFOCache[CourseKey, CachedCourse] = FIFOCache(LARGEST_CACHE, _size)
        self._learned: dict[CourseKey, Rules] = {}
        self._unset: dict[bool, Rules] = {}
        self._noted: LRUCache[CourseKey, None] = LRUCache(MOST_NOTED)

    async def of(self, key: CourseKey, now: Micros) -> CourseSetup:
        """What holds in a course. Raises Unavailable if it was never read."""
        cached = self._cached.get(key)
        if cached is not None and -CACHED_FOR < now - cached.read < CACHED_FOR:
            return cached.setup
        return (await self.of_many([key], now))[key]

    async def of_many(self, keys: Sequence[CourseKey], now: Micros) -> dict[CourseKey, CourseSetup]:
        """What holds in each of these courses. Raises Unavailable if one was never read."""
        setups = {
            key: cached.setup
            for key in keys
            if (cached := self._cached.get(key)) is not None and abs(now - cached.read) < CACHED_FOR
        }
        stale = [key for key in dict.fromkeys(keys) if key not in setups]
        if stale:
            setups |= await self._refreshed(stale, now)
        return setups

    async def titles(self, tenant: str, course_ids: Collection[str], now: Micros) -> dict[str, str]:
        """What people call these courses, by their ids; those that have one title are told apart by their ids.

        Raises Unavailable if one was never read.
        """
        setups = await self.of_many([CourseKey(tenant, one) for one in course_ids], now)
        titles = {key.course_id: setup.title for key, setup in setups.items()}
        times = Counter(titles.values())
        return {one: title if times[title] == 1 else f"{title} ({one})" for one, title in titles.items()}

    async def _refreshed(self, keys: Sequence[CourseKey], now: Micros) -> dict[CourseKey, CourseSetup]:
        """Only what has changed since it was read is read again."""
        known = {key: self._cached[key].setup for key in keys if key in self._cached}
        try:
            versions = dict(zip(known, await self._store.versions(list(known)), strict=True)) if known else {}
            fresh = {key: setup for key, setup in known.items() if setup.version == versions[key]}
            wanted = [key for key in keys if key not in fresh]
            loaded = await self._store.load(wanted) if wanted else []
        except Unavailable:
            if len(known) < len(keys):
                raise
            return known
        fresh |= {key: self._setup(key, stored) for key, stored in zip(wanted, loaded, strict=True)}
        for key, setup in fresh.items():
            self._cached[key] = CachedCourse(setup, now)
        return fresh

    async def learn(self, keys: Collection[CourseKey], now: Micros) -> bool:
        """Have the rules of these courses ``at_hand``; whether any are others than before. Raises Unavailable."""
        before = {key: self.at_hand(key) for key in keys}
        self._learned = {key: setup.rules for key, setup in (await self.of_many(list(keys), now)).items()}
        return self._learned != before

    async def learn_all(self, tenant: str, now: Micros) -> None:
        """Have the rules of all courses of a tenant ``at_hand``. Raises Unavailable."""
        learned: dict[CourseKey, Rules] = {}
        after: str | None = ""
        while after is not None:
            found = await self._store.of_tenant(tenant, after=after, limit=PAGE_LEARNED)
            setups = await self.of_many([CourseKey(tenant, course_id) for course_id in found], now)
            learned |= {key: setup.rules for key, setup in setups.items()}
            after = found[-1] if len(found) == PAGE_LEARNED else None
        self._learned = learned

    def at_hand(self, key: CourseKey) -> Rules:
        """The rules of a course: of those last learned, else as last read here; by default if they never were."""
        learned = self._learned.get(key)
        if learned is not None:
            return learned
        cached = self._cached.get(key)
        return self._unset_rules(key) if cached is None else cached.setup.rules

    def _unset_rules(self, key: CourseKey) -> Rules:
        """The rules of a course that nobody set, made once: who reads a log asks for them with each event."""
        is_default = key.course_id == DEFAULT_COURSE
        if is_default not in self._unset:
            self._unset[is_default] = self._setup(key, StoredCourse()).rules
        return self._unset[is_default]

    def _setup(self, key: CourseKey, stored: StoredCourse) -> CourseSetup:
        return setup_of(key, stored.version, stored.course, self._rules, self._curriculum)

    async def note(self, keys: Sequence[CourseKey]) -> None:
        """Note that there are these courses, which events named; this process says it once. Raises Unavailable."""
        new = [key for key in dict.fromkeys(keys) if key not in self._noted and key.course_id != DEFAULT_COURSE]
        if new:
            await self._store.note(new)
            self._noted.update(dict.fromkeys(new))

    async def put(
        self, caller: Caller, course_id: str, change: CourseChange, *, key: IdempotencyKey | None = None
    ) -> CourseRecord:
        """Set parts of a course; it is recorded before it counts, and counts here at once.

        What is as the change says stays at its version, so that nobody reads it again.

        Raises Forbidden, InvalidInput, and Conflict if ``key`` was used with another body, or others keep changing the
        course at the same time.
        """
        self._access.check_act(caller, Act.SET_COURSE, "put-course")
        await self._idempotency.claim(caller, f"put-course {course_id}", key)
        course = CourseKey(caller.tenant, course_id)
        for _ in range(MAX_ROUNDS):
            (stored,) = await self._store.load([course])
            # In a thread: half a million prerequisites take seconds.
            changed = await asyncio.to_thread(stored.course.changed, change)
            is_same = bool(stored.version) and changed == stored.course
            setup = self._setup(course, StoredCourse(stored.version + (not is_same), changed))
            check_badges(setup)
            await self._audit.write(caller, "put-course", [None])
            if is_same or await self._store.put(course, stored.version, changed):
                self._cached[course] = CachedCourse(setup, caller.moment(self._clock))
                return course_record(setup)
        raise Conflict("Others changed this course at the same time: try again.", field="course_id")

    async def show(self, caller: Caller, course_id: str) -> CourseRecord:
        """A course as it holds now. Raises NotFound where nobody set it and no event named it."""
        return course_record(await self.known(caller, course_id))

    async def known(self, caller: Caller, course_id: str) -> CourseSetup:
        """What holds in a course now. Raises NotFound where nobody set it and no event named it."""
        self._audit.note(caller, "course", None, allowed=True)
        course = CourseKey(caller.tenant, course_id)
        setup = await self.of(course, caller.moment(self._clock))
        if not setup.version and course_id != DEFAULT_COURSE and not await self._store.has(course):
            raise NotFound("There is no course with this id: no event named it, and nobody set it.", field="course_id")
        return setup

    async def list(self, caller: Caller, *, limit: int = PAGE, cursor: str | None = None) -> CourseList:
        """A page of the tenant's courses: ``default``, those that events named, and those that were set."""
        self._audit.note(caller, "courses", None, allowed=True)
        after = read_cursor(cursor, str) or ""
        found = await self._store.of_tenant(caller.tenant, after=after, limit=limit + 1)
        if after < DEFAULT_COURSE:
            found = sorted({*found, DEFAULT_COURSE})
        page = found[:limit]
        setups = await self.of_many([CourseKey(caller.tenant, one) for one in page], caller.moment(self._clock))
        more = make_cursor(page[-1]) if len(found) > limit else None
        return CourseList([course_entry(setup) for setup in sorted(setups.values(), key=_id)], more)


def _size(cached: CachedCourse) -> int:
    return COURSE_SIZE + len(cached.setup.course.items)


def _id(setup: CourseSetup) -> str:
    return setup.key.course_id
