"""The id of a record that came without one."""

import re

from mastery_engine.domain.envelopes import EVENT_ID
from mastery_engine.logs.kafka_dead import origin_of


def test_any_topics_id_makes_an_events_id() -> None:
    made = {
        f"{origin_of(log_id)}:5:17"
        for log_id in ("L+XeWVBWTZ6t1ffkZv8/Lg", "L-XeWVBWTZ6t1ffkZv8_Lg", "AAAAAAAAAAAAAAAAAAAAAA")
    }
    assert all(re.fullmatch(EVENT_ID, one) for one in made)
    assert len(made) == 2
