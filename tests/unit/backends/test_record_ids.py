"""The id of a record that came without one."""

import re

from mastery_engine.backends.kafka.records import origin_of
from mastery_engine.domain.events.envelope import EVENT_ID


def test_any_topics_id_makes_an_events_id() -> None:
    made = {
        f"{origin_of(log_id)}:5:17"
        for log_id in ("L+XeWVBWTZ6t1ffkZv8/Lg", "L-XeWVBWTZ6t1ffkZv8_Lg", "AAAAAAAAAAAAAAAAAAAAAA")
    }
    assert all(re.fullmatch(EVENT_ID, event_id) for event_id in made)
    assert len(made) == 2
