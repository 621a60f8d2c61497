"""Patterns: each on a history that shows it, and on one like it that does not."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import pytest
from hypothesis import given

from mastery_engine.domain.advice.habits import NO_HABITS, blocks_of, since, with_work, work
from mastery_engine.domain.advice.patterns import Pattern, patterns
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student, pack, unpack
from mastery_engine.domain.transition import aged, apply
from tests.support.samples import HOUR, NOW, TODAY, answered, by_id, envelopes, event, logged
from tests.support.samples import given as set_to

RULES = Rules()
MIDNIGHT = TODAY * DAY
_ids = count()


def at(days_ago: float, hour: float = 10.0) -> Micros:
    """A moment of a day so long ago, which is before now."""
    return min(MIDNIGHT - round(days_ago * DAY) + round(hour * HOUR), NOW)


def help_at(days_ago: int, hour: float = 10.0) -> LearningEvent:
    when = at(days_ago, hour)
    return event("help", {"topic": "loops"}, f"h-{next(_ids)}", at=when, received=when)


def quiz_at(days_ago: int, correct: int, hour: float = 10.0, **data: Any) -> LearningEvent:
    when = at(days_ago, hour)
    found = {"total_questions": 10, "correct_answers": correct, **data}
    return event("quiz", found, f"q-{next(_ids)}", at=when, received=when)


def scored(days_ago: int, value: float, **others: float) -> LearningEvent:
    four = dict.fromkeys(("completion", "quiz", "quality", "consistency"), value) | others
    when = at(days_ago)
    return set_to(f"s-{next(_ids)}", at=when, received=when, **four)


def answer(*, correct: bool, duration: float | None = None, hints: int | None = None) -> LearningEvent:
    data = {name: value for name, value in (("duration", duration), ("hints", hints)) if value is not None}
    return answered(f"a-{next(_ids)}", correct=correct, **data)


def folded(events: Iterable[LearningEvent]) -> Student:
    student = NOBODY
    for place, one in enumerate(sorted(events, key=lambda one: one.at)):
        student = apply(student, logged([one], first=place), one.at, RULES, cold={}, settled={0: place}).student
    return student


def found(events: Iterable[LearningEvent]) -> dict[str, Pattern]:
    return {one.kind: one for one in patterns(folded(events), TODAY, RULES)}


def evenings() -> list[LearningEvent]:
    return [help_at(day, 18 + day % 3) for day in range(1, 25)]


def all_hours() -> list[LearningEvent]:
    return [help_at(day, (7 * day) % 24) for day in range(1, 25)]


def two_weekdays() -> list[LearningEvent]:
    return [help_at(7 * week + shift, (5 * week + 11 * shift) % 24) for week in range(1, 11) for shift in (0, 2)]


def level() -> list[LearningEvent]:
    return [scored(day, 0.6 + 0.005 * (day % 3)) for day in range(0, 21, 2)]


def rising() -> list[LearningEvent]:
    return [scored(day, 0.8 - 0.01 * day) for day in range(0, 21, 2)]


def leap() -> list[LearningEvent]:
    return [*[scored(day, 0.4) for day in range(9, 30, 3)], scored(6, 0.45), scored(3, 0.55), scored(0, 0.6)]


def first_days() -> list[LearningEvent]:
    return [scored(6, 0.2), scored(3, 0.5), scored(0, 0.7)]


def fall() -> list[LearningEvent]:
    return [scored(12, 0.7), scored(8, 0.65), scored(4, 0.6), scored(0, 0.55)]


def dip() -> list[LearningEvent]:
    return [scored(12, 0.6), scored(8, 0.65), scored(4, 0.7), scored(0, 0.61)]


def crammer() -> list[LearningEvent]:
    nights = [help_at(quiz, 20 + n / 10) for quiz in (10, 30, 50) for n in range(9)]
    return [*nights, *[quiz_at(day, 6) for day in (9, 29, 49)], help_at(20), help_at(40)]


def steady() -> list[LearningEvent]:
    return [*[help_at(day, 9) for day in range(1, 55)], *[quiz_at(day, 6) for day in (9, 29, 49)]]


def pauses(after: int) -> list[LearningEvent]:
    return [quiz_at(40, 9), quiz_at(39, 9), quiz_at(30, after), quiz_at(29, 9), quiz_at(20, after), quiz_at(19, 9)]


def hasty() -> list[LearningEvent]:
    return [
        *[answer(correct=n % 4 == 0, duration=4) for n in range(12)],
        *[answer(correct=n % 5 != 0, duration=40) for n in range(12)],
    ]


def quick() -> list[LearningEvent]:
    return [answer(correct=n % 5 != 0, duration=4 if n % 2 else 40) for n in range(24)]


def dragging() -> list[LearningEvent]:
    return [scored(day, 0.8, quality=0.8 if day > 6 else 0.3) for day in range(0, 15, 3)]


SHOWN: dict[str, tuple[str, Callable[[], list[LearningEvent]], str, int]] = {
    "hours": ("rhythm", evenings, "24 of 24 pieces of work between 17:00 and 21:00 UTC", 24),
    "weekdays": ("rhythm", two_weekdays, "20 of 20 days of work are", 72),
    "plateau": ("plateau", level, "the score between 0.60 and 0.61", 20),
    "surge": ("surge", leap, "from 0.40 to 0.60 in 9 days", 9),
    "decline": ("decline", fall, "from 0.70 to 0.55 in 12 days", 12),
    "cramming": ("cramming", crammer, "of 3 quizzes", 49),
    "forgetting": ("forgetting_after_pauses", lambda: pauses(4), "2 pauses of 6 days or more", 39),
    "rushing": ("rushing", hasty, "75% of 12 answers given in under 10 s are wrong", 0),
    "rushing alone": (
        "rushing",
        lambda: [answer(correct=n % 4 == 0, duration=4) for n in range(24)],
        "no slower ones",
        0,
    ),
    "hints": (
        "leaning_on_hints",
        lambda: [answer(correct=True, hints=n % 3) for n in range(12)],
        "8 of 12 answers came with hints",
        0,
    ),
    "drag from the first day": (
        "dragging_component",
        lambda: [scored(day, 0.8, quality=0.3) for day in range(0, 15, 3)],
        "quality is 0.30",
        12,
    ),
    "drag": ("dragging_component", dragging, "quality is 0.30, the other components 0.80 on average", 6),
}

NOT_SHOWN: dict[str, tuple[str, Callable[[], list[LearningEvent]]]] = {
    "hours": ("rhythm", all_hours),
    "too little work": ("rhythm", lambda: evenings()[:15]),
    "too few days": ("rhythm", lambda: [help_at(1, 18) for _ in range(30)]),
    "rising": ("plateau", rising),
    "at the top": ("plateau", lambda: [scored(day, 0.95) for day in range(0, 21, 2)]),
    "away": ("plateau", lambda: [scored(day, 0.6) for day in range(8, 29, 2)]),
    "too short": ("plateau", lambda: [scored(day, 0.6) for day in range(9)]),
    "nothing known": ("plateau", lambda: [event("recommendation.followed", {"recommendation_id": "r"}, at=at(95))]),
    "first days": ("surge", first_days),
    "slow rise": ("surge", lambda: [scored(day, 0.7 - 0.008 * day) for day in range(0, 40, 3)]),
    "two days": ("surge", lambda: [scored(30, 0.4), scored(0, 0.7)]),
    "dip": ("decline", dip),
    "small fall": ("decline", lambda: [scored(day, 0.6 + 0.005 * day) for day in range(0, 13, 3)]),
    "steady": ("cramming", steady),
    "two quizzes": ("cramming", lambda: [one for one in crammer() if one.at > at(45)]),
    "a quiz every day": ("cramming", lambda: [quiz_at(day, 6) for day in range(30)]),
    "no loss": ("forgetting_after_pauses", lambda: pauses(8)),
    "one pause": ("forgetting_after_pauses", lambda: pauses(4)[:4]),
    "worked between": ("forgetting_after_pauses", lambda: [*pauses(4), help_at(35), help_at(25)]),
    "quick and right": ("rushing", quick),
    "seldom hasty": (
        "rushing",
        lambda: [*[answer(correct=False, duration=4) for _ in range(10)], *[answer(correct=True, duration=40)] * 1]
        + [answer(correct=True, duration=40) for _ in range(30)],
    ),
    "few answers": ("rushing", lambda: [answer(correct=False, duration=4) for _ in range(19)]),
    "few hints": ("leaning_on_hints", lambda: [answer(correct=True, hints=int(n % 3 == 0)) for n in range(12)]),
    "few answers with hints": ("leaning_on_hints", lambda: [answer(correct=True, hints=1) for _ in range(9)]),
    "even": ("dragging_component", lambda: [scored(0, 0.8, quality=0.65)]),
    "two components": ("dragging_component", lambda: [set_to("s", at=at(0), received=at(0), completion=0.9, quiz=0.1)]),
}  # fmt: skip


@pytest.mark.parametrize("case", SHOWN)
def test_a_history_that_shows_it_has_it(case: str) -> None:
    kind, made, evidence, days = SHOWN[case]
    one = found(made())[kind]
    assert evidence in one.evidence
    assert 0.0 < one.strength <= 1.0
    assert abs(TODAY - one.since - days) <= 1


@pytest.mark.parametrize("case", NOT_SHOWN)
def test_one_that_does_not_has_none(case: str) -> None:
    kind, made = NOT_SHOWN[case]
    assert kind not in found(made())


def test_the_strongest_comes_first_and_nothing_comes_of_nothing() -> None:
    assert patterns(NOBODY, TODAY, RULES) == []
    both = patterns(folded([*evenings(), *hasty()]), TODAY, RULES)
    assert len(both) >= 2
    assert [one.strength for one in both] == sorted((one.strength for one in both), reverse=True)


# ---- habits


def test_work_is_counted_by_hour_and_day_and_quiz() -> None:
    events = [help_at(3, 9), help_at(3, 9), quiz_at(2, 5, hour=23, time_spent=120), help_at(20, 0)]
    seen = work(with_work(NO_HABITS, logged(events), 0, RULES), 0)
    assert (seen.hours[0], seen.hours[9], seen.hours[23], sum(seen.hours)) == (1, 2, 1, 4)
    assert seen.days == {TODAY - 20: 1, TODAY - 3: 2, TODAY - 2: 1}
    assert seen.quiz_days == (TODAY - 2,)
    assert seen.minutes_a_day == pytest.approx(2 / 3)
    assert work(NO_HABITS, 0).minutes_a_day is None


def test_the_time_of_a_run_an_answer_and_a_quiz_counts_up_to_an_hour() -> None:
    run = event("execution", {"outcome": "success", "topic": "loops", "duration": 9_999.9})
    habits = with_work(NO_HABITS, logged([run, answer(correct=True, duration=30.5), quiz_at(0, 5)]), 0, RULES)
    assert work(habits, 0).seconds == 3_600 + 30


def test_partial_credit_counts_as_the_questions_lost() -> None:
    low = event("quiz", {"total_questions": 10, "correct_answers": 2.6, "time_spent": 20}, "q")
    asked = work(with_work(NO_HABITS, logged([low]), 0, RULES), 0).asked
    assert (asked.timed, asked.wrong, asked.fast, asked.fast_wrong) == (10, 7, 10, 7)


def test_what_is_no_work_is_not_counted() -> None:
    asked = [set_to("1", quiz=1.0), event("recommendation.followed", {"recommendation_id": "r"}, "2")]
    assert with_work(NO_HABITS, logged(asked), 0, RULES) is NO_HABITS


def test_counters_are_full_at_255() -> None:
    habits = with_work(NO_HABITS, logged([help_at(1, 9) for _ in range(300)]), 0, RULES)
    assert work(habits, 0).days == {TODAY - 1: 255}
    assert max(work(habits, 0).hours) == 255


def test_a_block_goes_as_soon_as_its_first_day_leaves_the_retention() -> None:
    habits = with_work(NO_HABITS, logged([help_at(0), help_at(60)]), 0, RULES)
    first, last = [block.number for block in blocks_of(habits)]
    assert first < last
    assert since(habits, first * 15) is habits
    assert [block.number for block in blocks_of(since(habits, first * 15 + 1))] == [last]
    assert with_work(NO_HABITS, logged([help_at(60)]), first * 15 + 1, RULES) == NO_HABITS


@given(by_id(envelopes(last=NOW), max_size=10))
def test_habits_are_the_same_in_any_batches_and_survive_the_store(sent: list[dict[str, Any]]) -> None:
    events = [
        event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=NOW) for one in sent
    ]
    one_by_one = NOBODY
    for place, one in enumerate(events):
        one_by_one = apply(one_by_one, logged([one], first=place), NOW, RULES).student
    at_once = apply(NOBODY, logged(events), NOW, RULES).student
    assert one_by_one.guidance.habits == at_once.guidance.habits
    assert unpack(pack(at_once)) == at_once
    left = aged(at_once, {}, NOW + 89 * DAY, RULES)
    if left is not None:
        assert all(block.number * 15 >= TODAY for block in blocks_of(left.student.guidance.habits))
