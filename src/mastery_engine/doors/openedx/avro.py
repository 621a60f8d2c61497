"""Records of Open edX's event bus on Kafka: Avro as Confluent frames it, a zero byte and the schema's number first.

The number is that of the site's own registry, which nobody here needs to reach: the two kinds of records that say
something of a student have one schema each (openedx-events, ``v1``), written down here, and the header ``ce_type`` says
which it is. Fields that a later schema adds at the end are passed over. A bare JSON object is taken as well.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import msgspec
from fastavro import parse_schema, schemaless_reader

from mastery_engine.domain.faults import malformed
from mastery_engine.errors import InvalidInput

HEAD = 5  # bytes: the mark and the number
MARK = b"\x00"
TRACKING = "org.openedx.analytics.tracking.event.emitted.v1"
GRADES = "org.openedx.learning.course.persistent_grade_summary.changed.v1"
NOT_FRAMED = "The record is neither Avro in Confluent's frame (a zero byte and a schema's number) nor a JSON object."
UNREADABLE = "The record is not of the Avro schema that its type has, or is cut short."


def _record(called: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": called, "fields": [{"name": one, "type": kind} for one, kind in fields.items()]}


_OPTIONAL = ["null", "string"]
_COURSE = _record("CourseData", course_key="string", display_name="string", start=_OPTIONAL, end=_OPTIONAL)
_SCHEMAS: Mapping[str, Any] = {
    kind: parse_schema(_record(f"{kind}.CloudEvent", **fields))
    for kind, fields in {
        TRACKING: {
            "tracking_log": _record(
                "TrackingLogData", name="string", timestamp="string", data="string", context="string"
            )
        },
        GRADES: {
            "grade": _record(
                "PersistentCourseGradeData",
                user_id="long",
                course=_COURSE,
                course_edited_timestamp="string",
                course_version="string",
                grading_policy_hash="string",
                percent_grade="double",
                letter_grade="string",
                passed_timestamp="string",
            )
        },
    }.items()
}


def message_of(value: bytes | None, kind: str | None) -> dict[str, Any]:
    """The message in a record whose header says that it is of this ``kind``; None where it says nothing.

    A record of a kind that is not known is a message by that ``name`` and nothing else. Raises InvalidInput.
    """
    if value is not None and value[:1] == b"{":
        return _json(value)
    if value is None or len(value) <= HEAD or value[:1] != MARK:
        raise InvalidInput(NOT_FRAMED)
    if kind is not None and kind not in _SCHEMAS:
        return {"name": kind}
    for tried in (kind,) if kind is not None else _SCHEMAS:
        message = _avro(value[HEAD:], _SCHEMAS[tried], is_whole=kind is None)
        if message is not None:
            return {"name": tried, **message}
    raise InvalidInput(UNREADABLE)


def _avro(body: bytes, schema: Any, *, is_whole: bool) -> dict[str, Any] | None:
    """What a body holds by a schema, to its last byte where ``is_whole``; None where it does not fit."""
    stream = BytesIO(body)
    try:
        message = schemaless_reader(stream, schema, None)
    except (EOFError, ValueError, IndexError, OverflowError, MemoryError):
        return None
    return None if not isinstance(message, dict) or (is_whole and stream.read(1)) else message


def _json(value: bytes) -> dict[str, Any]:
    try:
        value.decode()
        return msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, source=value) from None
