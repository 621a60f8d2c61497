"""The contexts of all platforms, as they were a moment ago: what following results and sending scores go by."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import msgspec

from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.lti.contexts import ContextRecord, unpack_context, unpack_person
from mastery_engine.lti.grades import may_score
from mastery_engine.lti.platforms import platform_key
from mastery_engine.ports.registry import RegistryStore
from mastery_engine.services.cohorts import Cohorts

CACHED_FOR: Micros = 2 * SECOND
COURSE_CACHED_FOR: Micros = 30 * SECOND  # to know it the whole roster is read
PAGE = 500


class GradedContext(msgspec.Struct, frozen=True):
    """A context whose gradebook has columns of ours, and the course that its class is in."""

    record: ContextRecord
    course_id: str

    @property
    def sink(self) -> str:
        return sink_of(self.record)


def sink_of(record: ContextRecord) -> str:
    """Scores of one platform, for one tenant, wait together."""
    return f"grades/{record.tenant}/{platform_key(record.issuer, record.client_id)}"


class GradedContexts:
    """Reads the contexts again every two seconds, if somebody asks. Where the store is away, what is known stays."""

    def __init__(self, registry: RegistryStore, cohorts: Cohorts) -> None:
        self._registry = registry
        self._cohorts = cohorts
        self._was_read = False
        self._asked: Micros = 0
        self._reading = asyncio.Lock()
        self._courses: dict[str, tuple[Micros, str]] = {}
        self._by_key: Mapping[str, GradedContext] = {}
        self._of_student: Mapping[StudentKey, Sequence[str]] | None = None
        self.records: Sequence[ContextRecord] = ()
        self.graded: Sequence[GradedContext] = ()

    async def refresh(self, now: Micros) -> None:
        """Know the contexts as they were at most two seconds ago. Raises Unavailable if they were never read."""
        async with self._reading:
            if self._was_read and abs(now - self._asked) < CACHED_FOR:
                return
            self._asked = now
            try:
                await self._read(now)
            except Unavailable:
                if not self._was_read:
                    raise

    async def read_learners(self, now: Micros) -> None:
        """Know who learns in these contexts, as of now: in memory, since each result asks. Raises Unavailable."""
        found: dict[StudentKey, list[str]] = defaultdict(list)
        for context in self.graded:
            prefix, after = f"{context.record.key}/", ""
            while page := await self._registry.page("lti-people", prefix, after, PAGE, now):
                after = page[-1].key
                for entry in page:
                    if unpack_person(entry.value).role == "learner":
                        student = StudentKey(context.record.tenant, entry.key.removeprefix(prefix))
                        found[student].append(context.record.key)
        self._of_student = dict(found)

    @property
    def knows_learners(self) -> bool:
        """Whether they were read before. Who joined since then is known with the next reading."""
        return self._of_student is not None

    def of_student(self, student: StudentKey, course_id: str) -> list[GradedContext]:
        """The contexts in which a student learns, whose gradebooks get scores of a course."""
        known = [self._by_key.get(key) for key in (self._of_student or {}).get(student, ())]
        return [context for context in known if context is not None and context.course_id == course_id]

    def learners(self) -> dict[str, list[StudentKey]]:
        """Who learns in each context, by its key."""
        found: dict[str, list[StudentKey]] = defaultdict(list)
        for student, keys in (self._of_student or {}).items():
            for key in keys:
                found[key].append(student)
        return found

    def sinks(self) -> Collection[str]:
        """Where scores wait, or may."""
        return {sink_of(record) for record in self.records}

    def sinks_of(self, tenant: str) -> list[str]:
        """Those of one tenant."""
        return sorted({sink_of(record) for record in self.records if record.tenant == tenant})

    async def _read(self, now: Micros) -> None:
        records: list[ContextRecord] = []
        after = ""
        while True:
            page = await self._registry.page("lti-contexts", "", after, PAGE, now)
            records += [unpack_context(entry.value) for entry in page]
            if len(page) < PAGE:
                break
            after = page[-1].key
        graded = [
            GradedContext(record, await self._course_of(record, now))
            for record in records
            if record.line_items and may_score(record.scopes)
        ]
        self.records, self.graded = records, graded
        self._by_key = {context.record.key: context for context in graded}
        self._was_read = True

    async def _course_of(self, record: ContextRecord, now: Micros) -> str:
        known = self._courses.get(record.key)
        if known is not None and abs(now - known[0]) < COURSE_CACHED_FOR:
            return known[1]
        course_id = (await self._cohorts.roster(record.tenant, record.cohort_id, now)).course_id
        self._courses[record.key] = (now, course_id)
        return course_id
