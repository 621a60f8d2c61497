"""Scores for platforms' gradebooks: each change of a whole per cent is queued once, and sent in its order."""

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence

import msgspec

from mastery_engine.clock import Clock
from mastery_engine.domain.evidence.shown import whole_per_cent
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.domain.results import Result, Updated
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import MasteryError, Unavailable
from mastery_engine.lti.contexts import ContextRecord, PersonRecord, person_key, unpack_context, unpack_person
from mastery_engine.lti.grade_records import GradeBody, GradeRecord, next_stamp, pack_grades, unpack_grades
from mastery_engine.lti.grades import SCORE_SCOPE, may_score
from mastery_engine.lti.platforms import LtiPlatform
from mastery_engine.ports.deliveries import Delivery, DeliveryQueue
from mastery_engine.ports.registry import Entry, RegistryStore, RegistryWrite, Table
from mastery_engine.services.consents import Consents
from mastery_engine.services.lti.calls import PlatformCalls, PlatformFault
from mastery_engine.services.lti.graded_contexts import GradedContext, GradedContexts
from mastery_engine.services.lti.grades import GradeCalls
from mastery_engine.services.lti.platforms import LtiPlatforms
from mastery_engine.services.receivers import Bell, SendOutcome

logger = logging.getLogger(__name__)

PAGE = 500
MAX_ROUNDS = 20
CONFLICT = 409
TRIED_AGAIN = frozenset({0, 401, 408, 425, 429})  # and whatever says that the fault is the platform's own

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(GradeBody).decode


class GradeNow(msgspec.Struct, frozen=True):
    """A student's score in a context, in whole per cent, as it was at a moment."""

    context: GradedContext
    student: StudentKey
    per_cent: int
    at: Micros

    @property
    def key(self) -> str:
        record = self.context.record
        return person_key(record.tenant, record.cohort_id, self.student.student_id)


class Gradebooks:
    """Follows results into gradebooks, and sends what is queued for them: see ``Follower`` and ``Receiver``."""

    name = "grades"

    def __init__(
        self,
        contexts: GradedContexts,
        registry: RegistryStore,
        queue: DeliveryQueue,
        bell: Bell,
        platforms: LtiPlatforms,
        calls: PlatformCalls,
        grades: GradeCalls,
        consents: Consents,
        clock: Clock,
    ) -> None:
        self._contexts = contexts
        self._registry = registry
        self._queue = queue
        self._bell = bell
        self._platforms = platforms
        self._calls = calls
        self._grades = grades
        self._consents = consents
        self._clock = clock

    async def follow(self, results: Sequence[Result]) -> None:
        """Queue the scores that changed by a whole per cent. Raises Unavailable."""
        now = self._clock()
        await self._contexts.refresh(now)
        if not self._contexts.graded:
            return
        if not self._contexts.knows_learners:
            await self._contexts.read_learners(now)
        told = [
            GradeNow(context, StudentKey(result.tenant, result.student_id), whole_per_cent(result.score), result.at)
            for result in results
            if isinstance(result, Updated)
            for context in self._contexts.of_student(StudentKey(result.tenant, result.student_id), result.course_id)
        ]
        await self.queue(told, now)

    async def queue(self, told: Sequence[GradeNow], now: Micros) -> None:
        """Queue these scores, but those that are queued already or are older, and those without consent.

        What is queued is noted after it was queued: whoever comes in between, or again after a crash, queues the same
        under the same id. Raises Unavailable.
        """
        waiting: dict[str, list[GradeNow]] = defaultdict(list)
        for one in told:
            if self._consents.state(one.student).processing:
                waiting[one.key].append(one)
        for _ in range(MAX_ROUNDS):
            if not waiting:
                return
            deliveries: list[Delivery] = []
            writes: list[RegistryWrite] = []
            keys = list(waiting)
            for key, entry in zip(keys, await self._find("lti-grades", keys, now), strict=True):
                before = GradeRecord() if entry is None else unpack_grades(entry.value)
                after, new = _queued(before, waiting[key], now)
                deliveries += new
                if after != before:
                    expected = 0 if entry is None else entry.version
                    writes.append(RegistryWrite(key, pack_grades(after), expected, owner=waiting[key][0].student))
            if not writes:
                return
            if deliveries:
                await self._queue.enqueue(deliveries)
            written = await self._registry.write("lti-grades", writes, now)
            self._bell.ring({one.sink for one in deliveries})
            waiting = {write.key: waiting[write.key] for write, won in zip(writes, written, strict=True) if not won}
        raise Unavailable("Others keep changing what is known of these scores: try again.")

    async def _find(self, table: Table, keys: Sequence[str], now: Micros) -> list[Entry | None]:
        found: list[Entry | None] = []
        for start in range(0, len(keys), PAGE):
            found += await self._registry.find(table, keys[start : start + PAGE], now)
        return found

    async def sinks(self, now: Micros) -> Collection[str]:
        await self._contexts.refresh(now)
        return self._contexts.sinks()

    async def sinks_of(self, tenant: str, now: Micros) -> list[str]:
        """Where scores for a tenant's classes wait, or may. Raises Unavailable."""
        await self._contexts.refresh(now)
        return self._contexts.sinks_of(tenant)

    async def send(self, delivery: Delivery, now: Micros) -> SendOutcome:
        """Send a score, as consent and class are now, unless it is there already."""
        body, student = _decode(delivery.body), delivery.student
        if not await self._consents.refresh_lately(now):
            raise Unavailable("It is not known yet what students allow.")
        if not self._consents.state(student).processing:
            return SendOutcome("never", "the student does not allow it")
        key = person_key(student.tenant, body.cohort_id, student.student_id)
        (context,) = await self._registry.find("lti-contexts", [f"{student.tenant}/{body.cohort_id}"], now)
        (person,) = await self._registry.find("lti-people", [key], now)
        (graded,) = await self._registry.find("lti-grades", [key], now)
        record = None if context is None else unpack_context(context.value)
        if record is None or body.line_item not in record.line_items or not may_score(record.scopes):
            return SendOutcome("never", "the gradebook has no column of ours any more")
        known = None if person is None else unpack_person(person.value)
        if known is None or known.role != "learner":
            return SendOutcome("never", "the student is not in the class any more")
        if graded is None:
            return SendOutcome("again", "it is only being queued")
        line = unpack_grades(graded.value).line(body.line_item)
        if line.sent == body.per_cent:
            return SendOutcome("delivered", "the gradebook has it already")
        platform = await self._platform(record, now)
        if platform is None:
            return SendOutcome("never", "the platform was removed")
        stamp = next_stamp(line, delivery.queued)
        outcome = await self._sent(platform, body, known, stamp, now)
        if outcome.result == "delivered":
            await self._note(key, body, stamp, student, now)
        return outcome

    async def _platform(self, record: ContextRecord, now: Micros) -> LtiPlatform | None:
        try:
            return await self._platforms.find(record.issuer, record.client_id, now)
        except Unavailable:
            raise
        except MasteryError:
            return None

    async def _sent(
        self, platform: LtiPlatform, body: GradeBody, person: PersonRecord, stamp: Micros, now: Micros
    ) -> SendOutcome:
        try:
            await self._calls.token(platform, [SCORE_SCOPE], now)
        except PlatformFault as fault:
            return SendOutcome("again", fault.message)
        try:
            await self._grades.send_score(platform, body.line_item, person.sub, body.per_cent, rfc3339(stamp), now)
        except PlatformFault as fault:
            return _outcome_of(fault)
        return SendOutcome("delivered", "the gradebook took it")

    async def _note(self, key: str, body: GradeBody, stamp: Micros, student: StudentKey, now: Micros) -> None:
        """Note what the gradebook took; of who was erased meanwhile nothing is noted."""
        for _ in range(MAX_ROUNDS):
            (entry,) = await self._registry.find("lti-grades", [key], now)
            if entry is None:
                return
            after = unpack_grades(entry.value).with_sent(body.line_item, body.per_cent, stamp)
            write = RegistryWrite(key, pack_grades(after), entry.version, owner=student)
            if (await self._registry.write("lti-grades", [write], now))[0]:
                return
        raise Unavailable("Others keep changing what is known of these scores: try again.")


def _queued(record: GradeRecord, told: Sequence[GradeNow], now: Micros) -> tuple[GradeRecord, list[Delivery]]:
    """A person's record with these scores, and what is to be queued: for each column each that differs."""
    new: list[Delivery] = []
    for one in told:
        context = one.context.record
        for line_item in context.line_items:
            number = record.line(line_item).number
            record = record.with_queued(one.context.course_id, line_item, one.per_cent, one.at)
            if record.line(line_item).number > number:
                body = _encode(GradeBody(context.cohort_id, line_item, one.per_cent))
                delivery_id = derived_id("grade", one.key, line_item, str(number + 1), str(one.per_cent))
                lane = f"{context.cohort_id}/{one.student.student_id}"
                new.append(Delivery(one.context.sink, delivery_id, lane, one.student, now, now, body))
    return record, new


def _outcome_of(fault: PlatformFault) -> SendOutcome:
    """What a platform's refusal of a score means.

    With 409 it has a newer score: or this very one, of before a crash.
    """
    if fault.status == CONFLICT:
        return SendOutcome("delivered", "the gradebook has it, or a newer one")
    if fault.status in TRIED_AGAIN or fault.status >= 500:
        return SendOutcome("again", fault.message)
    return SendOutcome("never", fault.message)
