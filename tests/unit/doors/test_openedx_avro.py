"""Records of Open edX's event bus: what they hold, and what is no record of it."""

import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.doors.openedx.avro import GRADES, NOT_FRAMED, TRACKING, UNREADABLE, message_of
from mastery_engine.errors import InvalidInput
from tests.support.openedx import SCHEMA, checked, framed, on_bus

EVENT = checked("2026-01-14T10:30:00Z")
GRADE = {
    "user_id": 4,
    "course": {"course_key": "course-v1:a+b+c", "display_name": "C", "start": None, "end": "2026-01-01T00:00:00"},
    "course_edited_timestamp": "2026-01-01T00:00:00",
    "course_version": "",
    "grading_policy_hash": "x",
    "percent_grade": 0.8,
    "letter_grade": "B",
    "passed_timestamp": "2026-01-01T00:00:00",
}


@pytest.mark.parametrize("kind", [None, TRACKING])
def test_a_tracking_event_is_read_with_and_without_its_kind(kind: str | None) -> None:
    message = message_of(on_bus(EVENT), kind)
    assert message["name"] == TRACKING
    log = message["tracking_log"]
    assert (log["name"], log["timestamp"]) == ("problem_check", EVENT["timestamp"])
    assert json.loads(log["context"]) == EVENT["context"]


def test_fields_that_a_later_schema_adds_at_the_end_are_passed_over() -> None:
    later = deepcopy(SCHEMA)
    later["fields"].append({"name": "added", "type": "long"})
    texts = dict.fromkeys(("name", "timestamp", "data", "context"), "{}")
    value = framed({"tracking_log": texts, "added": 5}, later)
    assert message_of(value, TRACKING)["tracking_log"] == texts
    with pytest.raises(InvalidInput, match="schema"):
        message_of(value, None)


@pytest.mark.parametrize("kind", [None, GRADES])
def test_a_course_grade_is_read(kind: str | None) -> None:
    strings = ("course_edited_timestamp", "course_version", "grading_policy_hash")
    course = {
        "name": "CourseData",
        "type": "record",
        "fields": [
            {"name": "course_key", "type": "string"},
            {"name": "display_name", "type": "string"},
            {"name": "start", "type": ["null", "string"]},
            {"name": "end", "type": ["null", "string"]},
        ],
    }
    inside = {
        "name": "PersistentCourseGradeData",
        "type": "record",
        "fields": [
            {"name": "user_id", "type": "long"},
            {"name": "course", "type": course},
            *[{"name": name, "type": "string"} for name in strings],
            {"name": "percent_grade", "type": "double"},
            {"name": "letter_grade", "type": "string"},
            {"name": "passed_timestamp", "type": "string"},
        ],
    }
    schema = {"name": "CloudEvent", "type": "record", "fields": [{"name": "grade", "type": inside}]}
    assert message_of(framed({"grade": GRADE}, schema), kind) == {"name": GRADES, "grade": GRADE}


def test_another_kind_is_a_message_by_its_name_and_json_is_taken_as_it_is() -> None:
    assert message_of(b"\x00\x00\x00\x00\x01whatever", "org.openedx.learning.xblock.skill.verified.v1") == {
        "name": "org.openedx.learning.xblock.skill.verified.v1"
    }
    assert message_of(json.dumps(EVENT).encode(), None) == EVENT


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, NOT_FRAMED),
        (b"", NOT_FRAMED),
        (b"\x00\x00\x00\x00\x01", NOT_FRAMED),
        (b"\x01" + on_bus(EVENT)[1:], NOT_FRAMED),
        (on_bus(EVENT)[:-1], UNREADABLE),
        (on_bus(EVENT) + b"x", UNREADABLE),
        (b"\x00\x00\x00\x00\x01" + b"\xff" * 40, UNREADABLE),
        (b'{"name": NaN}', "JSON"),
        (b'{"name": "\xff"}', "UTF-8"),
        (b'{"a":' * 100_000, "."),
    ],
)
def test_what_is_no_record_of_the_bus_is_refused(value: bytes | None, message: str) -> None:
    with pytest.raises(InvalidInput, match=message[:40].replace("(", r"\(")):
        message_of(value, None)


@given(st.binary(max_size=200), st.sampled_from([None, TRACKING, GRADES]))
def test_no_bytes_break_it(body: bytes, kind: str | None) -> None:
    try:
        assert isinstance(message_of(b"\x00\x00\x00\x00\x01" + body, kind), dict)
    except InvalidInput as error:
        assert error.message in (NOT_FRAMED, UNREADABLE)
