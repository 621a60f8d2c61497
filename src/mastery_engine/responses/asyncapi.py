"""The AsyncAPI 3 document of the topics, made from the types that are decoded and published."""

import json
from typing import Any

import msgspec

from mastery_engine import __version__
from mastery_engine.domain.events.envelope import Envelope
from mastery_engine.domain.events.kinds import ALIASES, KINDS
from mastery_engine.domain.results import EVENTS_TOPIC, RESULTS_TOPIC, Message
from mastery_engine.ports.event_log import REQUESTS_TOPIC

DEAD_LETTERS_TOPIC = "mastery.dlq"
JSON = "application/json"
REF = "#/components/schemas/{name}"


def event_schemas() -> dict[str, Any]:
    """The JSON schema of each kind of learning event, by its name; each is complete in itself."""
    return {name: _event(name, "#/$defs/{name}", whole=True) for name in KINDS}


def _event(name: str, ref: str, *, whole: bool = False) -> dict[str, Any]:
    kind = KINDS[name]
    _, parts = msgspec.json.schema_components([Envelope, kind], ref_template=ref)
    envelope = parts.pop("Envelope")["properties"]
    schema = {
        "title": kind.__name__,
        "description": (kind.__doc__ or "").strip(),
        "type": "object",
        "required": ["event_type", "student_id", "data"],
        "properties": {
            **envelope,
            "event_type": {"enum": [name, *(alias for alias, of in ALIASES.items() if of == name)]},
            "data": {"$ref": ref.format(name=kind.__name__)},
        },
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    found: dict[str, Any] = json.loads(json.dumps({**head, **schema, "$defs": parts} if whole else schema))
    return found


def _header(description: str) -> dict[str, str]:
    return {"type": "string", "description": description}


_SENT = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": _header("The result's id, derived from the event's, so that repeats can be recognised."),
    "ce_source": _header("The engine."),
    "ce_type": _header("The same as event_type in the value."),
    "ce_time": _header("The same as timestamp in the value."),
    "ce_subject": _header("The student."),
    "tenant": _header("The school or customer."),
    "traceparent": _header("W3C Trace Context, if the event that caused the result had one."),
    "content-type": {"const": JSON},
}
_TAKEN = {
    "tenant": _header("The school or customer; by default: default."),
    "event_id": _header("The event's id, if the value has none; ce_id is used, too."),
    "traceparent": _header("W3C Trace Context, if the sender has one."),
}
_DEAD_LETTER = {
    "dlq.topic": _header("The topic of the record."),
    "dlq.partition": _header("The partition of the record."),
    "dlq.offset": _header("The offset of the record."),
    "dlq.code": _header("The reason, as a code for programs."),
    "dlq.message": _header("The reason, as a sentence for people."),
    "dlq.attempts": _header("How often processing was tried."),
    "dlq.at": _header("When the record became a dead letter."),
    "dlq.received": _header("When the record was received."),
}


_EVENTS = ["ThresholdReached", "StruggleDetected", "PathRecommended"]


def _message(name: str, payload: dict[str, Any], headers: dict[str, Any], summary: str) -> dict[str, Any]:
    return {
        "name": name,
        "summary": summary,
        "contentType": JSON,
        "headers": {"type": "object", "properties": headers},
        "payload": payload,
    }


def _channel(topic: str, description: str, messages: list[str]) -> dict[str, Any]:
    return {
        "address": topic,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}},
    }


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def document() -> dict[str, Any]:
    """The document, from the engine's point of view: it receives requests, and sends everything else."""
    _, schemas = msgspec.json.schema_components([Envelope, Message, *KINDS.values()], ref_template=REF)
    del schemas["Envelope"]
    requests = {kind.__name__: _event(name, REF) for name, kind in KINDS.items()}
    messages = {
        f"{name}Requested": _message(f"{name}Requested", schema, _TAKEN, schema["description"].partition("\n")[0])
        for name, schema in requests.items()
    }
    message = {"$ref": REF.format(name="Message")}
    messages["MasteryUpdated"] = _message("mastery.updated", message, _SENT, "A student's mastery after new events.")
    messages["ThresholdReached"] = _message("mastery.threshold.reached", message, _SENT, "A student's level changed.")
    messages["StruggleDetected"] = _message("struggle.detected", message, _SENT, "A student is stuck on a topic.")
    messages["PathRecommended"] = _message(
        "learning.path.recommended", message, _SENT, "A student's learning path has changed."
    )
    messages["DeadLetter"] = _message(
        "dead letter", {}, _DEAD_LETTER, "A record as it came, with the reason in the headers."
    )
    made = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Mastery Engine",
            "version": __version__,
            "description": "Learning events in, each student's mastery out. Keys are student ids.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": JSON,
        "servers": {"kafka": {"host": "kafka:9092", "protocol": "kafka"}},
        "channels": {
            "requests": _channel(
                REQUESTS_TOPIC,
                "Learning events, bare or as CloudEvents in structured mode.",
                [name for name in messages if name.endswith("Requested")],
            ),
            "results": _channel(RESULTS_TOPIC, "A student's mastery after each batch of events.", ["MasteryUpdated"]),
            "events": _channel(EVENTS_TOPIC, "Changes that other services may act on.", _EVENTS),
            "deadLetters": _channel(DEAD_LETTERS_TOPIC, "Records that could not be processed.", ["DeadLetter"]),
        },
        "operations": {
            "takeEvents": _operation("receive", "requests", "Fold learning events into the students' documents."),
            "sendResults": _operation("send", "results", "Publish each student's new mastery."),
            "sendEvents": _operation("send", "events", "Publish new levels, struggles and learning paths."),
            "sendDeadLetters": _operation("send", "deadLetters", "Store what could not be processed, with the reason."),
        },
        "components": {"schemas": schemas, "messages": messages},
    }
    found: dict[str, Any] = json.loads(json.dumps(made))
    return found
