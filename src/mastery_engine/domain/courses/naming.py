"""What an event means in its course: the skills of its item, and the course's own names for skills and topics."""

from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.kinds import Answer, Data


def as_in_course(
    events: Sequence[Logged], skills_of_items: Mapping[str, tuple[str, ...]], named: Mapping[str, str]
) -> list[Logged]:
    """The events with what their course says.

    An answer that names no skills has those of its item; an alias of a skill (``named``) is the skill itself.
    """
    return [_with_data(logged, _data(logged.event.data, skills_of_items, named)) for logged in events]


def _data(data: Data, skills_of_items: Mapping[str, tuple[str, ...]], named: Mapping[str, str]) -> Data:
    if isinstance(data, Answer):
        skills = data.skills or skills_of_items.get(data.item_id, ())
        known = tuple(dict.fromkeys([named.get(skill, skill) for skill in skills]))
        return data if known == data.skills else msgspec.structs.replace(data, skills=known)
    topic: str | None = getattr(data, "topic", None)
    return data if topic is None or topic not in named else msgspec.structs.replace(data, topic=named[topic])


def _with_data(logged: Logged, data: Data) -> Logged:
    event = logged.event
    if data is event.data:
        return logged
    changed: LearningEvent = msgspec.structs.replace(event, data=data)
    return Logged(changed, logged.partition, logged.offset)
