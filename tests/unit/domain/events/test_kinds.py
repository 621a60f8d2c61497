"""What each kind of event may say, to the edge of its ranges."""

import json
from typing import Any

import pytest

from mastery_engine.domain.events.event import LearningEvent, decode, encode
from mastery_engine.domain.events.kinds import ALIASES, KINDS, Consistency, Quality
from mastery_engine.errors import InvalidInput
from mastery_engine.wiring_clocks import system_clock
from scripts.submit_event import SAMPLES
from tests.support.calls import event
from tests.support.samples import (
    ADVICE,
    ANSWER,
    COMPLETION,
    CONSISTENCY,
    DATA,
    EXECUTION,
    HELP,
    NOW,
    QUALITY,
    QUIZ,
    data_of,
    envelope,
    raw,
)

CALCULATION = "mastery.calculation.requested"
LONGEST_NAME, LONGEST_ID = "x" * 100, "x" * 300
LONGEST_TEXT = "ß" * 1_000


def read(kind: str, data: dict[str, Any]) -> LearningEvent:
    return decode(raw(envelope(kind, data)), received=NOW)


def refusal(kind: str, data: dict[str, Any]) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        read(kind, data)
    return refused.value


def test_the_kinds_and_their_other_names_are_the_contracts() -> None:
    assert KINDS.keys() == DATA.keys()
    assert ALIASES == {
        "exercise.completed": "completion",
        "exercise.completion.submitted": "completion",
        "quiz.completed": "quiz",
        "quiz.performance.submitted": "quiz",
        "code.reviewed": "quality",
        "quality.assessment.completed": "quality",
        "consistency.activity.recorded": "consistency",
    }


@pytest.mark.parametrize("name", [*KINDS, *ALIASES])
def test_an_event_is_of_one_kind_under_any_name(name: str) -> None:
    kind = ALIASES.get(name, name)
    taken = read(name, DATA[kind])
    assert taken.event_type == kind
    assert taken.data == read(kind, DATA[kind]).data
    assert type(taken.data) is KINDS[kind]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("completion", {**COMPLETION, "total_exercises": 1, "completed_exercises": 0}),
        ("completion", {**COMPLETION, "total_exercises": 100_000, "completed_exercises": 100_000}),
        ("completion", {**COMPLETION, "topic": LONGEST_NAME, "exercise_id": LONGEST_ID, "time_taken": 0.5}),
        ("completion", {"total_exercises": 1, "completed_exercises": 1, "difficulty": "advanced"}),
        ("quiz", {**QUIZ, "confidence_score": 0, "time_spent": 86_400}),
        ("quiz", {**QUIZ, "quiz_id": LONGEST_ID, "attempt_id": LONGEST_ID}),
        ("quiz", {"total_questions": 10, "correct_answers": 9.999}),
        ("quiz", {"total_questions": 1, "correct_answers": 1e-300}),
        ("quiz", {"total_questions": 100_000, "correct_answers": 1e5}),
        ("quality", {**QUALITY, "submission_id": LONGEST_ID, "attempt_id": LONGEST_ID}),
        ("answer", {**ANSWER, "item_id": LONGEST_ID, "skills": [LONGEST_NAME], "duration": 86_400.0}),
        ("answer", {**ANSWER, "attempt_id": LONGEST_ID, "part_of": LONGEST_ID}),
        ("recommendation.followed", {"recommendation_id": LONGEST_ID}),
        ("quiz", {**QUIZ, "confidence_score": 1.0, "topic": "größe", "quiz_id": "1"}),
        ("quality", {**dict.fromkeys(QUALITY, 0), "peer_review_score": 1, "submission_id": "s", "topic": "t"}),
        ("quality", dict.fromkeys(QUALITY, -0.0)),
        ("consistency", {"current_streak": 100_000}),
        ("consistency", {"max_streak": 0}),
        ("consistency", {"days_since_last_activity": 0}),
        ("consistency", {"activity_dates": []}),
        ("consistency", {"activity_dates": ["2024-02-29", "1970-01-01"]}),
        ("answer", {**ANSWER, "skills": list("abcdefgh"), "attempts": 0, "hints": 100_000, "duration": 0}),
        ("answer", {**ANSWER, "correct": False, "difficulty": "beginner"}),
        ("execution", {"outcome": "error", "error_type": "TypeError", "exercise_id": "x", "duration": 601.5}),
        ("execution", {"outcome": "success"}),
        ("help", {"topic": LONGEST_NAME, "message": LONGEST_TEXT}),
        ("recommendation.followed", ADVICE),
        ("recommendation.dismissed", {**ADVICE, "reason": LONGEST_TEXT}),
        (CALCULATION, {"components": {"quiz": 0}}),
        (CALCULATION, {"components": dict.fromkeys(["completion", "quiz", "quality", "consistency"], 1)}),
    ],
)
def test_what_lies_at_the_edge_is_taken(kind: str, data: dict[str, Any]) -> None:
    read(kind, data)


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("completion", {**COMPLETION, "completed_exercises": 11}, "data.completed_exercises"),
        ("completion", {**COMPLETION, "completed_exercises": -1}, "data.completed_exercises"),
        ("completion", {**COMPLETION, "completed_exercises": 7.5}, "data.completed_exercises"),
        ("completion", {**COMPLETION, "completed_exercises": "8"}, "data.completed_exercises"),
        ("completion", {**COMPLETION, "completed_exercises": True}, "data.completed_exercises"),
        ("completion", {**COMPLETION, "completed_exercises": None}, "data.completed_exercises"),
        ("completion", {**COMPLETION, "total_exercises": 0, "completed_exercises": 0}, "data.total_exercises"),
        ("completion", {**COMPLETION, "total_exercises": 100_001}, "data.total_exercises"),
        ("completion", {**COMPLETION, "difficulty": "Advanced"}, "data.difficulty"),
        ("completion", {**COMPLETION, "topic": LONGEST_NAME + "x"}, "data.topic"),
        ("completion", {**COMPLETION, "topic": " "}, "data.topic"),
        ("completion", {**COMPLETION, "exercise_id": LONGEST_ID + "x"}, "data.exercise_id"),
        ("completion", {**COMPLETION, "time_taken": 86_400.001}, "data.time_taken"),
        ("quiz", {**QUIZ, "topic": "a\x00"}, "data.topic"),
        ("quiz", {**QUIZ, "quiz_id": ""}, "data.quiz_id"),
        ("quiz", {**QUIZ, "time_spent": 1_795_894_844_948}, "data.time_spent"),
        ("quality", {**QUALITY, "topic": ".."}, "data.topic"),
        ("quality", {**QUALITY, "submission_id": "\u200b"}, "data.submission_id"),
        ("answer", {**ANSWER, "item_id": "a\nb"}, "data.item_id"),
        ("answer", {**ANSWER, "skills": ["a", " "]}, "data.skills[1]"),
        ("answer", {**ANSWER, "duration": 1e308}, "data.duration"),
        ("execution", {**EXECUTION, "topic": "\u2028a\u2028b"}, "data.topic"),
        ("execution", {**EXECUTION, "exercise_id": "x" * 2_000}, "data.exercise_id"),
        ("execution", {**EXECUTION, "duration": 10**40}, "data.duration"),
        ("help", {"topic": "\x85"}, "data.topic"),
        ("recommendation.followed", {"recommendation_id": "\x1f"}, "data.recommendation_id"),
        ("recommendation.dismissed", {"recommendation_id": "."}, "data.recommendation_id"),
        ("completion", {**COMPLETION, "topic": 7}, "data.topic"),
        ("completion", {**COMPLETION, "time_taken": -0.1}, "data.time_taken"),
        ("completion", {**COMPLETION, "topc": "loops"}, "data.topc"),
        ("completion", {"total_exercises": 10, "completed_exercises": 8}, "data.difficulty"),
        ("quiz", {**QUIZ, "correct_answers": 11}, "data.correct_answers"),
        ("quiz", {**QUIZ, "correct_answers": 10.000001}, "data.correct_answers"),
        ("quiz", {**QUIZ, "correct_answers": -0.5}, "data.correct_answers"),
        ("quiz", {**QUIZ, "correct_answers": "4.5"}, "data.correct_answers"),
        ("quiz", {**QUIZ, "correct_answers": True}, "data.correct_answers"),
        ("quiz", {**QUIZ, "attempt_id": LONGEST_ID + "x"}, "data.attempt_id"),
        ("quality", {**QUALITY, "attempt_id": " "}, "data.attempt_id"),
        ("answer", {**ANSWER, "attempt_id": "\x00"}, "data.attempt_id"),
        ("answer", {**ANSWER, "part_of": ".."}, "data.part_of"),
        ("completion", {**COMPLETION, "attempt_id": "a"}, "data.attempt_id"),
        ("quiz", {**QUIZ, "part_of": "a"}, "data.part_of"),
        ("quiz", {"total_questions": 10}, "data.correct_answers"),
        ("quiz", {**QUIZ, "confidence_score": 1.000001}, "data.confidence_score"),
        ("quiz", {**QUIZ, "confidence_score": "1"}, "data.confidence_score"),
        ("quiz", {**QUIZ, "confidence_score": False}, "data.confidence_score"),
        ("quality", {**QUALITY, "efficiency_score": -0.000001}, "data.efficiency_score"),
        ("quality", {**QUALITY, "peer_review_score": 2}, "data.peer_review_score"),
        ("quality", {"code_quality_score": 0.5, "correctness_score": 0.5}, "data.efficiency_score"),
        ("consistency", {}, "data"),
        ("consistency", {"current_streak": 100_001}, "data.current_streak"),
        ("consistency", {"days_since_last_activity": -1}, "data.days_since_last_activity"),
        ("consistency", {"activity_dates": ["2026-02-29"]}, "data.activity_dates[0]"),
        ("consistency", {"activity_dates": ["20260114"]}, "data.activity_dates[0]"),
        ("consistency", {"activity_dates": ["2026-01-14T00:00:00Z"]}, "data.activity_dates[0]"),
        ("consistency", {"activity_dates": "2026-01-14"}, "data.activity_dates"),
        ("answer", {"item_id": "i", "skills": ["loops"]}, "data.correct"),
        ("answer", {**ANSWER, "score": 1.01}, "data.score"),
        ("answer", {**ANSWER, "score": True}, "data.score"),
        ("answer", {**ANSWER, "score": "0.5"}, "data.score"),
        ("answer", {**ANSWER, "skills": list("abcdefghi")}, "data.skills"),
        ("answer", {**ANSWER, "skills": ["a", 1]}, "data.skills[1]"),
        ("answer", {**ANSWER, "correct": 1}, "data.correct"),
        ("answer", {"skills": ["loops"], "correct": True}, "data.item_id"),
        ("execution", {**EXECUTION, "outcome": "failed"}, "data.outcome"),
        ("execution", {"topic": "loops"}, "data.outcome"),
        ("help", {"message": "I'm stuck"}, "data.topic"),
        ("help", {**HELP, "message": LONGEST_TEXT + "x"}, "data.message"),
        ("recommendation.followed", {}, "data.recommendation_id"),
        ("recommendation.dismissed", {**ADVICE, "reason": 1}, "data.reason"),
        (CALCULATION, {}, "data.components"),
        (CALCULATION, {"components": {}}, "data.components"),
        (CALCULATION, {"components": {"quiz": None}}, "data.components"),
        (CALCULATION, {"components": {"quiz": 1.5}}, "data.components.quiz"),
        (CALCULATION, {"components": {"quizz": 0.5}}, "data.components.quizz"),
    ],
)
def test_what_lies_beyond_is_refused_by_the_name_of_its_field(kind: str, data: dict[str, Any], field: str) -> None:
    assert refusal(kind, data).field == field


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_is_not_known_is_refused_in_every_kind(kind: str) -> None:
    found = refusal(kind, {**DATA[kind], "topics": "loops"})
    assert found.field == "data.topics"
    assert "topics" in found.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [[], "x", 1, None])
def test_data_is_an_object_in_every_kind(kind: str, data: Any) -> None:
    assert refusal(kind, data).field == "data"


def test_more_than_all_cannot_be_done_and_the_message_says_how_much_it_was() -> None:
    assert "is 11, but" in refusal("completion", {**COMPLETION, "completed_exercises": 11}).message
    assert "is 12, but" in refusal("quiz", {**QUIZ, "correct_answers": 12}).message


def test_minus_zero_is_zero() -> None:
    value = (
        b'{"event_id":"e","event_type":"quality","student_id":"ada","data":{"code_quality_score":-0.0,'
        b'"correctness_score":-0,"efficiency_score":0}}'
    )
    assert decode(value, received=NOW).data == Quality(0.0, 0.0, 0.0)
    days = b'{"event_id":"e","event_type":"consistency","student_id":"ada","data":{"current_streak":-0}}'
    assert decode(days, received=NOW).data == Consistency(current_streak=0)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "01", "+1", ".5", "0x1"])
def test_numbers_are_those_of_rfc_8259(number: str) -> None:
    value = raw(envelope("quality", {**QUALITY, "efficiency_score": "?"})).replace(b'"?"', number.encode())
    with pytest.raises(InvalidInput):
        decode(value, received=NOW)


def test_partial_credit_is_a_fraction_and_a_whole_number_stays_one() -> None:
    for sent, stored in (("4.5", "4.5"), ("9", "9"), ("9.0", "9"), ("1e1", "10"), ("-0.0", "0")):
        value = raw(envelope("quiz", {**QUIZ, "correct_answers": "?"})).replace(b'"?"', sent.encode())
        assert b'"correct_answers":%b}' % stored.encode() in encode(decode(value, received=NOW))


def test_consistency_needs_one_field_and_says_which() -> None:
    assert "activity_dates" in refusal("consistency", {}).message
    read("consistency", CONSISTENCY)


def test_every_kind_has_its_samples() -> None:
    """Those that the tests make events of, and those of the script that submits one."""
    assert DATA.keys() == KINDS.keys() == SAMPLES.keys()
    for kind in KINDS:
        data_of(kind)
        decode(json.dumps(event(kind)).encode(), received=system_clock())


@pytest.mark.parametrize(
    ("kind", "data", "field", "spelled"),
    [
        ("completion", COMPLETION, "topic", "größe"),
        ("completion", COMPLETION, "exercise_id", "größe"),
        ("quiz", QUIZ, "topic", "größe"),
        ("quiz", QUIZ, "quiz_id", "größe"),
        ("quiz", QUIZ, "attempt_id", "größe"),
        ("quality", QUALITY, "attempt_id", "größe"),
        ("answer", ANSWER, "attempt_id", "größe"),
        ("answer", ANSWER, "part_of", "größe"),
        ("quality", QUALITY, "topic", "größe"),
        ("quality", QUALITY, "submission_id", "größe"),
        ("answer", ANSWER, "item_id", "größe"),
        ("execution", EXECUTION, "topic", "größe"),
        ("execution", EXECUTION, "exercise_id", "größe"),
        ("help", HELP, "topic", "größe"),
        ("recommendation.followed", ADVICE, "recommendation_id", "größe"),
        ("recommendation.dismissed", ADVICE, "recommendation_id", "größe"),
    ],
)
def test_ids_have_one_spelling(kind: str, data: dict[str, Any], field: str, spelled: str) -> None:
    for text in (spelled, "gro\u0308\u00dfe", f"\n {spelled}\u3000"):
        assert getattr(read(kind, {**data, field: text}).data, field) == spelled


def test_the_skills_of_an_answer_have_one_spelling() -> None:
    assert read("answer", {**ANSWER, "skills": [" loops", "gro\u0308\u00dfe"]}).data.skills == ("loops", "größe")


@pytest.mark.parametrize("seconds", [86_401, 1_795_894_844_948, 1e308])
def test_milliseconds_sent_as_seconds_are_told_so(seconds: float) -> None:
    refused = refusal("execution", {**EXECUTION, "duration": seconds})
    assert refused.message == "data.duration must be seconds, at most 86,400 (did you send milliseconds?)."
