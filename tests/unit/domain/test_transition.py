"""The fold: what moves a document, what it sends, and what it leaves as it is."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.seen import MANY, MOST_HELD, IdsByDay
from mastery_engine.domain.evidence.history import Point
from mastery_engine.domain.evidence.moves import Moved, MovedBy
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.ids import seen_hash
from mastery_engine.domain.moments import DAY, moment_of
from mastery_engine.domain.results import Pending, ThresholdReached, Updated, message
from mastery_engine.domain.rules import COMPONENTS, Level, Rules
from mastery_engine.domain.skills.next_answer.levels import ItemLevel
from mastery_engine.domain.skills.next_answer.parameters import AnswerModels, AnswerParameters, LevelRevision
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import Transition, aged, apply, needs_cold
from tests.support.samples import (
    ANSWER,
    CURRICULUM,
    HOUR,
    NOW,
    TODAY,
    by_id,
    done,
    envelopes,
    event,
    helped,
    logged,
    quiz,
)
from tests.support.samples import given as set_to

RULES = Rules()


class Fold:
    """A student's document and its cold ids, moved as the service moves them."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.student: Student = NOBODY
        self.cold: IdsByDay = {}
        self.offset = 0

    def __call__(
        self, *events: LearningEvent, at: int = NOW, settled: dict[int, int] | None = None, is_busy: bool = False
    ) -> Transition:
        arrived = logged(events, first=self.offset)
        self.offset += len(events)
        cold = self.cold if needs_cold(self.student, arrived, is_busy=is_busy) else None
        done = apply(self.student, arrived, at, self.rules, cold=cold, settled=settled, is_busy=is_busy)
        self.student = done.student
        self.cold = self.cold if done.cold is None else done.cold
        return done

    @property
    def points(self) -> list[Point]:
        return list(self.student.history.points())


def scores(*of_days: tuple[int, float]) -> list[tuple[int, Any]]:
    return [(TODAY - back, pytest.approx(score, abs=1e-4)) for back, score in of_days]


def known(fold: Fold) -> list[tuple[int, float]]:
    """The daily quiz shares, by which these tests tell the points."""
    return [(point.day, point.components[1] or 0.0) for point in fold.points]


def near(value: float) -> Any:
    return pytest.approx(value, abs=1e-12)


# ---- twice is once


def test_a_repeat_changes_nothing_and_sends_nothing() -> None:
    fold = Fold()
    first = quiz(1, 2)
    fold(first)
    before = fold.student
    for again in (first, quiz(2, 2), quiz(2, 2, at=NOW + HOUR, received=NOW + HOUR)):
        repeated = fold(again, at=NOW + HOUR)
        assert repeated.student is before
        assert (repeated.new, repeated.cold) == ((), None)


def test_of_one_id_in_one_batch_the_first_counts() -> None:
    fold = Fold()
    assert fold(quiz(1, 4, "e"), quiz(4, 4, "e"), quiz(1, 4, "f")).new == (quiz(1, 4, "e"), quiz(1, 4, "f"))
    assert fold.student.evidence.quiz.mean(0) == pytest.approx(1 / 4, abs=1e-12)


def test_ids_that_differ_in_case_are_two_events() -> None:
    fold = Fold()
    assert len(fold(quiz(1, 2, "e"), quiz(1, 2, "E")).new) == 2


@pytest.mark.usefixtures("cold_after_a_week")
def test_of_many_at_once_those_known_before_and_those_that_come_twice_count_once() -> None:
    """From ``MANY`` on they are looked up together, the cold ones too."""
    at = NOW + 9 * DAY
    fold = Fold()
    fold(*[helped(f"old-{number}") for number in range(3)])
    fold(helped("hot", at=at, received=at), at=at)
    assert fold.cold
    new = [helped(f"new-{number}", at=at, received=at) for number in range(MANY)]
    done = fold(*new, *new, helped("hot"), *[helped(f"old-{number}") for number in range(3)], at=at)
    assert [one.event_id for one in done.new] == [one.event_id for one in new]
    assert all(fold.student.seen.holds(seen_hash(one.event_id)) for one in (*new, helped("hot")))


@pytest.mark.parametrize("later", [1, 6, 7, 8, 30, 88, 89])
@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("most_held", [0, 20, MOST_HELD])
def test_a_repeat_after_days_is_still_a_repeat(
    later: int, others: int, most_held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others come in between, so that the id may have moved to the cold value by then."""
    monkeypatch.setattr("mastery_engine.domain.events.seen.MOST_HELD", most_held)
    fold = Fold()
    first = quiz(1, 2, "e")
    fold(first)
    for day in range(1, later + 1):
        for number in range(others):
            at = NOW + day * DAY
            fold(helped(f"{day}-{number}", at=at, received=at), at=at)
    before = fold.student
    again = quiz(1, 2, "e", received=NOW + later * DAY)
    assert fold(again, at=NOW + later * DAY).student is before


def test_few_ids_stay_in_the_document_for_the_whole_retention() -> None:
    """Without a cold value or a filter, and without being asked for one; those that can no longer come again go."""
    fold = Fold()
    for day in range(120):
        at = NOW + day * DAY
        own = [helped(f"{day}-{number}", at=at, received=at) for number in range(4)]
        assert not needs_cold(fold.student, logged(own))
        assert fold(*own, at=at).cold is None
        assert not fold.student.seen.cold_filter
        held = range(max(0, day - 91), day + 1)
        assert [*fold.student.seen.recent] == [TODAY + day for day in held]
        assert len(fold.student.seen.ids) == 4 * 6 * len(held)
    before = fold.student
    again = [helped(f"{day}-0", at=at, received=at) for day in range(28, 120)]
    assert fold(*again, at=at).student is before


def test_of_many_ids_the_old_ones_go_to_the_cold_value_and_come_back_when_they_are_few_again() -> None:
    fold, fewest = Fold(), MOST_HELD
    for day in range(120):
        at = NOW + day * DAY
        for number in range(12 if day < 50 else 1):
            fold(helped(f"{day}-{number}", at=at, received=at), at=at)
        held, cold = len(fold.student.seen.ids) // 6, sum(map(len, fold.cold.values())) // 6
        assert bool(cold) == bool(fold.student.seen.cold_filter) == (held + cold > MOST_HELD)
        assert held <= MOST_HELD + 12
        fewest = min(fewest, held) if cold else fewest
    assert fewest < 20
    assert fold.cold == {}
    assert fold(*[helped(f"{day}-0", at=at, received=at) for day in range(28, 120)], at=at).new == ()


@pytest.mark.usefixtures("cold_after_a_week")
def test_ids_go_to_the_cold_value_after_7_days_and_the_document_stays_small() -> None:
    fold = Fold()
    for day in range(30):
        for number in range(10):
            at = NOW + day * DAY + number
            fold(helped(f"{day}-{number}", at=at, received=at), at=at)
        assert sum(map(len, fold.student.seen.recent.values())) <= 6 * 10 * 8
    assert sorted(fold.cold) == [TODAY + day for day in range(23)]


@pytest.mark.usefixtures("cold_after_a_week")
def test_in_busy_hours_ids_go_to_the_cold_value_once_a_week_and_repeats_are_repeats() -> None:
    """Each of 40 mornings is busy; every third one brings an id again, which may be cold by then."""
    fold = Fold()
    moved = []
    for day in range(40):
        at = NOW + day * DAY
        fold(helped(f"{day}-a", at=at, received=at), at=at, is_busy=True)
        before = fold.student
        assert fold(helped(f"{day // 3}-a", at=at, received=at), at=at, is_busy=True).student is before
        moved.append(len(fold.cold))
        assert sum(map(len, fold.student.seen.recent.values())) <= 6 * 14
    assert len(set(moved)) == 5, "four times within 40 days, and not on each of 33"
    fold(helped("quiet", at=at, received=at), at=at)
    assert sorted(fold.cold) == [TODAY + day for day in range(33)]


@pytest.mark.usefixtures("cold_after_a_week")
def test_an_old_receipt_takes_no_cold_ids_away() -> None:
    """As when a dead letter is redriven: its receipt is weeks old, and nothing else in the document is."""
    fold = Fold()
    fold(quiz(1, 2, "first"))
    later = NOW + 20 * DAY
    fold(helped("then", at=later, received=later), at=later)
    assert fold.cold
    fold(quiz(1, 2, "redriven", at=NOW + 5 * DAY, received=NOW + 5 * DAY), at=later)
    before = fold.student
    for name in ("first", "then", "redriven"):
        assert fold(quiz(0, 9, name, at=later, received=later), at=later).student is before


@pytest.mark.usefixtures("cold_after_a_week")
def test_a_batch_of_many_days_takes_no_cold_ids_away() -> None:
    """As when a worker was away for weeks, and no recent ids are left."""
    fold = Fold()
    fold(quiz(1, 2, "first"))
    left = aged(fold.student, fold.cold, NOW + 8 * DAY, RULES)
    assert left is not None
    assert left.cold is not None
    fold.student, fold.cold = left.student, left.cold
    days = [NOW + day * DAY for day in (9, 12, 30)]
    fold(*[helped(f"e{at}", at=at, received=at) for at in days], at=days[-1])
    before = fold.student
    assert fold(quiz(0, 9, "first", received=days[-1]), at=days[-1]).student is before


# ---- the daily history


def test_each_day_has_the_score_at_its_last_event() -> None:
    fold = Fold()
    fold(quiz(1, 2, "1", at=NOW - DAY, received=NOW))
    fold(quiz(0, 2, "2", at=NOW - HOUR, received=NOW), quiz(0, 2, "3", received=NOW))
    early, late = 2 ** (-1 / 14), 2 ** (-1 / 24 / 14)
    assert known(fold) == scores((1, 0.5), (0, 0.5 * early / (early + late + 1)))
    assert known(Fold()) == []


def test_an_event_on_the_newest_points_day_sets_it_also_if_earlier() -> None:
    fold = Fold()
    fold(quiz(2, 2, "1"))
    assert known(fold) == scores((0, 1.0))
    fold(quiz(0, 2, "2", at=NOW - HOUR, received=NOW))
    half = 2 ** (-1 / 24 / 14)
    assert known(fold) == scores((0, 1 / (1 + half)))


def test_an_older_event_changes_no_past_point_but_the_score() -> None:
    fold = Fold()
    fold(quiz(2, 2, "1", at=NOW - DAY, received=NOW), quiz(2, 2, "2"))
    before = fold.points
    fold(quiz(0, 2, "3", at=NOW - DAY, received=NOW), quiz(0, 2, "4", at=NOW - 9 * DAY, received=NOW))
    assert fold.points == before
    assert (fold.student.evidence.quiz.mean(0) or 1) < 0.6


def test_the_past_is_as_known_then_also_within_one_batch() -> None:
    """The point of today was set before the older event came, so it does not know of it."""
    fold = Fold()
    fold(quiz(2, 2, "1"), quiz(0, 20, "2", at=NOW - DAY, received=NOW))
    assert known(fold) == scores((0, 1.0))


def test_the_point_of_a_past_day_is_the_score_of_that_day() -> None:
    fold = Fold()
    fold(helped(at=NOW - 10 * DAY, received=NOW), at=NOW)
    (point,) = fold.points
    assert point.day == TODAY - 10
    assert point.components[3] == pytest.approx(1 / 5.217031, abs=1e-4)


def test_points_older_than_the_retention_are_dropped() -> None:
    fold = Fold()
    fold(quiz(1, 2, "1"))
    at = NOW + 89 * DAY
    fold(quiz(1, 2, "2", at=at, received=at), at=at)
    assert [point.day - TODAY for point in fold.points] == [0, 89]
    fold(quiz(1, 2, "3", at=at + DAY, received=at + DAY), at=at + DAY)
    assert [point.day - TODAY for point in fold.points] == [89, 90]


def accepted(sent: list[dict[str, Any]], receipts: list[int]) -> list[LearningEvent]:
    """The events, received so many days after their own time but never before the one that came earlier."""
    events, received = [], 0
    for one, late in zip(sent, receipts, strict=True):
        at = moment_of(datetime.fromisoformat(one["timestamp"]))
        received = max(received, at + late * DAY)
        if at // DAY > received // DAY - 90:
            events.append(
                event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=received)
            )
    return events


arrivals = by_id(envelopes(first=NOW - 200 * DAY), max_size=8).flatmap(
    lambda sent: st.tuples(st.just(sent), st.lists(st.integers(0, 80), min_size=len(sent), max_size=len(sent)))
)


@given(arrivals, st.sets(st.integers(1, 7)))
def test_the_document_is_the_same_in_whichever_batches_events_arrive(
    arrived: tuple[list[dict[str, Any]], list[int]], cuts: set[int]
) -> None:
    events = accepted(*arrived)
    one_by_one, batched = Fold(), Fold()
    for one in events:
        one_by_one(one)
    places = [0, *sorted(cuts), len(events)]
    for start, end in pairwise(places):
        if events[start:end]:
            batched(*events[start:end])
    ours, theirs = one_by_one.student, batched.student
    assert one_by_one.points == batched.points
    assert (ours.latest, ours.received, ours.floor) == (theirs.latest, theirs.received, theirs.floor)
    assert (ours.evidence.completion, ours.evidence.activity) == (theirs.evidence.completion, theirs.evidence.activity)
    assert ours.evidence.direct == theirs.evidence.direct


@given(by_id(envelopes(last=NOW), min_size=2, max_size=10))
def test_events_older_than_the_newest_point_change_no_point(sent: list[dict[str, Any]]) -> None:
    events = [
        event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=NOW) for one in sent
    ]
    newest = max(event.at // DAY for event in events)
    fold = Fold()
    fold(*[one for one in events if one.at // DAY == newest])
    before = fold.points
    for one in events:
        if one.at // DAY < newest:
            fold(one)
            assert fold.points == before


# ---- what is sent


def sent(done: Transition, since: int = 0) -> list[Any]:
    return [pending.result for pending in done.student.outbox[since:]]


def test_a_batch_sends_one_update_that_names_all_its_causes() -> None:
    fold = Fold()
    events = (quiz(1, 2, "1", tenant="default"), helped("2"), quiz(2, 2, "3"))
    (update,) = sent(fold(*events, at=NOW + 5))
    assert isinstance(update, Updated)
    score = mastery_score(fold.student.evidence, NOW + 5, RULES)
    assert (update.tenant, update.student_id, update.at) == ("default", "ada", NOW + 5)
    assert update.caused_by == ("1", "2", "3")
    assert (update.score, update.previous_score, update.level) == (round(score.score, 4), 0.0, "beginner")
    assert (update.components, update.coverage) == (score.components, score.coverage)


def test_a_score_just_below_a_bound_is_sent_below_it() -> None:
    fold = Fold()
    (update,) = sent(fold(set_to("1", completion=0.4, quiz=0.4, quality=0.4, consistency=0.3996)))
    assert (update.score, update.level, message(update).mastery_score) == (0.3999, "beginner", 0.3999)
    four = dict.fromkeys(COMPONENTS, 0.59996)
    later, reached = sent(fold(set_to("2", at=NOW + 1, **four), at=NOW + 1), 1)
    for one in map(message, (later, reached)):
        assert (one.mastery_score, one.level, one.previous_score) == (0.5999, "developing", 0.3999)


def test_repeats_are_no_cause() -> None:
    fold = Fold()
    fold(quiz(1, 2, "1"))
    done = fold(quiz(1, 2, "1"), helped("2"), quiz(1, 2, "1"))
    assert sent(done)[1].caused_by == ("2",)
    assert done.student.outbox[1].offset == 2


def test_a_level_that_changes_is_told_up_and_down_and_only_then() -> None:
    fold = Fold()
    fold(set_to("1", completion=1.0, quiz=1.0))
    assert sent(fold(set_to("2", at=NOW + 1, quality=0.1)), 2) == [
        Updated("default", "ada", NOW, ("2",), near(0.72), near(0.7), "competent",
                (1.0, 1.0, 0.1, None), near(0.9), None,
                (Moved(2, near(0.02), (MovedBy("calculation", None, 1, near(0.02)),)),), named_by_fold=True)
    ]  # fmt: skip
    down = sent(fold(set_to("3", at=NOW + 2, completion=0.0), at=NOW + 9), 3)
    assert down[1] == ThresholdReached(
        "default", "ada", NOW + 9, ("3",), "beginner", "competent", near(0.32), near(0.72), named_by_fold=True
    )
    assert len(down) == 2


def test_the_first_level_is_told_where_it_is_not_the_lowest() -> None:
    first = sent(Fold()(set_to(completion=1.0)))
    assert first[1] == ThresholdReached(
        "default", "ada", NOW, ("e-1",), "developing", "beginner", 0.4, 0.0, named_by_fold=True
    )
    assert len(sent(Fold()(helped()))) == 1


def test_a_schools_lowest_level_is_where_everybody_starts() -> None:
    rules = Rules(levels=(Level("seed", 0.0), Level("tree", 0.5)))
    assert sent(Fold(rules)(set_to(completion=1.0, quiz=1.0)))[1].previous_level == "seed"


def test_results_are_compared_with_what_was_last_sent_not_with_what_time_made_of_it() -> None:
    fold = Fold()
    fold(quiz(2, 2, "1"))
    before = fold.student.sent.score
    at = NOW + 60 * DAY
    later = sent(fold(helped("2", at=at, received=at), at=at))[-1]
    assert later.previous_score == round(before, 4)


def test_results_wait_in_the_document_until_they_are_settled() -> None:
    fold = Fold()
    for number in range(4):
        fold(helped(str(number)))
    assert [pending.offset for pending in fold.student.outbox] == [0, 1, 2, 3]
    fold(helped("4"), settled={1: 9})  # another partition's
    assert [pending.offset for pending in fold.student.outbox] == [0, 1, 2, 3, 4]
    fold(helped("5"), settled={0: 3})
    assert [pending.offset for pending in fold.student.outbox] == [3, 4, 5]
    before = fold.student
    assert fold(helped("5"), settled={0: 9}).student is before


def test_what_waits_says_where_its_last_event_stands() -> None:
    student = apply(NOBODY, logged([helped("1"), helped("2")], first=41), NOW, RULES).student
    assert isinstance(student.outbox[0], Pending)
    assert (student.outbox[0].partition, student.outbox[0].offset) == (0, 42)


# ---- the retention


def test_evidence_older_than_the_retention_leaves_the_document() -> None:
    fold = Fold()
    fold(quiz(1, 2, "1"), done("loops", 1, 2, "2"), set_to("3", quality=0.5))
    at = NOW + 90 * DAY
    fold(helped("4", at=at, received=at), at=at)
    evidence = fold.student.evidence
    assert (evidence.completion, evidence.quiz.days, evidence.direct) == ({}, b"", (None,) * 4)
    assert fold.student.floor == TODAY + 1


def test_an_event_that_was_received_long_ago_and_has_aged_since_leaves_no_trace_in_the_score() -> None:
    """As when it is redriven: its receipt lets it count, but its day is past."""
    fold = Fold()
    at = NOW + 95 * DAY
    fold(quiz(1, 1, "new", at=at, received=at), at=at)
    before = fold.student.evidence
    fold(quiz(0, 9, "old"), done("loops", 1, 2, "old-2"), at=at)
    assert fold.student.evidence == before
    assert [point.day for point in fold.points] == [TODAY + 95]
    assert fold.student.received == at
    first = Fold()
    first.student = aged_to(at)
    first(quiz(0, 9, "old"), at=at)
    assert first.points == []


def aged_to(at: int) -> Student:
    """A document without points that was aged at a moment."""
    fold = Fold()
    fold(helped(at=at - 89 * DAY, received=at), at=at)
    left = aged(fold.student, fold.cold, at + DAY, RULES)
    assert left is not None
    return left.student


def test_ageing_takes_out_what_is_old_and_leaves_the_rest() -> None:
    fold = Fold()
    fold(quiz(1, 2, "1", at=NOW - 9 * DAY, received=NOW), quiz(2, 2, "2"))
    left = aged(fold.student, fold.cold, NOW + 81 * DAY, RULES)
    assert left is not None
    assert left.student.evidence.quiz.mean(0) == 1.0
    assert [point.day for point in left.student.history.points()] == [TODAY]
    assert left.student.floor == TODAY + 81 - 89
    assert left.student.outbox == fold.student.outbox
    assert left.new == ()


def test_ageing_changes_no_score() -> None:
    fold = Fold()
    for day in range(0, 90, 7):
        at = NOW + day * DAY
        fold(quiz(day % 5, 5, f"e{day}", at=at, received=at), at=at)
    for later in range(90, 180, 5):
        at = NOW + later * DAY
        left = aged(fold.student, fold.cold, at, RULES)
        if left is not None:
            assert mastery_score(left.student.evidence, at, RULES) == mastery_score(fold.student.evidence, at, RULES)


def test_a_document_goes_when_neither_evidence_nor_ids_are_left() -> None:
    fold = Fold()
    fold(quiz(1, 2))
    kept = aged(fold.student, fold.cold, NOW + 90 * DAY, RULES)
    assert kept is not None  # the id is kept for two days more: those of a course begin at another time
    assert not kept.student.is_known(NOW + 90 * DAY, RULES)
    assert aged(kept.student, kept.cold or {}, NOW + 91 * DAY, RULES) is not None
    assert aged(kept.student, kept.cold or {}, NOW + 92 * DAY, RULES) is None
    assert aged(NOBODY, {}, NOW, RULES) is None


def test_a_repeat_of_what_has_aged_is_still_a_repeat() -> None:
    fold = Fold()
    late = quiz(1, 2, "e", at=NOW - 80 * DAY, received=NOW)
    fold(late)
    left = aged(fold.student, fold.cold, NOW + 20 * DAY, RULES)
    assert left is not None
    fold.student, fold.cold = left.student, left.cold or {}
    assert fold(late, at=NOW + 20 * DAY).student is left.student


def test_the_floor_never_falls() -> None:
    fold = Fold()
    fold(helped("1"))
    left = aged(fold.student, fold.cold, NOW - 9 * DAY, RULES)
    assert left is not None
    assert left.student.floor == fold.student.floor == TODAY - 89


@pytest.mark.usefixtures("cold_after_a_week")
def test_only_due_or_suspected_ids_ask_for_the_cold_value() -> None:
    fold = Fold()
    assert not needs_cold(NOBODY, logged([helped()]))
    fold(helped("1"))
    assert not needs_cold(fold.student, logged([helped("2", at=NOW + 6 * DAY, received=NOW + 6 * DAY)]))
    assert needs_cold(fold.student, logged([helped("2", at=NOW + 7 * DAY, received=NOW + 7 * DAY)]))
    fold(helped("2", at=NOW + 7 * DAY, received=NOW + 7 * DAY))
    assert needs_cold(fold.student, logged([helped("1")]))
    asked = [needs_cold(fold.student, logged([helped(f"other-{n}")])) for n in range(100)]
    assert sum(asked) < 20


# ---- in a course


def test_results_name_the_course_of_their_events() -> None:
    fold = Fold()
    wrong = {"outcome": "error", "error_type": "NameError", "topic": "loops"}
    errors = [event("execution", wrong, f"x-{number}", course_id="rust") for number in range(3)]
    arrived = logged([quiz(9, 10, "q", course_id="rust"), *errors])
    done_there = apply(fold.student, arrived, NOW, RULES, curriculum=CURRICULUM)
    results = [pending.result for pending in done_there.student.outbox]
    assert {type(result).__name__ for result in results} == {
        "Updated",
        "StruggleDetected",
        "PathRecommended",
    }
    assert {result.course_id for result in results} == {"rust"}
    fold(quiz(9, 10, "q"))
    assert {pending.result.course_id for pending in fold.student.outbox} == {"default"}


def test_an_answer_goes_by_what_its_course_has_learned() -> None:
    hard = AnswerParameters(revisions=(LevelRevision(items={"i-1": ItemLevel(3.0, 0.1)}),))
    models = AnswerModels({"default/rust": hard})
    told = [
        apply(
            NOBODY, logged([event("answer", ANSWER, course_id=course_id)]), NOW, RULES, answers=models
        ).student.answers
        for course_id in ("default", "rust")
    ]
    unlearned = apply(NOBODY, logged([event("answer", ANSWER)]), NOW, RULES).student.answers
    assert told[0] == unlearned != told[1]
