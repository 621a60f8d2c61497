"""Mutated events: each is let in whole or refused with the reason, and what is let in can be folded."""

import json
import os
import unicodedata
from random import Random
from typing import Any

import msgspec
import pytest

from mastery_engine.domain.events.envelope import read_strictly, unknown_fields
from mastery_engine.domain.events.event import LearningEvent, check_times, decode, encode
from mastery_engine.domain.json_text import without_mark
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, pack, unpack
from mastery_engine.domain.transition import apply
from mastery_engine.errors import InvalidInput
from mastery_engine.ports.event_log import Batch, Record
from mastery_engine.worker.decoding import RecordDecoder
from tests.support.samples import DATA, NOW, Clock, envelope, logged

EVENTS = int(os.environ.get("FUZZ_EVENTS", "10000"))
OF_ONE_STUDENT = 500
RULES = Rules()
TEXTS = [
    "",
    " ",
    "loops",
    " loops\n",
    "gro\u0308\u00dfe",
    "edX/DemoX/2026",
    "course-v1:edX+DemoX+2026",
    "..",
    "%2F",
    "a\x00b",
]
TEXTS += ["\x7f", "\x85", "\u2028", "\u202ea", "\ufeff", "\u200b", "\ud800", "\udfffx", "x" * 100, "x" * 101, "x" * 301]
TEXTS += [
    "e\u0301" * 100,
    "a" + "\u0301\u0316" * 400,
    "👩\u200d💻",
    "ada@school.example",
    "9" * 400,
    "javascript:x",
    "\ufdd0",
]
NUMBERS = [
    0,
    -1,
    1,
    0.5,
    86_400,
    86_401,
    100_001,
    1_795_894_844_948,
    10**40,
    1e308,
    float("nan"),
    float("inf"),
    -0.0,
    True,
]
FRONTS = [b"\xef\xbb\xbf"] * 6 + [
    b"\xef\xbb\xbf\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b" \n",
    b"\x00",
    b"[",
    b"\x1f\x8b",
]


def mutated(chance: Random) -> bytes:
    """An event with some of it replaced, as bytes, some of which are changed too."""
    kind = chance.choice(list(DATA))
    event: dict[str, Any] = envelope(kind, dict(DATA[kind]), metadata={"cohort_id": "py-101"}, source="test")
    for _ in range(chance.choice([0, 1, 1, 2])):
        within = chance.choice([event, event["data"], event["data"], event["metadata"]])
        if not isinstance(within, dict):
            continue
        name = chance.choice([*within, "topic", "exercise_id", "duration", "cohort_id", chance.choice(TEXTS)])
        within[name] = chance.choice([chance.choice(TEXTS), chance.choice(NUMBERS), None, [chance.choice(TEXTS)], {}])
        if name in ("data", "metadata") and not isinstance(within[name], dict):
            break
    raw = json.dumps(event, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    match chance.randrange(8):
        case 0:
            return chance.choice(FRONTS) + raw
        case 1:
            return raw.decode("utf-8", "replace").encode(chance.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig"]))
        case 2:
            place = chance.randrange(len(raw))
            return raw[:place] + chance.randbytes(chance.randrange(3)) + raw[place + 1 :]
        case 3:
            return b'{"specversion": "1.0", "id": "c-1", "source": "s", "type": "t", "data": %b}' % raw
        case _:
            return raw


def taken(value: bytes) -> LearningEvent | InvalidInput:
    """The event by the worker's own reader, or why it is refused."""
    record = Record(0, 0, NOW, "default", None, value, "beside")
    read = RecordDecoder(lambda _: Rules(), Clock()).decode(Batch((record,), {0: 0}, {0: 1}))
    return read.events[0].event if read.events else InvalidInput(read.letters[0].message)


@pytest.mark.fuzz
def test_whatever_an_event_holds_it_is_let_in_whole_or_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastery_engine.domain.events.earlier_rules.STRICT_SINCE", 0)
    chance = Random(int(os.environ.get("FUZZ_SEED", "22")))
    student, let_in, refused = NOBODY, 0, set()
    for number in range(EVENTS):
        if number % OF_ONE_STUDENT == 0:
            assert unpack(pack(student)) == student
            student = NOBODY
        value = mutated(chance)
        event = taken(value)
        if isinstance(event, InvalidInput):
            refused.add(event.message)
            assert event.message.endswith((".", "?")), value
            assert not {"pattern", "regex", "Expected", "^["} & set(event.message.split()), event.message
            continue
        let_in += 1
        assert decode(encode(event), received=NOW) == event, value
        if b'"specversion"' not in value:
            strictly = read_strictly(without_mark(value))
            assert (strictly.data, strictly.metadata or {}) == (event.data, event.metadata), value
            unknown_fields(without_mark(value))
        for text in ids_of(event):
            assert text == unicodedata.normalize("NFC", text).strip() != "", value
            assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in text), value
        fresh = msgspec.structs.replace(event, event_id=f"e-{number}")
        student = apply(student, logged([check_times(fresh, Rules())], first=number), NOW, RULES).student
    assert let_in > EVENTS / 5
    assert len(refused) > 20


def ids_of(event: LearningEvent) -> list[str]:
    data = msgspec.to_builtins(event.data)
    names = [name for name in data if name == "topic" or (name.endswith("_id") and name != "event_id")]
    cohort_id = event.metadata.get("cohort_id")
    return [
        *[data[name] for name in names],
        *data.get("skills", ()),
        *([str(cohort_id)] if cohort_id is not None else ()),
    ]
