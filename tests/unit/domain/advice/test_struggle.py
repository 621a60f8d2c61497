"""Struggle: each trigger at its threshold and not one before, once a spell, and none stays after success."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.advice.struggle import (
    MAX_SPELLS,
    NO_SPELLS,
    Spell,
    Spells,
    open_spells,
    since,
    spells_after,
    stuck_phrase,
)
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.moments import DAY, MINUTE
from mastery_engine.domain.results import StruggleDetected, message, result_id
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student, pack, unpack
from mastery_engine.domain.transition import aged, apply
from tests.support.samples import NOW, TODAY, answered, by_id, done, envelopes, event, failed, logged, quiz, succeeded


def after(*events: LearningEvent, spells: Spells = NO_SPELLS) -> tuple[Spells, list[str]]:
    """The spells after events, and the topics raised on the way."""
    raised = []
    for one in events:
        spells, topic = spells_after(spells, one)
        raised += [topic] if topic is not None else []
    return spells, raised


def triggers(*events: LearningEvent) -> list[str]:
    return [spell.trigger for _, spell in open_spells(after(*events)[0], 0)]


def fails(number: int, **data: Any) -> list[LearningEvent]:
    return [failed(f"f-{place}", at=NOW + place, **data) for place in range(number)]


def test_the_same_error_three_times_and_not_twice() -> None:
    assert triggers(*fails(2, error_type="TypeError")) == []
    spells, raised = after(*fails(3, error_type="TypeError"))
    assert raised == ["loops"]
    assert (spells["loops"].trigger, spells["loops"].since) == ("repeated_error", NOW)
    assert spells["loops"].evidence == "TypeError 3 times since the last success"


def test_the_same_error_need_not_come_in_a_row_but_must_be_the_same() -> None:
    kinds = ["TypeError", "KeyError", "TypeError", "KeyError"]
    runs = [failed(f"f-{n}", error_type=kind) for n, kind in enumerate(kinds)]
    assert triggers(*runs) == []
    assert triggers(*runs, failed("f-9", error_type="TypeError")) == ["repeated_error"]
    long = "x" * 200
    assert triggers(*[failed(f"f-{n}", error_type=f"{long}{n}") for n in range(3)]) == []
    assert triggers(*fails(3, error_type=long)) == ["repeated_error"]


def test_five_failed_runs_and_not_four() -> None:
    assert triggers(*fails(4)) == []
    assert triggers(*fails(5)) == ["failed_executions"]


@pytest.mark.parametrize(("seconds", "raised"), [((300, 300), []), ((300, 300.001), ["long_on_exercise"])])
def test_more_than_ten_minutes_on_one_exercise_and_not_ten(seconds: tuple[float, ...], raised: list[str]) -> None:
    runs = [failed(f"f-{n}", exercise_id="ex-1", duration=one) for n, one in enumerate(seconds)]
    assert triggers(*runs) == raised


def test_minutes_on_two_exercises_are_not_added() -> None:
    assert triggers(*[failed(f"f-{n}", exercise_id=f"ex-{n}", duration=400) for n in range(2)]) == []
    (spell,) = after(failed("f", duration=700))[0].values()
    assert spell.evidence == "11.7 minutes on one exercise without success"


@pytest.mark.parametrize(
    ("correct", "raised"), [(5, []), (4, ["low_quiz"]), (0, ["low_quiz"]), (4.999, ["low_quiz"]), (5.001, [])]
)
def test_a_quiz_below_half_and_not_at_half(correct: float, raised: list[str]) -> None:
    assert triggers(quiz(correct, 10)) == raised


@pytest.mark.parametrize(
    "message",
    [
        "I don't understand",
        "I DON\u2019T UNDERSTAND this loop",
        "i dont understand",
        "I don\u02bct  understand",
        "I don`t really understand it",
        "Sorry, I still do not understand.",
        "I can't understand it",
        "I'm stuck",
        "I\u2019m Stuck on this one.",
        "I\uff07m stuck",
        "im completely stuck",
        "I am still stuck!",
        "i got stuck",
    ],
)
def test_a_cry_for_help_is_heard(message: str) -> None:
    assert stuck_phrase(message)
    assert triggers(event("help", {"topic": "loops", "message": message})) == ["asked_for_help"]


@pytest.mark.parametrize(
    "message",
    [None, "", "What does this error mean?", "I'm not stuck", "I understand", "I am no longer stuck", "Taxi m stuck"],
)
def test_other_messages_are_none(message: str | None) -> None:
    assert stuck_phrase(message) is None
    assert triggers(event("help", {"topic": "loops"} | ({"message": message} if message is not None else {}))) == []


SUCCESSES: dict[str, LearningEvent] = {
    "execution": succeeded("s"),
    "quiz": event("quiz", {"total_questions": 10, "correct_answers": 5, "topic": "loops"}, "s"),
    "answer": answered("s", correct=True, skills=["lists", "loops"]),
    "answer that counts as right": answered("s", correct=True, score=0.1, skills=["lists", "loops"]),
    "half an answer": event("answer", {"item_id": "i", "score": 0.5, "skills": ["loops"]}, "s"),
    "completion": done("loops", 4, 4, "s"),
}
NO_SUCCESSES: dict[str, LearningEvent] = {
    "execution elsewhere": succeeded("s", topic="lists"),
    "quiz elsewhere": event("quiz", {"total_questions": 10, "correct_answers": 9, "topic": "lists"}, "s"),
    "wrong answer": answered("s", correct=False, skills=["loops"]),
    "half an answer that counts as wrong": answered("s", correct=False, score=0.9, skills=["loops"]),
    "less than half an answer": event("answer", {"item_id": "i", "score": 0.49, "skills": ["loops"]}, "s"),
    "answer elsewhere": answered("s", correct=True, skills=["lists"]),
    "not all done": done("loops", 3, 4, "s"),
    "help": event("help", {"topic": "loops", "message": "thank you"}, "s"),
}


@pytest.mark.parametrize("how", SUCCESSES)
def test_success_ends_the_spell_and_the_counting(how: str) -> None:
    assert triggers(*fails(5), SUCCESSES[how]) == []
    assert triggers(*fails(4), SUCCESSES[how], *fails(4)) == []
    spells, raised = after(*fails(5), SUCCESSES[how], *fails(5))
    assert raised == ["loops", "loops"]
    assert len(spells) == 1


@pytest.mark.parametrize("how", NO_SUCCESSES)
def test_nothing_else_does(how: str) -> None:
    assert triggers(*fails(5), NO_SUCCESSES[how]) == ["failed_executions"]


@pytest.mark.parametrize(
    ("correct", "shown"), [(4.5, "4.5"), (4.999, "4.99"), (0.29, "0.29"), (1e-9, "0"), (3.001, "3"), (20, "20")]
)
def test_partial_credit_is_shown_with_two_decimals_at_most_and_never_as_the_half_that_passes(
    correct: float, shown: str
) -> None:
    (spell,) = after(quiz(correct, 50))[0].values()
    assert spell.evidence == f"{shown} of 50 right in a quiz"


def test_a_spell_is_raised_once_whatever_else_comes() -> None:
    low = event("quiz", {"total_questions": 9, "correct_answers": 1, "topic": "loops"}, "q")
    cry = event("help", {"topic": "loops", "message": "I'm stuck"}, "h")
    spells, raised = after(low, cry, *fails(9, error_type="TypeError", duration=999))
    assert raised == ["loops"]
    assert spells["loops"].evidence == "1 of 9 right in a quiz"
    assert spells["loops"].runs == ()


def test_topics_are_apart_and_an_exercise_serves_where_there_is_none() -> None:
    runs = [failed(f"f-{n}", topic=None, exercise_id=f"ex-{n % 2}") for n in range(8)]
    assert after(*runs)[1] == []
    assert set(after(*runs)[0]) == {"ex-0", "ex-1"}
    assert after(*runs, *[failed(f"g-{n}", topic=None, exercise_id="ex-0") for n in range(1)])[1] == ["ex-0"]


def test_of_very_many_topics_those_without_a_raised_spell_go_first() -> None:
    spells, _ = after(*fails(5), *[failed(f"g-{n}", topic=f"t-{n}", at=NOW + n) for n in range(2 * MAX_SPELLS)])
    assert len(spells) == MAX_SPELLS
    assert spells["loops"].trigger
    assert f"t-{2 * MAX_SPELLS - 1}" in spells


def test_spells_age_with_the_retention() -> None:
    spells, _ = after(*fails(5), failed("x", topic="lists", at=NOW + 3 * DAY))
    assert since(spells, TODAY * DAY) is spells
    assert set(since(spells, (TODAY + 1) * DAY)) == {"lists"}
    assert list(open_spells(spells, (TODAY + 1) * DAY)) == []


# ---- in the fold

RULES = Rules()


def struggles(student: Student) -> list[StruggleDetected]:
    return [one.result for one in student.outbox if isinstance(one.result, StruggleDetected)]


def test_a_struggle_goes_out_once_and_names_what_raised_it() -> None:
    student = apply(NOBODY, logged(fails(7)), NOW + MINUTE, RULES).student
    (found,) = struggles(student)
    assert found.caused_by == ("f-4",)
    sent = message(found)
    assert (sent.event_type, sent.topic, sent.pattern) == ("struggle.detected", "loops", "failed_executions")
    assert sent.evidence == "5 failed runs since the last success"
    assert sent.since == "2026-01-14T10:30:00Z"
    again = apply(student, logged(fails(7)), NOW + MINUTE, RULES).student
    assert again is student


def test_two_struggles_of_one_batch_can_be_told_apart() -> None:
    both = [failed(f"{topic}-{n}", topic=topic) for topic in ("loops", "lists") for n in range(5)]
    found = struggles(apply(NOBODY, logged(both), NOW, RULES).student)
    assert [one.topic for one in found] == ["loops", "lists"]
    assert len({result_id(one) for one in found}) == 2


@given(st.lists(st.integers(0, 12), max_size=4).map(sorted))
def test_batches_make_no_difference(cuts: list[int]) -> None:
    events = [*fails(4), succeeded("s"), *[failed(f"g-{n}", error_type="E") for n in range(7)]]
    student = NOBODY
    for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
        if events[start:end]:
            student = apply(student, logged(events[start:end], first=start), NOW, RULES).student
    assert [one.caused_by for one in struggles(student)] == [("g-2",)]
    assert unpack(pack(student)) == student


@given(by_id(envelopes(last=NOW, kinds=("execution", "quiz", "help", "answer", "completion")), max_size=12))
def test_nobody_stays_flagged_after_success(sent: list[dict[str, Any]]) -> None:
    events = [
        event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=NOW) for one in sent
    ]
    spells, _ = after(*events)
    for topic in list(spells):
        ended = spells_after(spells, event("execution", {"outcome": "success", "exercise_id": topic or "x"}, "s"))[0]
        if topic:
            assert topic not in ended
    student = apply(NOBODY, logged(events), NOW, RULES).student
    assert student.guidance.spells == since(spells, student.floor * DAY)
    assert len(struggles(student)) == len({one.caused_by for one in struggles(student)})


def test_ageing_takes_spells_out_of_the_document() -> None:
    student = apply(NOBODY, logged(fails(5)), NOW, RULES).student
    kept = aged(student, {}, NOW + 89 * DAY, RULES)
    gone = aged(student, {}, NOW + 90 * DAY, RULES)
    assert kept is not None
    assert gone is not None
    assert kept.student.guidance.spells
    assert not gone.student.guidance.spells
    later = NOW + 90 * DAY
    moved = apply(student, logged([succeeded("s", topic="lists", at=later, received=later)], first=9), later, RULES)
    assert not moved.student.guidance.spells


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("29931580749.1 minutes on e1 without success", "more than 10 minutes on e1 without success"),
        (
            f"{1e308 / 60:.1f} minutes on one exercise without success",
            "more than 10 minutes on one exercise without success",
        ),
        ("7200.0 minutes on e1 without success", "7200.0 minutes on e1 without success"),
        (
            "11.7 minutes on 99999999.9 minutes on x without success",
            "11.7 minutes on 99999999.9 minutes on x without success",
        ),
    ],
)
def test_milliseconds_of_an_earlier_engine_are_not_shown_as_minutes(before: str, now: str) -> None:
    old = Spell(NOW, NOW, (), "long_on_exercise", before)
    ((_, shown),) = open_spells({"loops": old}, TODAY * DAY)
    assert shown == msgspec.structs.replace(old, evidence=now)
    other = Spell(NOW, NOW, (), "repeated_error", "29931580749.1 minutes on e1 3 times since the last success")
    assert list(open_spells({"loops": other}, TODAY * DAY)) == [("loops", other)]
