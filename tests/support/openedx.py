"""What Open edX's event bus writes: tracking events as Avro in Confluent's frame, as its own producer encodes them."""

import io
import json
from typing import Any

import fastavro

TRACKING = "org.openedx.analytics.tracking.event.emitted.v1"
COURSE = "course-v1:edX+DemoX+Demo"
SCHEMA: dict[str, Any] = {
    "name": "CloudEvent",
    "type": "record",
    "namespace": TRACKING,
    "fields": [
        {
            "name": "tracking_log",
            "type": {
                "name": "TrackingLogData",
                "type": "record",
                "fields": [{"name": name, "type": "string"} for name in ("name", "timestamp", "data", "context")],
            },
        }
    ],
}


def framed(record: Any, schema: Any = SCHEMA, number: int = 7) -> bytes:
    """A record as Confluent's serializer writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return b"\x00" + number.to_bytes(4, "big") + out.getvalue()


def checked(at: str, number: int = 1, *, username: str = "ada", grade: float = 1, of: float = 1) -> dict[str, Any]:
    """The server's word on an answered problem, as the log has it; ``at`` is RFC 3339."""
    block = f"block-v1:edX+DemoX+Demo+type@problem+block@{number:032x}"
    return {
        "name": "problem_check",
        "timestamp": at,
        "data": {
            "problem_id": block,
            "success": "correct" if grade == of else "incorrect",
            "grade": grade,
            "max_grade": of,
            "attempts": 1,
            "submission": {
                f"{number:032x}_2_1": {"correct": grade == of, "question": "?", "response_type": "choiceresponse"}
            },
        },
        "context": {
            "course_id": COURSE,
            "username": username,
            "event_source": "server",
            "module": {"usage_key": block},
        },
    }


def on_bus(event: dict[str, Any]) -> bytes:
    """A tracking event as the event bus carries it."""
    texts = {"data": json.dumps(event["data"]), "context": json.dumps(event["context"])}
    return framed({"tracking_log": {**event, **texts}})
