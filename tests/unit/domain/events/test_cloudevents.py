"""Events that come in a CloudEvent's envelope, as Dapr and others publish them."""

import json
from typing import Any

import pytest

from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.traceparent import trace_of
from tests.support.samples import HELP, envelope, raw

EVENT = envelope("help", HELP, message="größe")
OUTSIDE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "outer-1",
    "source": "dapr",
    "type": "com.dapr.event.sent",
    "datacontenttype": "application/json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "data": EVENT,
}


def test_the_event_inside_and_the_id_outside() -> None:
    inside, event_id = unwrap(raw(OUTSIDE))
    assert json.loads(inside) == EVENT
    assert event_id == "outer-1"


def test_without_an_id_there_is_none() -> None:
    inside, event_id = unwrap(raw({name: value for name, value in OUTSIDE.items() if name != "id"}))
    assert (json.loads(inside), event_id) == (EVENT, None)


@pytest.mark.parametrize("data", [None, 7, "text", [], {}])
def test_whatever_is_inside_comes_out_for_the_decoder_to_judge(data: Any) -> None:
    assert unwrap(raw({**OUTSIDE, "data": data})) == (raw(data), "outer-1")


@pytest.mark.parametrize(
    "value",
    [
        raw(EVENT),
        raw({**EVENT, "metadata": {"specversion": "1.0"}})[:-1],
        raw({name: value for name, value in OUTSIDE.items() if name != "data"}),
        raw({**OUTSIDE, "specversion": 1}),
        raw({**OUTSIDE, "id": 7}),
        raw([OUTSIDE]),
        b'"specversion"',
        b'{"specversion":' + b"[" * 100_000,
        b'{"specversion":"\xff"}',
        b"",
    ],
    ids=range(10),
)
def test_what_is_no_cloudevent_comes_back_as_it_is(value: bytes) -> None:
    assert unwrap(value) == (value, None)


TRACE, OTHER = OUTSIDE["traceparent"], "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("headers", "value", "expected"),
    [
        ({"traceparent": OTHER}, raw(OUTSIDE), OTHER),
        ({"traceparent": "malformed", "ce_traceparent": OTHER}, raw(OUTSIDE), OTHER),
        ({"traceparent": "malformed"}, raw(OUTSIDE), TRACE),
        ({}, raw(OUTSIDE), TRACE),
        ({}, raw({**OUTSIDE, "traceparent": "malformed"}), None),
        ({}, raw({**OUTSIDE, "traceparent": 7}), None),
        ({}, raw({"traceparent": TRACE, "data": EVENT}), None),
        ({}, raw(EVENT), None),
        ({}, b'"specversion""traceparent"\xff', None),
        ({}, None, None),
    ],
    ids=range(10),
)
def test_the_trace_is_that_of_the_headers_else_of_the_cloudevent(
    headers: dict[str, str], value: bytes | None, expected: str | None
) -> None:
    assert trace_of(headers, value) == expected
