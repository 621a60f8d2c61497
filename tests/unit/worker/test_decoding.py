"""What the worker reads of a record: marks before it, and the words of its dead letter."""

import json

import pytest

from mastery_engine.domain.events.earlier_rules import STRICT_SINCE
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import Flooded
from mastery_engine.ports.event_log import Batch, Record
from mastery_engine.worker.decoding import DecodedBatch, RecordDecoder
from mastery_engine.worker.flood import counted
from tests.support.samples import NOW, Clock, envelope, raw

MARK = b"\xef\xbb\xbf"
QUIZ = raw(envelope("quiz", {"total_questions": 10, "correct_answers": 9}))
CLOUD = b'{"specversion": "1.0", "id": "c-1", "source": "s", "type": "t", "data": %b}' % QUIZ


def decoded(value: bytes) -> DecodedBatch:
    record = Record(0, 0, NOW, "default", b"ada", value, "")
    return RecordDecoder(lambda _: Rules(), Clock()).decode(Batch((record,), {0: 0}, {0: 1}))


def event_in(value: bytes) -> LearningEvent:
    batch = decoded(value)
    assert not batch.letters
    return batch.events[0].event


@pytest.mark.parametrize("value", [QUIZ, CLOUD], ids=["bare", "cloudevent"])
def test_a_record_may_begin_with_a_byte_order_mark(value: bytes) -> None:
    assert event_in(MARK + value) == event_in(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (QUIZ.decode().encode("utf-16"), "The text is UTF-16 or UTF-32: save or send it as UTF-8."),
        (QUIZ.replace(b'"ada"', b'"\\ud800"'), "one half of a surrogate pair"),
        (
            QUIZ.replace(b'"ada"', b'"ada@school.example"'),
            "student_id may hold only A-Z, a-z, 0-9, _ and -, at least one and at most 50 characters; to keep",
        ),
        (QUIZ.replace(b'"e-1"', b'"e 1"'), "event_id may hold only A-Z"),
    ],
)
def test_a_dead_letter_says_what_to_do(value: bytes, said: str) -> None:
    (letter,) = decoded(value).letters
    assert said in letter.message
    assert letter.code == "VALIDATION_ERROR"


def test_whose_dead_letter_it_was_is_known_behind_a_mark_too() -> None:
    (letter,) = decoded(MARK + json.dumps({"student_id": "ada", "event_id": "e-7"}).encode()).letters
    assert (letter.student_id, letter.event_id) == ("ada", "e-7")


def test_a_backlog_of_what_an_earlier_engine_took_is_no_flood() -> None:
    """The same records count as unreadable where they were received under today's rules."""
    values = [
        raw(envelope("execution", {"outcome": "success", "duration": 90_000}, f"e-{number}")) for number in range(600)
    ]
    for received, unreadable in ((STRICT_SINCE - 1, 0), (STRICT_SINCE, 600)):
        records = [
            Record(0, place, received, "default", b"ada", value.replace(b"2026-01-14", b"2026-11-28"), "")
            for place, value in enumerate(values)
        ]
        batch = Batch(tuple(records), {0: 0}, {0: len(records)})
        read = RecordDecoder(lambda _: Rules(), Clock()).decode(batch)
        assert (len(read.events), len(read.unreadable)) == (len(values) - unreadable, unreadable)
        if unreadable:
            with pytest.raises(Flooded):
                counted({}, batch, read.unreadable, {})
        else:
            assert counted({}, batch, read.unreadable, {}) == {0: 0}
