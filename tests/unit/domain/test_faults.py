"""A fault is said in plain words: no library's own wording reaches a user."""

from typing import Annotated, Literal

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mastery_engine.domain.faults import malformed, plain_words, sentence


class Row(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    days: Annotated[list[int], msgspec.Meta(max_length=2)] = []


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    number: Annotated[int, Field(ge=1)]
    color: Literal["red", "blue"] = "red"

    @field_validator("number")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


@pytest.mark.parametrize(
    ("body", "message", "field"),
    [
        (b"{}", "name is required.", "name"),
        (b'{"name": 1}', "name must be a text, not a whole number.", "name"),
        (b'{"name": ""}', "name must have at least 1 character.", "name"),
        (b'{"name": "a", "share": 2}', "share must be at most 1.", "share"),
        (b'{"name": "a", "days": [1.5]}', "days[0] must be a whole number, without a decimal point.", "days[0]"),
        (b'{"name": "a", "days": [1, 2, 3]}', "days must have at most 2 items.", "days"),
        (b'{"name": "a", "nam": 1}', "nam is not a known field.", "nam"),
        (b"[]", "The value must be an object, not a list.", None),
        (b"{", "This is not JSON: it ends too early.", None),
        (b"nope", "This is not JSON: invalid character at byte 4.", None),
        (b'{"name": "a", "share": 1e400}', "share is a number that is too large.", "share"),
    ],
)
def test_what_a_decoder_does_not_take_is_said_with_the_field(body: bytes, message: str, field: str | None) -> None:
    with pytest.raises(msgspec.DecodeError) as refused:
        msgspec.json.decode(body, type=Row)
    fault = malformed(refused.value)
    assert (fault.message, fault.field) == (message, field)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "number is required"),
        ('{"number": "x"}', "number must be a whole number"),
        ('{"number": 0}', "number must be at least 1"),
        ('{"number": 3}', "number must be even"),
        ('{"number": 2, "color": "green"}', "color must be 'red' or 'blue'"),
        ('{"number": 2, "colour": "red"}', "colour is not a known field"),
        ('{"number": ' + "[" * 300 + "]" * 300 + "}", "The JSON is nested too deeply"),
    ],
)
def test_what_a_model_refuses_is_said_with_the_field(body: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Form.model_validate_json(body)
    fault = refused.value.errors()[0]
    assert sentence(fault["msg"], ".".join(map(str, fault["loc"]))) == message


def test_a_time_without_an_offset_is_told_what_to_have() -> None:
    fault = malformed(msgspec.ValidationError("Expected `datetime` with a timezone component - at `$.timestamp`"))
    assert fault.message == "timestamp must have Z or an offset, as in 2026-01-14T10:30:00Z."


def test_a_message_that_is_not_known_stays() -> None:
    assert plain_words("something else") == "something else"
    assert sentence("something else", "name") == "Something else"
