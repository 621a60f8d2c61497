"""The answers to items that the log holds, as far as they count."""

from collections import defaultdict

from mastery_engine.domain.events import Logged
from mastery_engine.domain.kinds import Answer
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey, key_of
from mastery_engine.logs.base import Batch
from mastery_engine.service import Mastery
from mastery_engine.stream.reading import Reading


async def answers_of(mastery: Mastery) -> list[list[tuple[Micros, Answer]]]:
    """Each student's answers with their moments, in order; each once, and none that consent does not allow.

    Raises Unavailable.
    """
    reading = Reading(mastery.rules.retention_days, mastery.clock)
    found: dict[StudentKey, list[Logged]] = defaultdict(list)
    async for page in mastery.log.pages():
        for one in reading.read(Batch(tuple(page), {}, {})).events:
            if isinstance(one.event.data, Answer):
                found[key_of(one.event)].append(one)
    await mastery.consents.refresh()
    students = mastery.consents.sift(found)
    return [_once(students[key]) for key in sorted(students)]


def _once(events: list[Logged]) -> list[tuple[Micros, Answer]]:
    """The answers among events, the repeats left out."""
    unique = {one.event.event_id: one.event for one in events}
    answers = [(event.at, event.event_id, event.data) for event in unique.values() if isinstance(event.data, Answer)]
    return [(at, answer) for at, _, answer in sorted(answers, key=lambda one: one[:2])]
