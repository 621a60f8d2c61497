"""What changed between two days, and why: against a plain re-computation, and in words."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given as over
from hypothesis import strategies as st

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import Answer, Completion
from mastery_engine.domain.evidence.attempts import MAX_ATTEMPTS
from mastery_engine.domain.evidence.causes import SEVERAL_CODE, STARTED_CODE, Cause
from mastery_engine.domain.evidence.changes import ScoreChange, score_change, words
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, Evidence, with_event
from mastery_engine.domain.evidence.history import History
from mastery_engine.domain.evidence.score import components, mastery_score
from mastery_engine.domain.moments import DAY, Day, Micros, day_of
from mastery_engine.domain.rules import COMPONENTS, Rules
from mastery_engine.domain.student import NOBODY, Student, pack, unpack
from mastery_engine.domain.transition import aged, apply
from tests.support.samples import (
    HOUR,
    NOW,
    QUALITY,
    TODAY,
    answered,
    by_id,
    done,
    envelopes,
    event,
    given,
    helped,
    logged,
    quiz,
)

RULES = Rules()
EVIDENCE = ("completion", "quiz", "quality", "answer")


def folded(*batches: Sequence[LearningEvent], rules: Rules = RULES, start: Student = NOBODY) -> Student:
    """The document after batches, each folded at the receipt of its last event, through its stored form."""
    student = start
    for batch in batches:
        at = max(one.received for one in batch)
        student = unpack(pack(apply(student, logged(batch), at, rules, cold={}).student))
    return student


def changed(student: Student, first: Day, last: Day = TODAY, *, now: Micros = NOW, rules: Rules = RULES) -> ScoreChange:
    change = score_change(student, first, last, now, rules)
    assert sum(one.change for one in change.contributions) == pytest.approx(change.change, abs=1e-12)
    assert [one.component for one in change.contributions] == list(COMPONENTS)
    for one in change.contributions:
        assert sum(cause.change for cause in one.causes) == pytest.approx(one.change, abs=1e-9), one
    # The ends are what the other calls show; they show 4 decimals.
    assert change.change == pytest.approx(change.score - change.previous_score, abs=1.2e-4)
    return change


def points(change: ScoreChange) -> dict[str, float]:
    return {cause.message: cause.change for one in change.contributions for cause in one.causes}


REGRADED = "A mark on loops corrected to 50%"


def tried(correct: float, event_id: str, *, at: Micros = NOW, attempt: str = "try") -> LearningEvent:
    """A quiz on loops, of an attempt."""
    data = {"total_questions": 10, "correct_answers": correct, "topic": "loops", "attempt_id": attempt}
    return event("quiz", data, event_id, at=at, received=NOW)


def on(day: Day, hour: int = 10) -> Micros:
    return day * DAY + hour * HOUR


# ---- the ends, the components and the causes against a plain re-computation

# Days named in retrospect are left out: a past day's score has them as if they had been known then.
LIVE = (*EVIDENCE, "execution", "recommendation.dismissed")
live = by_id(envelopes(first=NOW - 25 * DAY, last=NOW, kinds=LIVE), min_size=1, max_size=14)
cuts = st.sets(st.integers(1, 13), max_size=5)


def in_time(envelopes: Sequence[dict[str, Any]]) -> list[LearningEvent]:
    """The events, each received at its own time, in that order."""
    return sorted([_received(one, one.at) for one in accepted(envelopes)], key=lambda one: one.at)


def accepted(envelopes: Sequence[dict[str, Any]]) -> list[LearningEvent]:
    return [
        event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=NOW)
        for one in envelopes
    ]


def _received(one: LearningEvent, at: Micros) -> LearningEvent:
    return LearningEvent(one.event_id, one.student_id, one.at, at, one.data)


def batches_of(events: Sequence[LearningEvent], cuts: set[int]) -> list[Sequence[LearningEvent]]:
    places = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    return [events[a:b] for a, b in pairwise(places)]


@over(live, cuts, st.integers(0, 30), st.integers(0, 30))
def test_ends_components_and_causes_are_those_of_folding_each_event_anew(
    sent: list[dict[str, Any]], cuts: set[int], one_end: int, other_end: int
) -> None:
    events = in_time(sent)
    student = folded(*batches_of(events, cuts))
    first, last = TODAY - max(one_end, other_end), TODAY - min(one_end, other_end)
    change = changed(student, first, last)

    def ends_of(day: Day) -> tuple[Evidence, Micros]:
        end, evidence = min(NOW, (day + 1) * DAY - 1), NO_EVIDENCE
        for one in events:
            if one.at <= end:
                evidence = with_event(evidence, one, Rules())
        return evidence, end

    begin, end = (mastery_score(*ends_of(day), RULES) for day in (first, last))
    assert change.previous_score == pytest.approx(begin.score, abs=1.1e-4)
    assert change.score == pytest.approx(end.score, abs=1.1e-4)
    assert change.change == pytest.approx(end.score - begin.score, abs=2e-5)
    for one, before, after, weight in zip(
        change.contributions, begin.components, end.components, RULES.component_weights, strict=True
    ):
        assert one.change == pytest.approx(weight * ((after or 0.0) - (before or 0.0)), abs=1e-5)
    expected: dict[tuple[str, str, str | None], list[float]] = defaultdict(lambda: [0, 0.0])
    evidence = NO_EVIDENCE
    for one_event in events:
        before, evidence = evidence, with_event(evidence, one_event, Rules())
        data: Any = one_event.data
        if max(first, TODAY - 14) < day_of(one_event.at) <= last and one_event.event_type in EVIDENCE:
            place = {"completion": 0, "quality": 2}.get(one_event.event_type, 1)
            old, new = (components(known, one_event.at, RULES)[place] or 0.0 for known in (before, evidence))
            topic = (data.skills or (None,))[0] if type(data) is Answer else data.topic
            kind = one_event.event_type
            if type(data) is Completion:
                kind = "completion" if (data.topic or "") in before.completion else "started"
            elif data.attempt_id is not None or (type(data) is Answer and data.part_of is not None):
                known, word = before.word_on(data), evidence.word_on(data)
                if word == known or not any(one is not None and one.weight for one in (known, word)):
                    continue
                kind = kind if known is None else "regrade"
            cause = expected[COMPONENTS[place], kind, topic]
            cause[0] += 1
            cause[1] += RULES.component_weights[place] * (new - old)
    found = {
        (one.component, cause.kind, cause.topic): [cause.events, cause.change]
        for one in change.contributions
        for cause in one.causes
        if cause.kind not in ("active", "away", "earlier")
    }
    assert found.keys() == expected.keys()  # nothing aged
    for key, (number, moved) in expected.items():
        assert found[key] == [number, pytest.approx(moved, abs=1e-5 * number)]


stories = by_id(envelopes(first=NOW - 89 * DAY, last=NOW), min_size=1, max_size=12)


@over(stories, st.randoms(use_true_random=False), st.sets(st.integers(1, 11), max_size=5), st.integers(0, 40))
def test_causes_sum_to_the_change_whatever_came_in_whichever_order(
    sent: list[dict[str, Any]], chance: Any, cuts: set[int], later: int
) -> None:
    """Late, with days named ahead, set directly, with purges between, and as evidence leaves the retention."""
    events = accepted(sent)
    chance.shuffle(events)
    student, at = NOBODY, NOW
    for batch in batches_of(events, cuts):
        student = folded(batch, start=student)
        if chance.random() < 0.3:
            purged = aged(student, {}, NOW, RULES)
            student = student if purged is None else purged.student
    at = NOW + later * DAY
    if chance.random() < 0.5:
        student = folded([_received(helped("later", at=at), at)], start=student)
    for _ in range(6):
        first, last = sorted(
            (chance.randrange(TODAY - 95, day_of(at) + 1), chance.randrange(TODAY - 95, day_of(at) + 1))
        )
        changed(student, first, last, now=at)


def rows(student: Student) -> list[tuple[Any, ...]]:
    return sorted(
        (day, cause.code, cause.topic or "", cause.events, cause.moved) for day, cause in student.causes.each()
    )


@over(stories, st.randoms(use_true_random=False), st.sets(st.integers(1, 11), max_size=6))
def test_causes_do_not_depend_on_how_events_are_split_into_batches(
    sent: list[dict[str, Any]], chance: Any, cuts: set[int]
) -> None:
    events = accepted(sent)
    chance.shuffle(events)
    assert (
        merged(folded(*batches_of(events, cuts)))
        == merged(folded(*[[one] for one in events]))
        == merged(folded(events))
    )


def merged(student: Student) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Rows of the same day and cause together: what came late may stand in two."""
    found: dict[tuple[Any, ...], tuple[int, int]] = {}
    for day, code, topic, events, moved in rows(student):
        known = found.get((day, code, topic), (0, 0))
        found[day, code, topic] = (known[0] + events, known[1] + moved)
    return found


def test_events_that_move_nothing_between_those_of_one_component_change_no_cause() -> None:
    events = [quiz(1, 2, "a"), helped("b"), quiz(0, 1, "c"), answered("d")]
    found = points(changed(folded(events), TODAY - 1))
    assert found == points(changed(folded(*[[one] for one in events]), TODAY - 1))
    assert found.keys() == {"2 quizzes with 25% on average", "An answer on loops, 100% right", "Active on 1 day"}


def test_components_that_take_turns_in_a_batch_keep_their_causes_apart() -> None:
    def about(topic: str, correct: int, event_id: str) -> LearningEvent:
        return event("quiz", {"total_questions": 4, "correct_answers": correct, "topic": topic}, event_id)

    events = [about("a", 4, "0"), done("x", 1, 4, "1"), done("x", 2, 4, "2"), about("b", 0, "3"), about("c", 3, "4")]
    events += [done("x", 3, 4, "5"), done("y", 1, 8, "6"), about("d", 1, "7")]
    assert merged(folded(events)) == merged(folded(*[[one] for one in events]))


@pytest.mark.parametrize("split", [1_000, 1])
def test_a_busy_day_counts_every_event(split: int) -> None:
    """More than a row has room for, in one batch or in many."""
    answers = [answered(f"{n}", at=NOW - 700 + n, correct=n % 2 == 0) for n in range(600)]
    student = folded(*[answers[start : start + split] for start in range(0, 600, split)])
    (cause,) = (cause for one in changed(student, TODAY - 1).contributions for cause in one.causes if cause.topic)
    assert (cause.events, cause.message) == (600, "600 answers on loops, 50% right")
    assert cause.change == pytest.approx(0.15, abs=1e-5)


# ---- in words


def test_a_week_is_told_in_plain_words() -> None:
    student = folded(
        *[
            [one]
            for one in (
                done("basics", 10, 10, "a", at=on(TODAY - 9)),
                quiz(9, 10, "b", at=on(TODAY - 8)),
                done("loops", 0, 10, "c", at=on(TODAY - 5)),
                event("quiz", {"total_questions": 5, "correct_answers": 2, "topic": "loops"}, "d", at=on(TODAY - 4)),
                answered("e", at=on(TODAY - 3), correct=False),
                answered("f", at=on(TODAY - 3, 11)),
                event(
                    "quality",
                    {**dict.fromkeys(("code_quality_score", "correctness_score", "efficiency_score"), 0.7)},
                    "g",
                    at=on(TODAY - 2),
                ),
                given("h", at=on(TODAY - 1), completion=0.8),
            )
        ]
    )
    change = changed(student, TODAY - 7)
    assert change.known_since is None
    found = points(change)
    assert found.keys() == {
        "Started the chapter loops: 0 of 10 done",
        "A quiz on loops with 40%",
        "2 answers on loops, 50% right",
        "A review with 70%",
        "Set to 80% by a calculation",
        "Active on 4 days",
        "3 days away",
    }
    assert found["Started the chapter loops: 0 of 10 done"] == pytest.approx(-0.2, abs=2e-5)
    assert found["Set to 80% by a calculation"] == pytest.approx(0.12, abs=2e-5)
    assert found["A review with 70%"] == pytest.approx(0.14, abs=2e-5)
    assert found["A quiz on loops with 40%"] < 0 < found["Active on 4 days"]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([done("loops", 3, 10, "a"), done("loops", 5, 10, "b")], "Exercises on loops: 5 of 10 done"),
        ([done(None, 1, 4, "a")], "Started the exercises: 1 of 4 done"),
        ([done("loops", 1, 4, "a"), done("loops", 3, 10, "b")], "Started the chapter loops: 25% done"),
        ([quiz(1, 2, "a"), quiz(1, 1, "b")], "2 quizzes with 75% on average"),
        ([answered("a")], "An answer on loops, 100% right"),
        (
            [
                event("quality", dict.fromkeys(("code_quality_score", "correctness_score", "efficiency_score"), 0.5), n)
                for n in "ab"
            ],
            "2 reviews with 50% on average",
        ),
        ([tried(2, "a"), tried(8, "b")], "A mark on loops corrected to 80%"),
        ([tried(2, "a"), tried(8, "b"), tried(4.5, "c")], "2 marks on loops corrected, the last to 45%"),
        ([answered("a", attempt_id="x", correct=False), answered("b", attempt_id="x", score=0.5)], REGRADED),
    ],
)
def test_each_kind_has_its_words_for_one_and_for_several(events: list[LearningEvent], message: str) -> None:
    assert message in points(changed(folded(events), TODAY - 1))
    assert message in points(changed(folded(*[[one] for one in events]), TODAY - 1))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            quiz(49_999, 100_000, "a"),
            "A quiz with 49%",
        ),  # which is a struggle, so it is not shown as the half that passes
        (quiz(29, 100, "a"), "A quiz with 29%"),
        (quiz(2, 3, "a"), "A quiz with 66%"),
        (quiz(0.29, 1, "a"), "A quiz with 29%"),
        (quiz(4.9999999, 10, "a"), "A quiz with 49%"),
        (quiz(4.5, 10, "a"), "A quiz with 45%"),
        (done("loops", 9_999, 10_000, "a"), "Started the chapter loops: 9999 of 10000 done"),
        (done("loops", 99_999, 100_000, "a"), "Started the chapter loops: 99% done"),
        (done("loops", 100_000, 100_000, "a"), "Started the chapter loops: 100% done"),
    ],
)
def test_a_result_just_below_a_bound_is_not_shown_on_it(found: LearningEvent, message: str) -> None:
    assert message in points(changed(folded([found]), TODAY - 1))


@pytest.mark.parametrize("total", [3, 7, 11, 97, 999])
def test_every_state_of_exercises_is_told_as_it_is(total: int) -> None:
    for number in {0, 1, total // 3, total // 2, total - 1, total}:
        assert f"Started the chapter loops: {number} of {total} done" in points(
            changed(folded([done("loops", number, total, "a")]), TODAY - 1)
        )


@over(st.lists(st.booleans(), min_size=2, max_size=24))
@example([False, False, True, True, False, True, False, True])
def test_the_mean_of_several_results_is_shown_as_it_is(results: list[bool]) -> None:
    right, total = sum(results), len(results)
    events = [quiz(int(result), 1, f"{number:02}") for number, result in enumerate(results)]
    for student in (folded(events), folded(*[[one] for one in events])):
        assert f"{total} quizzes with {100 * right // total}% on average" in points(changed(student, TODAY - 1))


def test_words_of_what_is_no_longer_held() -> None:
    assert words(Cause(STARTED_CODE, "loops", 1, 0, 5_000), {}) == "Started the chapter loops: 50% done"
    assert words(Cause(SEVERAL_CODE | 1, None, 7, 0, 0), {}) == "7 pieces of work"


def test_nothing_known_before_is_said_and_the_change_is_from_0() -> None:
    student = folded([quiz(1, 2, "a", at=on(TODAY - 3))])
    change = changed(student, TODAY - 30)
    assert (change.known_since, change.previous_score) == (TODAY - 3, 0.0)
    nothing = changed(student, TODAY - 30, TODAY - 20)
    assert (nothing.change, nothing.known_since) == (0.0, TODAY - 3)
    assert [one.causes for one in nothing.contributions] == [()] * 4


def test_a_day_away_lowers_consistency_alone_and_is_named() -> None:
    student = folded([quiz(1, 2, "a", at=on(TODAY - 2))])
    for first, last, message in ((2, 1, "A day away"), (2, 0, "2 days away"), (1, 0, "A day away")):
        (cause,) = (
            cause for one in changed(student, TODAY - first, TODAY - last).contributions for cause in one.causes
        )
        assert (cause.message, cause.events) == (message, first - last)
        assert cause.change < 0


def test_a_day_without_a_point_names_the_point_that_its_score_is_of() -> None:
    student = folded([quiz(1, 2, "a", at=on(TODAY - 6))], [quiz(1, 2, "b", at=on(TODAY - 2))])
    (first, of_first), (last, of_last) = changed(student, TODAY - 4, TODAY - 1).between
    assert (first, of_first.day, last, of_last.day) == (TODAY - 4, TODAY - 6, TODAY - 1, TODAY - 2)
    assert of_first.score > changed(student, TODAY - 4, TODAY - 1).previous_score
    assert changed(student, TODAY - 6, TODAY - 2).between == (), "days with points"
    assert changed(student, TODAY - 9, TODAY).between == (), "nothing before, and now"
    assert [day for day, _ in changed(student, TODAY - 3, TODAY - 3).between] == [TODAY - 3]
    still = folded([given("c", at=on(TODAY - 5), consistency=0.5)])
    assert changed(still, TODAY - 3).between == (), "the same score"


def test_a_consistency_that_was_set_stays_until_somebody_works() -> None:
    student = folded([helped("a", at=on(TODAY - 6))], [given("b", at=on(TODAY - 5), consistency=0.9)])
    assert points(changed(student, TODAY - 5, TODAY - 2)) == {}
    found = points(changed(student, TODAY - 6))
    assert found == {
        "Set to 90% by a calculation": pytest.approx(0.1 * (0.9 - 0.9 / 5.217031), abs=2e-5),
        "A day away": pytest.approx(-0.1 * 0.1 / 5.217031, abs=2e-5),
    }


def test_days_named_in_retrospect_keep_a_past_day_between_its_points() -> None:
    """The days known now tell only the ratio by which the consistency of the last point fell."""
    student = folded([helped("a", at=on(TODAY - 6))], [event("consistency", {"activity_dates": ["2026-01-07"]}, "b")])
    falls = changed(student, TODAY - 6, TODAY - 4)
    assert points(falls) == {"2 days away": pytest.approx(-0.1 * (1 - 0.81) / 5.217031, abs=2e-5)}


def test_what_leaves_the_retention_is_named() -> None:
    rules = Rules(retention_days=10)
    batches = [[quiz(0, 1, "a", at=on(TODAY - 9))], [quiz(1, 1, "b", at=on(TODAY - 1))]]
    student = folded(*batches, rules=rules)
    assert not any("counts" in message for message in points(changed(student, TODAY - 1, rules=rules)))
    later = TODAY + 1
    change = changed(student, TODAY - 1, later, now=on(later), rules=rules)
    gained = quizzes(change)["Work from before the last 10 days no longer counts"]
    assert gained > 0.05
    purged = aged(student, {}, on(later), rules)
    assert purged is not None
    assert quizzes(changed(purged.student, TODAY - 1, later, now=on(later), rules=rules)) == quizzes(change)
    # Neither the purge nor the fold that finds it gone puts it on the next event.
    for before in (purged.student, student):
        after = folded([quiz(1, 1, "c", at=on(later))], rules=rules, start=before)
        found = quizzes(changed(after, TODAY - 1, later, now=on(later), rules=rules))
        assert found["Work from before the last 10 days no longer counts"] == pytest.approx(gained, abs=2e-5)
        assert found["A quiz with 100%"] == pytest.approx(0.0, abs=2e-5)


def quizzes(change: ScoreChange) -> dict[str, float]:
    return {cause.message: cause.change for cause in change.contributions[1].causes}


def test_late_work_counts_when_the_next_point_shows_it_and_says_so() -> None:
    student = folded(
        [quiz(1, 1, "a", at=on(TODAY - 3))], [quiz(0, 1, "b", at=on(TODAY - 5), received=on(TODAY - 3, 12))]
    )
    assert points(changed(student, TODAY - 4, TODAY - 3)).keys() == {"A quiz with 100%", "Active on 1 day"}
    late = "A quiz with 0%, which came late"
    so_far = points(changed(student, TODAY - 3))
    assert so_far.keys() == {late, "3 days away", "Days of work that came late"}
    assert so_far[late] < -0.1
    assert so_far["3 days away"] < 0 < so_far["Days of work that came late"]
    assert points(changed(student, TODAY)) == {}
    student = folded([helped("c", at=on(TODAY - 1))], start=student)
    assert late not in points(changed(student, TODAY - 3, TODAY - 2))
    assert points(changed(student, TODAY - 2, TODAY - 1))[late] < -0.1


def test_a_regrade_is_told_beside_the_work_that_it_corrects() -> None:
    events = [tried(2, "a", at=NOW - 3 * HOUR), quiz(9, 10, "b", at=NOW - 2 * HOUR), tried(7, "c", at=NOW - HOUR)]
    for student in (folded(events), folded(*[[one] for one in events])):
        change = changed(student, TODAY - 1)
        found = points(change)
        assert found["A quiz on loops with 20%"] == pytest.approx(0.3 * 0.2, abs=1e-5)
        assert found["A quiz with 90%"] == pytest.approx(0.3 * (0.55 - 0.2), abs=1e-3)
        assert found["A mark on loops corrected to 70%"] == pytest.approx(0.3 * (0.8 - 0.55), abs=1e-3)
        assert {cause.kind for cause in change.contributions[1].causes} == {"quiz", "regrade"}


def test_a_word_that_a_later_one_had_overtaken_moves_nothing_and_is_no_cause() -> None:
    late = [tried(7, "c", at=NOW - HOUR), tried(2, "a", at=NOW - 3 * HOUR)]
    assert points(changed(folded(late), TODAY - 1)).keys() == {"A quiz on loops with 70%", "Active on 1 day"}
    part = [answered("a", part_of="try"), tried(7, "c")]
    assert points(changed(folded(part), TODAY - 1)).keys() == {"A quiz on loops with 70%", "Active on 1 day"}
    taken = [answered("a", at=NOW - 1, attempt_id="x"), answered("b", attempt_id="x", part_of="try")]
    assert points(changed(folded(taken), TODAY - 1))["A mark on loops corrected to 100%"] == pytest.approx(-0.3)


@pytest.mark.parametrize("split", [1, 10, 1_000])
def test_attempts_that_drop_out_are_told_as_work_that_no_longer_counts(split: int) -> None:
    tries = [tried(10, f"a{n}", at=on(TODAY - 1) + n, attempt=f"{n}") for n in range(3)]
    plain = quiz(0, 10, "plain", at=on(TODAY - 1))
    reviews = [
        event("quality", {**QUALITY, "attempt_id": f"{n}"}, f"r{n:03}", at=NOW - 1_000 + n, received=NOW)
        for n in range(MAX_ATTEMPTS - 2)
    ]
    events = [plain, *tries, *reviews]
    student = folded(*[events[start : start + split] for start in range(0, len(events), split)])
    gone = "Work from before the last 90 days, or from before the last 256 attempts, no longer counts"
    assert quizzes(changed(student, TODAY - 1)) == {gone: pytest.approx(0.3 * (2 / 3 - 3 / 4), abs=1e-5)}


def test_causes_from_more_than_14_days_ago_are_one() -> None:
    student = folded(*[[quiz(n % 3, 2 + n % 3, f"e{n}", at=on(TODAY - 20 + n))] for n in range(21)])
    change = changed(student, TODAY - 19)
    quizzes = [cause for cause in change.contributions[1].causes if cause.kind == "quiz"]
    assert [cause.events for cause in quizzes] == [14]
    (earlier,) = (cause for cause in change.contributions[1].causes if cause.kind == "earlier")
    assert earlier.events is None
    assert earlier.message == "What happened up to 2025-12-31; causes are known for 14 days"
    assert [cause.kind for one in changed(student, TODAY - 19, TODAY - 16).contributions for cause in one.causes] == [
        "earlier"
    ] * 2


def test_a_document_of_an_engine_that_kept_no_causes_says_so() -> None:
    known = folded([quiz(1, 1, "a", at=on(TODAY - 3))])
    (row,) = known.history.points()
    old = unpack(pack(Student(evidence=known.evidence, history=_whole_steps(known.history), latest=known.latest)))
    assert next(old.history.points()) == row
    student = folded([quiz(0, 1, "b", at=on(TODAY - 1))], start=old)
    found = points(changed(student, TODAY - 4))
    assert found["A quiz with 0%"] < -0.1
    assert "What happened up to 2026-01-11; causes are known for 14 days" in found


def _whole_steps(history: History) -> History:
    """The history as an engine before this one wrote it: components in steps of 0.0001, a score without a sign."""
    packed = bytearray(history.packed)
    for start in range(0, len(packed), 13):
        packed[start + 4] &= 0x7F
        for place in range(start + 5, start + 13, 2):
            steps = int.from_bytes(packed[place : place + 2], "little") // 6
            packed[place : place + 2] = steps.to_bytes(2, "little")
    return History(bytes(packed))
