"""The simulated class: the same seed is the same class, and what it does is what the engine takes."""

from collections import defaultdict
from random import Random

import msgspec
import pytest

from mastery_engine.domain.events.event import LearningEvent, check_times, decode, encode
from mastery_engine.domain.events.kinds import Completion
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.lab.simulate.classes import BEST_KNOWN, BEST_KNOWN_EVERY, TOPICS, LivingClass, Pupil, past, pupils
from tests.support.samples import NOW, TODAY

DAYS = 30


def simulated(*, students: int = 30, seed: int = 1, days: int = DAYS) -> list[LearningEvent]:
    return past(pupils(students, seed), days=days, seed=seed, until=NOW)


def test_the_same_seed_is_the_same_class() -> None:
    assert simulated() == simulated()


def test_another_seed_is_another_class() -> None:
    ids = {event.event_id for event in simulated(seed=2)}
    assert ids.isdisjoint(event.event_id for event in simulated(seed=1))


def test_every_event_is_one_that_the_engine_takes() -> None:
    events = simulated()
    for event in events:
        received = msgspec.structs.replace(event, received=NOW)
        assert check_times(decode(encode(event), received=NOW), Rules()) == received
    assert len({event.event_id for event in events}) == len(events)


def test_it_looks_like_a_class() -> None:
    events = simulated()
    kinds = {event.event_type for event in events}
    assert kinds == {"completion", "quiz", "quality", "consistency", "answer", "execution", "help"}
    assert {event.metadata["cohort_id"] for event in events} == {"py-101"}
    assert len({event.student_id for event in events}) == 30
    assert 1_000 < len(events) < 10_000


def test_its_events_are_in_order_and_within_its_days() -> None:
    times = [event.at for event in simulated()]
    assert times == sorted(times)
    assert times[0] >= (TODAY - DAYS + 1) * DAY
    assert times[-1] <= NOW


@pytest.mark.parametrize("students", [1, 2, 3, 50])
def test_it_has_the_students_asked_for_and_the_best_known_one_first(students: int) -> None:
    ids = [pupil.student_id for pupil in pupils(students, 1)]
    assert ids[0] == BEST_KNOWN
    assert len(set(ids)) == students


def test_running_totals_never_fall() -> None:
    done: defaultdict[tuple[str, str | None], int] = defaultdict(int)
    for event in simulated(days=80):
        if isinstance(event.data, Completion):
            key = (event.student_id, event.data.topic)
            assert event.data.completed_exercises > done[key]
            done[key] = event.data.completed_exercises
    assert len({topic for _, topic in done}) == len(TOPICS)


def test_practice_helps_and_time_away_does_not() -> None:
    pupil = Pupil("student_1", Random(1))
    before = pupil.knows("variables", TODAY)
    for _ in range(20):
        list(pupil.sitting(TODAY))
    after = pupil.knows("variables", TODAY)
    assert after > before
    assert before < pupil.knows("variables", TODAY + 60) < after


def test_a_class_goes_on_from_what_was_done_before() -> None:
    pupil = Pupil("student_1", Random(1))
    pupil.resume({"basics": (11, 12), "no-topic-of-this-course": (3, 4)})
    totals = [
        data.completed_exercises
        for _ in range(20)
        for _, data in pupil.sitting(TODAY)
        if isinstance(data, Completion) and data.topic == "basics"
    ]
    assert totals == [12]


def test_the_best_known_student_is_never_away_for_long() -> None:
    living = LivingClass(pupils(30, 1), Random(1))
    events = [living.next(NOW + number, f"e-{number}") for number in range(400)]
    assert {event.student_id for event in events[::BEST_KNOWN_EVERY]} == {BEST_KNOWN}
    assert len({event.student_id for event in events}) > 20
    assert [event.at for event in events] == [NOW + number for number in range(400)]
    for event in events:
        assert decode(encode(event), received=event.received) == event
