"""Events that an earlier engine took count when the log is read again, in today's terms."""

from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.earlier_rules import STRICT_SINCE, read_logged
from mastery_engine.domain.events.envelope import read
from mastery_engine.domain.moments import rfc3339
from mastery_engine.errors import InvalidInput
from tests.support.samples import ANSWER, DATA, HELP, NOW, QUIZ, envelope, raw

COMPLETION, EXECUTION = DATA["completion"], DATA["execution"]
FOLLOWED = DATA["recommendation.followed"]


def data_in(value: bytes, received: int = NOW) -> dict[str, Any]:
    """The data that a record of the log holds."""
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(read_logged(value, received)[0].data))
    return data


def test_the_day_from_which_the_rules_hold() -> None:
    assert rfc3339(STRICT_SINCE) == "2026-11-29T00:00:00Z"


@pytest.mark.parametrize(
    ("kind", "data", "changed"),
    [
        ("execution", {**EXECUTION, "duration": 90_000}, {"duration": 86_400.0}),
        ("answer", {**ANSWER, "duration": 1e300}, {"duration": 86_400.0}),
        ("quiz", {**QUIZ, "time_spent": 86_400.001}, {"time_spent": 86_400.0}),
        ("exercise.completed", {**COMPLETION, "time_taken": 10**30}, {"time_taken": 86_400.0}),
        ("execution", {**EXECUTION, "duration": 9e4, "exercise_id": "\x00"}, {"duration": 86_400, "exercise_id": None}),
        ("execution", {**EXECUTION, "duration": 9e4, "topic": None}, {"duration": 86_400.0, "topic": None}),
        ("answer", {**ANSWER, "item_id": "i\t1"}, {"item_id": "i1"}),
        ("answer", {**ANSWER, "item_id": " \u202e "}, {"item_id": "unnamed"}),
        ("answer", {**ANSWER, "skills": ["a\x7f", "\n", "cafe\u0301"]}, {"skills": ["a", "café"]}),
        ("answer", {**ANSWER, "skills": ["\x00", ".."]}, {"skills": ["unnamed"]}),
        ("completion", {**COMPLETION, "topic": "   "}, {"topic": None}),
        ("completion", {**COMPLETION, "topic": ".", "exercise_id": " e\u2028"}, {"topic": None, "exercise_id": "e"}),
        ("help", {**HELP, "topic": "\t"}, {"topic": "unnamed"}),
        ("help", {**HELP, "topic": "e\x00\u0301"}, {"topic": "é"}),
        ("recommendation.followed", {**FOLLOWED, "recommendation_id": "\x1b"}, {"recommendation_id": "unnamed"}),
        ("help", {**HELP, "topic": "\u0958" * 100}, {"topic": "\u0915\u093c" * 50}),
    ],
)
def test_an_event_from_before_that_day_is_read_in_todays_terms(
    kind: str, data: dict[str, Any], changed: dict[str, Any]
) -> None:
    value = raw(envelope(kind, data))
    with pytest.raises(InvalidInput):
        read(value)
    with pytest.raises(InvalidInput):
        read_logged(value, STRICT_SINCE)
    expected = {name: content for name, content in {**data, **changed}.items() if content is not None}
    assert data_in(value, STRICT_SINCE - 1) == expected


def test_a_cohort_is_brought_to_its_spelling_or_left_out() -> None:
    for cohort_id, expected in (("p\ty", {"cohort_id": "py", "x": 1}), (" \x00", {"x": 1})):
        value = raw(envelope("quiz", QUIZ, metadata={"cohort_id": cohort_id, "x": 1}))
        assert read_logged(value, NOW)[0].metadata == expected
        with pytest.raises(InvalidInput):
            read_logged(value, STRICT_SINCE)
    value = raw(envelope("help", {"topic": " "}, metadata={"cohort_id": None}))
    assert read_logged(value, NOW)[0].metadata == {"cohort_id": None}


@pytest.mark.parametrize("course_id", ["", "a\x00", "c" * 101, 7, ["a"], {}])
def test_what_could_be_no_course_was_a_field_that_nobody_knew(course_id: Any) -> None:
    value = raw(envelope("quiz", QUIZ, course_id=course_id))
    assert read_logged(value, NOW)[0].course_id is None
    with pytest.raises(InvalidInput) as refused:
        read_logged(value, STRICT_SINCE)
    assert refused.value.field == "course_id"


@pytest.mark.parametrize(("course_id", "expected"), [("rust ", "rust"), (None, None)])
def test_a_course_is_one_whenever_it_was_named(course_id: str | None, expected: str | None) -> None:
    assert read_logged(raw(envelope("help", {"topic": " "}, course_id=course_id)), NOW)[0].course_id == expected


def test_an_event_inside_a_cloudevent_is_read_so_too() -> None:
    inside = raw(envelope("help", {"topic": "a\nb"}))
    value = b'\xef\xbb\xbf{"specversion": "1.0", "id": "c-1", "source": "s", "type": "t", "data": %b}' % inside
    sent, outside = read_logged(value, NOW)
    assert (sent.data.topic, outside) == ("ab", "c-1")
    assert unwrap(value[3:])[1] == "c-1"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        raw(envelope("exam", {"topic": " "})),
        raw(envelope("help", {"topic": 7})),
        raw(envelope("help", {"topic": ""})),
        raw(envelope("help", {"topic": "x" * 101})),
        raw(envelope("recommendation.followed", {"recommendation_id": "x" * 100 + "\t" + "y"})),
        raw(envelope("execution", {**EXECUTION, "duration": -1})),
        raw(envelope("execution", {**EXECUTION, "duration": True})),
        raw(envelope("execution", {**EXECUTION, "duration": 90_000, "typo": 1})),
        raw(envelope("answer", {**ANSWER, "skills": ["a", ""]})),
        raw(envelope("quiz", QUIZ, metadata={"cohort_id": 7})),
        raw(envelope("quiz", {**QUIZ, "time_spent": 1e9}, metadata={"cohort_id": ""})),
        raw(envelope("help", {"topic": " "}, student_id="a b")),
        raw(envelope("help", [])),
    ],
)
def test_what_the_earlier_engine_refused_stays_refused(value: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_logged(value, NOW)


_any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100)


@given(_any_text, st.lists(_any_text, min_size=1, max_size=8), st.floats(0, allow_infinity=False), _any_text)
def test_whatever_was_taken_before_is_taken_again_and_a_second_reading_changes_nothing(
    item_id: str, skills: list[str], duration: float, cohort_id: str
) -> None:
    sent = envelope(
        "answer",
        {"item_id": item_id, "skills": skills, "correct": True, "duration": duration},
        metadata={"cohort_id": cohort_id},
    )
    first = read_logged(raw(sent), NOW)[0]
    again = raw({**sent, "data": msgspec.to_builtins(first.data), "metadata": first.metadata})
    assert read(again).data == first.data
    try:
        assert read(raw(sent)).data == first.data
    except InvalidInput:
        with pytest.raises(InvalidInput):
            read_logged(raw(sent), STRICT_SINCE)


def test_the_order_of_the_fields_says_nothing() -> None:
    data = {"item_id": "i\t1", "skills": ["s"], "correct": True, "duration": 1e9}
    read_as = {str(data_in(raw(envelope("answer", dict(order))))) for order in permutations(data.items())}
    assert len(read_as) == 1


@pytest.mark.parametrize("data", [{"item_id": "i", "correct": True}, {"item_id": "i", "skills": ["s"], "score": 0.5}])
def test_what_came_to_be_allowed_since_is_taken_whenever_it_is_read(data: dict[str, object]) -> None:
    """A door and a reading of the log agree, by whatever clock: what was acknowledged counts."""
    read_logged(raw(envelope("answer", data)), STRICT_SINCE - 1)
