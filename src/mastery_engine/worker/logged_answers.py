"""The students' answers in the log, for fitting the difficulties of items."""

from collections import defaultdict
from typing import NamedTuple

from mastery_engine.clock import Clock
from mastery_engine.domain.courses.naming import as_in_course
from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey, document_key_of
from mastery_engine.ports.event_log import Batch, EventLog
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.worker.decoding import RecordDecoder


class LoggedAnswer(NamedTuple):
    """A student's answer in a course: when it was received, and when it was given."""

    key: DocumentKey
    received: Micros
    at: Micros
    answer: Answer


class LoggedAnswers:
    """Reads the whole log."""

    def __init__(
        self, events: EventLog, consents: Consents, courses: Courses, decoder: RecordDecoder, clock: Clock
    ) -> None:
        self._events = events
        self._consents = consents
        self._courses = courses
        self._decoder = decoder
        self._clock = clock

    async def read(self) -> list[LoggedAnswer]:
        """All answers, each once, that were allowed when they were received. Raises Unavailable."""
        by_student: dict[DocumentKey, list[Logged]] = defaultdict(list)
        async for page in self._events.pages():
            for logged in self._decoder.decode(Batch(tuple(page), {}, {})).events:
                if isinstance(logged.event.data, Answer):
                    by_student[document_key_of(logged.event)].append(logged)
        await self._consents.refresh()
        owned = self._consents.by_owner(by_student)
        answers: dict[tuple[DocumentKey, str], LoggedAnswer] = {}
        setups = await self._courses.of_many(list({key.course for key in by_student}), self._clock())
        for key, own in self._consents.filter_by_consent(owned).items():
            setup = setups[key.course]
            for event in (one.event for one in as_in_course(own, setup.skills_of_items, setup.curriculum.named)):
                if isinstance(event.data, Answer):
                    answer = LoggedAnswer(key, event.received, event.at, event.data)
                    answers.setdefault((key, event.event_id), answer)
        return list(answers.values())
