"""What other services hear."""

import itertools
from typing import Any

import msgspec

from mastery_engine.domain.evidence.moves import Moved, MovedBy
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.results import (
    EVENTS_TOPIC,
    RESULTS_TOPIC,
    Result,
    ThresholdReached,
    Updated,
    event_type,
    message,
    result_id,
    topic_of,
)
from tests.support.samples import NOW

UPDATED = Updated(
    "school-1", "ada", NOW, ("e-1", "e-2"), 0.862, 0.123456, "proficient", (0.85, None, 0.123449, 0.99999), 0.7
)
REACHED = ThresholdReached("school-1", "ada", NOW + 1, ("e-1", "e-2"), "proficient", "beginner", 0.862, 0.123456)


def sent(result: Updated | ThresholdReached) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(msgspec.json.encode(message(result)))
    return found


def test_an_update_says_all_that_the_contract_lists() -> None:
    assert sent(UPDATED) == {
        "event_id": result_id(UPDATED),
        "event_type": "mastery.updated",
        "timestamp": "2026-01-14T10:30:00Z",
        "student_id": "ada",
        "tenant": "school-1",
        "course_id": "default",
        "caused_by": ["e-1", "e-2"],
        "mastery_score": 0.862,
        "previous_score": 0.1235,
        "level": "proficient",
        "components": {"completion": 0.85, "quiz": 0.0, "quality": 0.1234, "consistency": 1.0},
        "coverage": 0.7,
        "recommendations": [],
    }


def test_an_update_says_what_changed_and_why() -> None:
    moved = (
        Moved(1, -0.06, (MovedBy("quiz", "loops", 2, -0.0599999),)),
        Moved(3, 0.0123456789, (MovedBy("active", None, 0, 0.0123456789),)),
    )
    told = sent(msgspec.structs.replace(UPDATED, moved=moved))
    assert told["changes"] == {
        "change": -0.047654,
        "contributions": [
            {
                "component": "quiz",
                "change": -0.06,
                "causes": [{"kind": "quiz", "change": -0.06, "events": 2, "topic": "loops"}],
            },
            {"component": "consistency", "change": 0.012346, "causes": [{"kind": "active", "change": 0.012346}]},
        ],
    }
    assert sent(msgspec.structs.replace(UPDATED, moved=()))["changes"] == {"change": 0.0, "contributions": []}


def test_a_threshold_is_flat() -> None:
    assert sent(REACHED) == {
        "event_id": result_id(REACHED),
        "event_type": "mastery.threshold.reached",
        "timestamp": "2026-01-14T10:30:00.000001Z",
        "student_id": "ada",
        "tenant": "school-1",
        "course_id": "default",
        "caused_by": ["e-1", "e-2"],
        "mastery_score": 0.862,
        "previous_score": 0.1235,
        "level": "proficient",
        "previous_level": "beginner",
    }


def test_updates_and_events_have_a_topic_each() -> None:
    assert (
        (topic_of(UPDATED), topic_of(REACHED)) == (RESULTS_TOPIC, EVENTS_TOPIC) == ("mastery.results", "mastery.events")
    )
    assert (event_type(UPDATED), event_type(REACHED)) == ("mastery.updated", "mastery.threshold.reached")


def test_the_id_is_the_kinds_the_students_the_courses_the_last_events_and_the_folds() -> None:
    change = msgspec.structs.replace
    updated, reached = (change(result, named_by_fold=True) for result in (UPDATED, REACHED))
    assert result_id(change(updated, score=0.1, level="expert", caused_by=("e-2",))) == result_id(updated)
    others: list[Result] = [
        updated,
        reached,
        change(updated, tenant="school-2"),
        change(updated, student_id="bob"),
        change(updated, caused_by=("e-2", "e-1")),
        change(updated, course_id="rust"),
        change(reached, course_id="rust"),
        change(updated, at=NOW + 9),
        UPDATED,
        change(UPDATED, course_id="rust"),
    ]
    for one, other in itertools.combinations(others, 2):
        assert result_id(one) != result_id(other)


def test_a_result_that_an_older_engine_left_keeps_the_id_that_it_had() -> None:
    assert result_id(UPDATED) == derived_id("mastery.updated", "school-1", "ada", "e-2")
    in_rust = msgspec.structs.replace(UPDATED, course_id="rust", at=NOW + 9)
    assert result_id(in_rust) == derived_id("mastery.updated", "school-1", "ada", "e-2", "rust")


def test_a_result_of_an_engine_that_knew_no_courses_is_of_the_default_one_and_not_named_by_its_fold() -> None:
    for result in (UPDATED, REACHED):
        without: list[Any] = msgspec.to_builtins(result)[:-2]
        assert msgspec.convert(without, type(result)) == result
        assert sent(msgspec.structs.replace(result, course_id="rust"))["course_id"] == "rust"


def test_a_result_that_waits_is_kept_as_it_is() -> None:
    for result in (UPDATED, REACHED):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=Updated | ThresholdReached) == result
