"""The answers to items that the log holds, as far as they count."""

from collections import defaultdict
from typing import NamedTuple

from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey, key_of
from mastery_engine.ports.event_log import Batch
from mastery_engine.services import Mastery
from mastery_engine.worker.decoding import Reading


class Heard(NamedTuple):
    """A student's answer: when it was received, and when it was given."""

    key: StudentKey
    received: Micros
    at: Micros
    answer: Answer


async def answers_of(mastery: Mastery) -> list[Heard]:
    """All answers, each once, and none that was not allowed when it was received. Raises Unavailable."""
    reading = Reading(mastery.rules.retention_days, mastery.clock)
    found: dict[StudentKey, list[Logged]] = defaultdict(list)
    async for page in mastery.log.pages():
        for one in reading.read(Batch(tuple(page), {}, {})).events:
            if isinstance(one.event.data, Answer):
                found[key_of(one.event)].append(one)
    await mastery.consents.refresh()
    heard: dict[tuple[StudentKey, str], Heard] = {}
    for key, some in mastery.consents.sift(found).items():
        for event in (one.event for one in some):
            if isinstance(event.data, Answer):
                heard.setdefault((key, event.event_id), Heard(key, event.received, event.at, event.data))
    return list(heard.values())
