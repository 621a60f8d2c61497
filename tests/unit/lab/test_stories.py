"""The stories of the demo's class: events alone, from which the engine finds what is told of each."""

from collections import defaultdict

import msgspec
import pytest

from mastery_engine.domain.events.event import LearningEvent, check_times, decode, encode
from mastery_engine.domain.events.kinds import Execution
from mastery_engine.domain.moments import DAY, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.lab.simulate.classes import LivingClass, past
from mastery_engine.lab.simulate.stories import (
    AWAY_DAYS,
    NEW_SINCE,
    STORIES,
    STUCK_DAYS,
    class_with_stories,
    names_of,
)
from tests.support.samples import NOW

ID = {story.code: story.student_id for story in STORIES}
MIDNIGHT = day_of(NOW) * DAY + 1


def told(until: Micros = NOW, seed: int = 1) -> dict[str, list[LearningEvent]]:
    events: defaultdict[str, list[LearningEvent]] = defaultdict(list)
    for event in past(class_with_stories(36, seed, until), days=84, seed=seed, until=until):
        events[event.student_id].append(event)
    return dict(events)


def days(events: list[LearningEvent], until: Micros) -> list[int]:
    """How many days ago these events were."""
    return sorted({day_of(until) - day_of(event.at) for event in events})


@pytest.mark.parametrize("until", [NOW, MIDNIGHT])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_days_of_each_story_fit_the_moment(until: Micros, seed: int) -> None:
    events = told(until, seed)
    assert len(events) == 36
    assert len(days(events[ID["soars"]], until)) > 50
    assert days(events[ID["vanished"]], until)[0] == AWAY_DAYS
    assert days(events[ID["crams"]], until) == [ago for ago in range(84) if ago % 14 in (1, 2)]
    assert until - NEW_SINCE < events[ID["new"]][0].at <= until
    stuck = [event for event in events[ID["stuck"]] if day_of(event.at) >= day_of(until) - STUCK_DAYS]
    assert {1, STUCK_DAYS} <= set(days(stuck, until))
    assert {event.data.outcome for event in stuck if isinstance(event.data, Execution)} == {"error"}


def test_the_same_seed_and_moment_tell_the_same_and_the_engine_takes_it() -> None:
    events = told()
    assert events == told()
    for event in (one for story in STORIES for one in events[story.student_id]):
        received = msgspec.structs.replace(event, received=NOW)
        assert check_times(decode(encode(event), received=NOW), Rules()) == received


def test_everybody_has_a_name_of_their_own() -> None:
    class_ = class_with_stories(36, 1, NOW)
    names = names_of(class_)
    assert list(names) == [pupil.student_id for pupil in class_]
    assert len(set(names.values())) == len(class_)


def test_who_is_away_stays_away_and_who_is_stuck_stays_stuck() -> None:
    class_ = class_with_stories(36, 1, NOW)
    past(class_, days=84, seed=1, until=NOW)
    living = LivingClass(class_, class_[0].chance)
    events = [living.next(NOW + number, f"e-{number}") for number in range(3_000)]
    assert {ID["vanished"], ID["crams"]}.isdisjoint(event.student_id for event in events)
    stuck = [event.data for event in events if event.student_id == ID["stuck"]]
    assert {data.outcome for data in stuck if isinstance(data, Execution)} == {"error"}
