"""The students' answers in the log, for fitting the difficulties of items."""

from collections import defaultdict
from typing import NamedTuple

from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey, document_key_of
from mastery_engine.ports.event_log import Batch, EventLog
from mastery_engine.services.consents import Consents
from mastery_engine.worker.decoding import RecordDecoder


class LoggedAnswer(NamedTuple):
    """A student's answer in a course: when it was received, and when it was given."""

    key: DocumentKey
    received: Micros
    at: Micros
    answer: Answer


class LoggedAnswers:
    """Reads the whole log."""

    def __init__(self, events: EventLog, consents: Consents, decoder: RecordDecoder) -> None:
        self._events = events
        self._consents = consents
        self._decoder = decoder

    async def read(self) -> list[LoggedAnswer]:
        """All answers, each once, that were allowed when they were received. Raises Unavailable."""
        by_student: dict[DocumentKey, list[Logged]] = defaultdict(list)
        async for page in self._events.pages():
            for logged in self._decoder.decode(Batch(tuple(page), {}, {})).events:
                if isinstance(logged.event.data, Answer):
                    by_student[document_key_of(logged.event)].append(logged)
        await self._consents.refresh()
        answers: dict[tuple[DocumentKey, str], LoggedAnswer] = {}
        for key, own in self._consents.filter_by_consent(by_student).items():
            for event in (logged.event for logged in own):
                if isinstance(event.data, Answer):
                    answer = LoggedAnswer(key, event.received, event.at, event.data)
                    answers.setdefault((key, event.event_id), answer)
        return list(answers.values())
