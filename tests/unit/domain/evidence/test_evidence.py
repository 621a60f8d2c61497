"""What the components are computed from, and that it merges in any order."""

from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.kinds import KINDS, Data
from mastery_engine.domain.evidence.active_days import NO_DAYS, ActiveDays
from mastery_engine.domain.evidence.decayed_sums import NO_SUMS, DecayedSums
from mastery_engine.domain.evidence.evidence import MAX_TOPICS, NO_EVIDENCE, Direct, Evidence, TopicProgress, with_event
from mastery_engine.domain.moments import DAY, day_of, iso_date
from mastery_engine.domain.rules import Rules
from tests.support.samples import (
    ANSWER,
    DATA,
    NOW,
    QUALITY,
    TODAY,
    by_id,
    done,
    envelope,
    envelopes,
    event,
    evidence_of,
    helped,
    quiz,
)
from tests.support.samples import given as set_to

RULES = Rules()
BACK_89 = TODAY - 89

Piece: TypeAlias = tuple[int, float, float]
pieces = st.lists(
    st.tuples(
        st.one_of(st.integers(NOW - 89 * DAY, NOW), st.integers(BACK_89 + 1, TODAY).map(lambda day: day * DAY - 1)),
        st.floats(0.5, 100_000),
        st.floats(0, 1),
    ),
    max_size=12,
)
day_sets = st.sets(st.one_of(st.integers(BACK_89, TODAY + 1), st.integers(TODAY - 9, TODAY + 1)), max_size=12)


def sum_of(at: int, weight: float, score: float, rules: Rules = RULES) -> DecayedSums:
    return DecayedSums.of(at, rules.day_of(at), weight, score, rules.half_life)


def sums(some: list[Piece]) -> DecayedSums:
    found = NO_SUMS
    for piece in some:
        found = found.merge(sum_of(*piece))
    return found


def mean(some: list[Piece], floor: int = BACK_89) -> float | None:
    """The contract's decayed mean, from the pieces themselves."""
    kept = [(w * 2 ** ((at - NOW) / (14 * DAY)), x) for at, w, x in some if at // DAY >= floor]
    return sum(w * x for w, x in kept) / sum(w for w, _ in kept) if kept else None


def close(one: DecayedSums, other: DecayedSums) -> bool:
    """The same days and sums, but for the rounding of floats."""
    floors = [*range(BACK_89, TODAY + 2)]
    return (one.days, one.latest) == (other.days, other.latest) and all(
        one.mean(floor) == pytest.approx(other.mean(floor), abs=1e-12) for floor in floors
    )


def alike(one: Evidence, other: Evidence) -> bool:
    same = (one.completion, one.activity, one.direct) == (other.completion, other.activity, other.direct)
    held = [known.told_apart() for known in (one, other)]
    same = same and held[0].words() == held[1].words()
    return same and all(
        close(ours, theirs)
        for ours, theirs in [
            (one.quiz, other.quiz),
            (one.quality, other.quality),
            (held[0].quiz, held[1].quiz),
            (held[0].quality, held[1].quality),
        ]
    )


def of(sent: dict[str, Any]) -> Evidence:
    others = {name: sent[name] for name in ("timestamp", "student_id")}
    return evidence_of(
        event(sent["event_type"], sent["data"], sent["event_id"], received=NOW, **others), retention_days=90
    )


def all_of(sent: list[dict[str, Any]]) -> Evidence:
    found = NO_EVIDENCE
    for one in sent:
        found = found.merge(of(one))
    return found


# ---- decayed sums


def test_evidence_of_14_days_before_weighs_half() -> None:
    assert sums([(NOW - 14 * DAY, 1, 1.0), (NOW, 1, 0.0)]).mean(BACK_89) == pytest.approx(1 / 3, abs=1e-12)
    assert sums([(NOW - 28 * DAY, 1, 1.0), (NOW, 1, 0.0)]).mean(BACK_89) == pytest.approx(1 / 5, abs=1e-12)
    assert sums([(NOW - 14 * DAY, 6, 1.0), (NOW, 1, 0.0)]).mean(BACK_89) == pytest.approx(3 / 4, abs=1e-12)


def test_of_nothing_there_is_no_mean() -> None:
    assert NO_SUMS.mean(0) is None
    assert sums([(NOW, 1, 1.0)]).mean(TODAY + 1) is None


@pytest.mark.parametrize("year", [2020, 2026, 2045, 2057])
def test_the_decay_holds_for_decades(year: int) -> None:
    start = (year - 1970) * 365 * DAY
    found = sum_of(start, 100_000, 1.0).merge(sum_of(start + 14 * DAY, 50_000, 0.0))
    assert found.mean(0) == pytest.approx(1 / 2, abs=1e-12)


@given(pieces, pieces)
def test_sums_merge_in_either_order(ours: list[Piece], theirs: list[Piece]) -> None:
    assert close(sums(ours).merge(sums(theirs)), sums(theirs).merge(sums(ours)))


@given(pieces, pieces, pieces)
def test_sums_merge_in_any_grouping(one: list[Piece], two: list[Piece], three: list[Piece]) -> None:
    a, b, c = sums(one), sums(two), sums(three)
    assert close(a.merge(b).merge(c), a.merge(b.merge(c)))
    assert a.merge(NO_SUMS) == NO_SUMS.merge(a) == a


@given(pieces, st.integers(BACK_89 - 2, TODAY + 2))
def test_the_mean_is_the_formulas_from_any_day_on(some: list[Piece], floor: int) -> None:
    expected = pytest.approx(mean(some, floor), abs=1e-12)
    assert sums(some).mean(floor) == expected
    assert sums(some).since(floor).mean(floor) == expected
    assert sums(some).since(floor).mean(0) == expected


@given(pieces)
def test_a_mean_lies_between_0_and_1_and_days_rise(some: list[Piece]) -> None:
    found = sums(some)
    value = found.mean(0)
    assert value is None or 0.0 <= value <= 1.0
    days = [int.from_bytes(found.days[at : at + 2], "big") for at in range(0, len(found.days), 2)]
    assert days == sorted({at // DAY for at, _, _ in some})


def test_the_same_answer_many_times_is_never_more_than_all_right() -> None:
    assert sums([(NOW + k, 0.1 * (k + 1), 1.0) for k in range(50)]).mean(0) == 1.0


def test_dropping_nothing_gives_the_very_same_value_back() -> None:
    some = sums([(NOW, 1, 1.0), (NOW - DAY, 1, 0.0)])
    assert some.since(TODAY - 1) is some
    assert some.since(TODAY).mean(0) == 1.0
    assert some.since(TODAY + 1) == NO_SUMS


# ---- active days


@given(day_sets, day_sets)
def test_sets_of_days_merge_as_sets_do(ours: set[int], theirs: set[int]) -> None:
    merged = ActiveDays.of(*ours).merge(ActiveDays.of(*theirs))
    assert merged == ActiveDays.of(*(ours | theirs))
    assert merged == ActiveDays.of(*theirs).merge(ActiveDays.of(*ours))
    assert {TODAY + 1 - k for k in range(100) if merged.up_to(TODAY + 1) >> k & 1} == ours | theirs


@given(day_sets, day_sets, day_sets)
def test_sets_of_days_merge_in_any_grouping(one: set[int], two: set[int], three: set[int]) -> None:
    a, b, c = ActiveDays.of(*one), ActiveDays.of(*two), ActiveDays.of(*three)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(NO_DAYS) == NO_DAYS.merge(a) == a


@given(day_sets, st.integers(BACK_89 - 9, TODAY + 3))
def test_days_before_a_floor_go_and_equal_sets_are_equal_values(days: set[int], floor: int) -> None:
    assert ActiveDays.of(*days).since(floor) == ActiveDays.of(*[day for day in days if day >= floor])


@given(day_sets, st.integers(BACK_89, TODAY + 40))
def test_up_to_a_day_later_days_are_left_out(days: set[int], last: int) -> None:
    bits = ActiveDays.of(*days).up_to(last)
    assert {last - k for k in range(bits.bit_length()) if bits >> k & 1} == {day for day in days if day <= last}


def test_a_retention_of_days_takes_few_bytes() -> None:
    assert len(ActiveDays.of(*range(BACK_89, TODAY + 1)).bits) == 12


# ---- completion


def test_of_a_topic_the_latest_word_counts_and_at_the_same_time_the_greater_id() -> None:
    early, late = done("loops", 9, 10, "z", at=NOW - 1), done("loops", 1, 10, "a")
    tied = done("loops", 2, 10, "Z")
    for order in [(early, late, tied), (late, tied, early), (tied, early, late)]:
        found = NO_EVIDENCE
        for one in order:
            found = found.merge(evidence_of(one, retention_days=90))
        assert found.completion == {"loops": TopicProgress(NOW, b"a", 1, 10, 1)}  # "a" is greater than "Z"


def test_without_a_topic_is_a_topic_of_its_own() -> None:
    found = NO_EVIDENCE
    for one in (done(None, 1, 10, "1"), done("loops", 2, 10, "2"), done(None, 3, 10, "3")):
        found = found.merge(evidence_of(one, retention_days=90))
    assert {topic: progress.completed for topic, progress in found.completion.items()} == {"": 3, "loops": 2}


@pytest.mark.parametrize("late_first", [True, False])
def test_the_256_topics_with_the_latest_completions_are_held(late_first: bool) -> None:
    events = [done(f"t{n:03}", 1, 2, f"e{n:03}", at=NOW - (300 - n)) for n in range(300)]
    found = NO_EVIDENCE
    for one in events[::-1] if late_first else events:
        found = found.merge(evidence_of(one, retention_days=90))
    assert set(found.completion) == {f"t{n:03}" for n in range(44, 300)}
    assert len(found.completion) == MAX_TOPICS


def test_at_the_same_time_the_topics_with_the_greater_ids_are_held() -> None:
    events = [done(f"t{n:03}", 1, 2, f"e{n:03}") for n in range(257)]
    one, other = (NO_EVIDENCE, NO_EVIDENCE)
    for place, some in enumerate(events):
        if place % 2:
            one = one.merge(evidence_of(some, retention_days=90))
        else:
            other = other.merge(evidence_of(some, retention_days=90))
    assert "t000" not in one.merge(other).completion
    assert one.merge(other).completion == other.merge(one).completion


# ---- what an event is evidence of


def test_a_quiz_weighs_its_questions_by_confidence() -> None:
    plain, unsure = quiz(8, 10), event("quiz", {"total_questions": 10, "correct_answers": 0, "confidence_score": 0})
    found = evidence_of(plain, retention_days=90).merge(evidence_of(unsure, retention_days=90))
    assert found.quiz.mean(0) == pytest.approx(8 / 15, abs=1e-12)
    assert found.activity == ActiveDays.of(TODAY)


def test_an_answer_is_one_questions_worth_of_quiz() -> None:
    right = evidence_of(event("answer", ANSWER), retention_days=90)
    found = right.merge(evidence_of(quiz(0, 3), retention_days=90))
    assert found.quiz.mean(0) == pytest.approx(1 / 4, abs=1e-12)


def test_a_review_is_the_mean_of_the_scores_given_and_weighs_one() -> None:
    three = evidence_of(event("quality", QUALITY), retention_days=90)
    four = evidence_of(event("quality", {**QUALITY, "peer_review_score": 0.2}), retention_days=90)
    assert three.quality.mean(0) == pytest.approx(0.6, abs=1e-12)
    assert four.quality.mean(0) == pytest.approx(0.5, abs=1e-12)
    assert three.merge(four).quality.mean(0) == pytest.approx(0.55, abs=1e-12)


@pytest.mark.parametrize("kind", ["execution", "help"])
def test_runs_and_questions_are_evidence_of_activity_alone(kind: str) -> None:
    data = {"outcome": "error"} if kind == "execution" else {"topic": "loops"}
    assert evidence_of(event(kind, data), retention_days=90) == Evidence(activity=ActiveDays.of(TODAY))


@pytest.mark.parametrize("kind", ["recommendation.followed", "recommendation.dismissed"])
def test_what_became_of_advice_is_evidence_of_nothing(kind: str) -> None:
    assert evidence_of(event(kind, {"recommendation_id": "r"}), retention_days=90) == NO_EVIDENCE


def test_a_calculation_sets_what_it_names_and_marks_no_day() -> None:
    found = evidence_of(set_to(quiz=0.5, consistency=0), retention_days=90)
    assert found == Evidence(direct=(None, Direct(NOW, "e-1", 0.5), None, Direct(NOW, "e-1", 0.0)))


@pytest.mark.parametrize(
    ("data", "back"),
    [
        ({"activity_dates": [iso_date(TODAY), iso_date(TODAY - 2), iso_date(TODAY)]}, {0, 2}),
        ({"activity_dates": [iso_date(TODAY + 1)]}, {-1}),
        ({"activity_dates": []}, set()),
        ({"current_streak": 3}, {0, 1, 2}),
        ({"current_streak": 0}, set()),
        ({"max_streak": 9}, set()),
        ({"days_since_last_activity": 0}, {0}),
        ({"days_since_last_activity": 4}, {4}),
        ({"days_since_last_activity": 4, "current_streak": 0}, {4}),
        ({"days_since_last_activity": 1, "current_streak": 2}, {1, 2}),
        ({"current_streak": 2, "activity_dates": [iso_date(TODAY - 9)], "max_streak": 5}, {0, 1, 9}),
        ({"current_streak": 100_000}, set(range(90))),
        ({"days_since_last_activity": 89}, {89}),
        ({"days_since_last_activity": 90}, set()),
        ({"days_since_last_activity": 100_000, "current_streak": 100_000}, set()),
        ({"days_since_last_activity": 88, "current_streak": 9}, {88, 89}),
        ({"activity_dates": [iso_date(TODAY - 89), iso_date(TODAY - 90), "1970-01-01"]}, {89}),
    ],
    ids=range(17),
)
def test_a_consistency_event_marks_the_days_it_names(data: dict[str, Any], back: set[int]) -> None:
    found = evidence_of(event("consistency", data), retention_days=90)
    assert found == Evidence(activity=ActiveDays.of(*[TODAY - k for k in back]))


def test_a_streak_ends_with_the_events_own_day_and_ages_by_its_receipt() -> None:
    late = event("consistency", {"current_streak": 2}, at=NOW - 88 * DAY, received=NOW)
    assert evidence_of(late, retention_days=90).activity == ActiveDays.of(TODAY - 88, TODAY - 89)
    assert evidence_of(late, retention_days=89).activity == ActiveDays.of(TODAY - 88)


# ---- all of it


@given(by_id(envelopes(), max_size=8), st.integers(0, 8))
def test_evidence_merges_in_either_order(sent: list[dict[str, Any]], cut: int) -> None:
    ours, theirs = all_of(sent[:cut]), all_of(sent[cut:])
    assert alike(ours.merge(theirs), theirs.merge(ours))
    assert alike(ours.merge(theirs), all_of(sent))
    assert ours.merge(NO_EVIDENCE) == NO_EVIDENCE.merge(ours) == ours


@given(by_id(envelopes(), max_size=8))
def test_an_event_adds_what_merging_its_evidence_adds(sent: list[dict[str, Any]]) -> None:
    found = NO_EVIDENCE
    for one in sent:
        others = {name: one[name] for name in ("timestamp", "student_id")}
        taken = event(one["event_type"], one["data"], one["event_id"], received=NOW, **others)
        found = with_event(found, taken, RULES)
    assert alike(found, all_of(sent))


@given(by_id(envelopes(), max_size=9))
def test_evidence_merges_in_any_grouping(sent: list[dict[str, Any]]) -> None:
    a, b, c = all_of(sent[::3]), all_of(sent[1::3]), all_of(sent[2::3])
    assert alike(a.merge(b).merge(c), a.merge(b.merge(c)))


@given(by_id(envelopes(), max_size=8), st.integers(TODAY - 91, TODAY + 2))
def test_what_is_older_than_a_floor_goes_and_nothing_else(sent: list[dict[str, Any]], floor: int) -> None:
    """Days that are named age by themselves, so they are left out of this."""
    sent = [one for one in sent if "consistency" not in one["event_type"]]
    newer = [one for one in sent if iso_date(floor) <= one["timestamp"]]
    assert alike(all_of(sent).since(floor, RULES), all_of(newer))


@given(by_id(envelopes(), max_size=8), st.integers(TODAY - 91, TODAY + 2))
def test_what_was_known_before_a_day_and_what_came_since_are_the_whole(sent: list[dict[str, Any]], day: int) -> None:
    """Days that are named may lie on either side, so they are left out of this."""
    sent = [one for one in sent if "consistency" not in one["event_type"]]
    whole, later = all_of(sent), all_of([one for one in sent if iso_date(day) <= one["timestamp"]])
    before = whole.before(day, RULES)
    assert alike(without_latest(before.merge(later)), without_latest(whole))
    assert not set(before.completion) & {topic for topic, one in whole.completion.items() if day_of(one.at) >= day}
    assert before.before(day, RULES) == before


def without_latest(known: Evidence) -> Evidence:
    """Sums that were cut off know the last day of what is left, and no longer its time."""

    def cut(sums_of: Any) -> dict[str, DecayedSums]:
        return {name: msgspec.structs.replace(getattr(sums_of, name), latest=0) for name in ("quiz", "quality")}

    apart = known.told_apart()
    return msgspec.structs.replace(known, **cut(known), attempts=msgspec.structs.replace(apart, **cut(apart)))


@given(pieces, st.integers(BACK_89 - 1, TODAY + 1), st.integers(BACK_89 - 1, TODAY + 1))
def test_the_mean_before_a_day_is_that_of_what_had_come(some: list[Piece], floor: int, day: int) -> None:
    earlier = [piece for piece in some if piece[0] // DAY < day]
    assert sums(some).before(day, RULES.start_of).mean(floor) == pytest.approx(mean(earlier, floor), abs=1e-9)


@given(day_sets, st.integers(BACK_89 - 9, TODAY + 3))
def test_days_from_a_day_on_go_and_equal_sets_are_equal_values(days: set[int], end: int) -> None:
    assert ActiveDays.of(*days).before(end) == ActiveDays.of(*[day for day in days if day < end])


def test_merging_leaves_both_parts_as_they_were() -> None:
    ours, theirs = evidence_of(done("a", 1, 2), retention_days=90), evidence_of(done("b", 1, 2), retention_days=90)
    ours.merge(theirs)
    assert (set(ours.completion), set(theirs.completion)) == ({"a"}, {"b"})


def test_an_event_late_in_the_evening_is_of_its_utc_day() -> None:
    midnight = (TODAY + 1) * DAY
    assert evidence_of(helped(at=midnight - 1), retention_days=90).activity == ActiveDays.of(TODAY)
    assert evidence_of(helped(at=midnight), retention_days=90).activity == ActiveDays.of(day_of(midnight))


def test_samples_are_of_any_kind() -> None:
    assert of(envelope("help", {"topic": "loops"})) == Evidence(activity=ActiveDays.of(TODAY))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_counts_for_what_the_contract_says(kind: str) -> None:
    """Which components an event of each kind touches, on its own."""
    data = {**DATA[kind]}
    found = with_event(NO_EVIDENCE, event(kind, data, "e"), RULES)
    touched = {
        "completion": bool(found.completion),
        "quiz": bool(found.quiz.days),
        "quality": bool(found.quality.days),
        "consistency": found.activity != NO_EVIDENCE.activity,
        "direct": found.direct != NO_EVIDENCE.direct,
    }
    assert {name for name, is_touched in touched.items() if is_touched} == {
        "completion": {"completion", "consistency"},
        "quiz": {"quiz", "consistency"},
        "quality": {"quality", "consistency"},
        "consistency": {"consistency"},
        "answer": {"quiz", "consistency"},
        "execution": {"consistency"},
        "help": {"consistency"},
        "recommendation.followed": set(),
        "recommendation.dismissed": set(),
        "mastery.calculation.requested": {"direct"},
    }[kind]


def test_a_kind_that_nobody_thought_of_is_refused_and_not_counted_for_nothing() -> None:
    class Unthought(Data, frozen=True):
        """A kind that was added to the kinds alone."""

    made = msgspec.structs.replace(event("help", DATA["help"], "e"), data=Unthought())
    with pytest.raises(TypeError, match="Unthought"):
        with_event(NO_EVIDENCE, made, RULES)
