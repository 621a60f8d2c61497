"""The contracts under specs/ are what the code says, and the topics' messages are what is really taken and sent."""

import json
import re
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from mastery_engine.backends.kafka.topic_plans import AGING
from mastery_engine.domain.events.kinds import KINDS
from mastery_engine.domain.results import message
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY
from mastery_engine.domain.transition import apply
from mastery_engine.responses.asyncapi import document, event_schemas
from mastery_engine.service import create_app
from mastery_engine.settings import Settings
from tests.support.processes import ROOT
from tests.support.samples import DATA, NOW, envelope, given, logged

CONTRACTS = ROOT / "specs" / "003-mastery-engine" / "contracts"
ASYNCAPI = document()


def committed(name: str) -> Any:
    return json.loads((CONTRACTS / name).read_text())


def test_the_committed_contracts_are_the_codes() -> None:
    advice = "make contracts writes them anew"
    assert committed("openapi.json") == create_app(Settings()).openapi(), advice
    assert committed("asyncapi.json") == document(), advice
    events = {file.stem: json.loads(file.read_text()) for file in (CONTRACTS / "events").glob("*.json")}
    assert events == event_schemas(), advice


def test_every_call_has_a_short_name_of_its_own_by_which_clients_call_it() -> None:
    paths = committed("openapi.json")["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+){0,2}", name)] == []
    assert len(names) == len(set(names))
    promised = "query calculate ingest ingest_batch event_status next_week history skills cohort recommendations"
    assert {*promised.split(), "consent", "set_consent", "audit"} <= set(names)


def test_every_topic_is_described() -> None:
    """But for the one on which the engine keeps consent for itself."""
    assert {channel["address"] for channel in ASYNCAPI["channels"].values()} == set(AGING)
    assert ASYNCAPI["asyncapi"].startswith("3.")


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        inner = [one for part in value.values() for one in references(part)]
        return [value["$ref"], *inner] if isinstance(value.get("$ref"), str) else inner
    return [one for part in value for one in references(part)] if isinstance(value, list) else []


def test_all_references_lead_somewhere() -> None:
    found = references(ASYNCAPI)
    assert len(found) > 20
    for reference in found:
        place: Any = ASYNCAPI
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


@pytest.mark.parametrize("kind", DATA)
def test_the_schema_of_a_kind_takes_its_events_and_no_others(kind: str) -> None:
    schema = jsonschema_rs.validator_for(event_schemas()[kind])
    schema.validate(envelope(kind, DATA[kind]))
    for bad in (envelope(kind, {**DATA[kind], "surprise": 1}), envelope("dance", DATA[kind]), envelope(kind, [])):
        assert not schema.is_valid(bad)
    assert DATA.keys() == KINDS.keys()


def test_what_is_sent_fits_its_schema() -> None:
    after = apply(NOBODY, logged([given("e-1", quiz=1.0, completion=1.0)]), NOW, Rules()).student
    sent = [message(one.result) for one in after.outbox]
    assert {one.event_type for one in sent} == {"mastery.updated", "mastery.threshold.reached"}
    schema = {"$ref": "#/components/schemas/Message", "components": ASYNCAPI["components"]}
    validator = jsonschema_rs.validator_for(schema)
    for one in sent:
        validator.validate(json.loads(msgspec.json.encode(one)))
