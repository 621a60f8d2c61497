"""Pins the plain re-computation to numbers worked out by hand from the contract."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.oracle import ALIASES, FIELDS, Result, accepts, score

NOW = datetime(2026, 1, 14, 10, 30, tzinfo=UTC)
ALL = {"completion": 0.85, "quiz": 0.90, "quality": 0.85, "consistency": 0.82}
COMPLETION = {"total_exercises": 10, "completed_exercises": 8, "difficulty": "intermediate", "topic": "loops"}
QUIZ = {"total_questions": 10, "correct_answers": 9}
QUALITY = {"code_quality_score": 0.9, "correctness_score": 0.6, "efficiency_score": 0.3}
ANSWER = {"item_id": "i-1", "skills": ["loops"], "correct": True}
HELP = {"topic": "loops"}
Logged = tuple[dict[str, Any], datetime]


def envelope(kind: str, data: dict[str, Any], **others: object) -> dict[str, Any]:
    return {"event_type": kind, "student_id": "ada", "data": data, **others}


def logged(kind: str, data: dict[str, Any], event_id: str, *, ago: timedelta = timedelta(0)) -> Logged:
    """An event received at its own time, which is so long before now."""
    time = NOW - ago
    return envelope(kind, data, event_id=event_id, timestamp=time.isoformat()), time


def days(number: float) -> timedelta:
    return timedelta(days=number)


def done(topic: str | None, completed: int, total: int, difficulty: str = "intermediate") -> dict[str, Any]:
    data = {"total_exercises": total, "completed_exercises": completed, "difficulty": difficulty}
    return data if topic is None else {**data, "topic": topic}


def quiz(correct: int, total: int, **others: float) -> dict[str, Any]:
    return {"total_questions": total, "correct_answers": correct, **others}


def setting(**components: float) -> dict[str, Any]:
    return {"components": components}


def ada(*events: Logged, at: datetime = NOW, retention_days: int = 90) -> Result:
    return score(events, at, retention_days)["ada"]


def component(name: str, *events: Logged, at: datetime = NOW) -> float | None:
    return ada(*events, at=at).components[name]


# ---- the formula


def test_the_briefs_sample_scores_0_862_with_everything_covered() -> None:
    result = ada(logged("mastery.calculation.requested", setting(**ALL), "d"))
    assert result.components == ALL
    assert result.score == pytest.approx(0.862, abs=1e-12)
    assert result.level == "proficient"
    assert result.coverage == pytest.approx(1.0, abs=1e-12)


def test_without_a_quiz_0_70_of_the_score_is_covered() -> None:
    result = ada(logged("completion", COMPLETION, "c"), logged("quality", QUALITY, "q"))
    assert result.components["quiz"] is None
    assert result.coverage == pytest.approx(0.70, abs=1e-12)
    # One active day among the first seven: their weights 0.9^0 to 0.9^6 sum to 5.217031.
    assert result.score == pytest.approx(0.32 + 0.12 + 0.1 / 5.217031, abs=1e-12)
    assert result.level == "developing"


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (0.0, "beginner"),
        (0.39999, "beginner"),
        (0.4, "developing"),
        (0.59999, "developing"),
        (0.6, "competent"),
        (0.75, "proficient"),
        (0.9, "expert"),
        (0.899999999, "proficient"),
        (0.8999999999, "expert"),
        (1.0, "expert"),
    ],
)
def test_levels_begin_at_their_bound_after_rounding_to_9_decimals(value: float, level: str) -> None:
    values = setting(completion=value, quiz=value, quality=value, consistency=value)
    assert ada(logged("mastery.calculation.requested", values, "d")).level == level


# ---- completion


def test_completion_weighs_topics_by_difficulty() -> None:
    first = logged("completion", done("a", 5, 10, "beginner"), "1")
    second = logged("completion", done("b", 10, 10, "advanced"), "2")
    third = logged("completion", done("c", 0, 20), "3")
    assert component("completion", first, second) == 0.8  # (0.8*5 + 1.2*10) / (0.8*10 + 1.2*10) = 16/20
    assert component("completion", first, second, third) == 0.4  # 16 / (20 + 20)


def test_of_a_topic_the_latest_by_event_time_counts_whenever_it_comes() -> None:
    old = logged("completion", done("a", 2, 10), "z", ago=days(1))
    new = logged("completion", done("a", 7, 10), "a")
    assert component("completion", old, new) == 0.7
    assert component("completion", new, old) == 0.7


def test_at_the_same_time_the_greater_id_counts_by_code_point() -> None:
    upper, lower = logged("completion", done("a", 2, 10), "Z"), logged("completion", done("a", 7, 10), "a")
    assert component("completion", upper, lower) == 0.7
    assert component("completion", lower, upper) == 0.7


def test_completions_without_a_topic_are_one_topic() -> None:
    first = logged("completion", done(None, 2, 10), "1", ago=days(1))
    second = logged("completion", done(None, 6, 10), "2")
    assert component("completion", first, second, logged("completion", done("a", 0, 10), "3")) == 0.3


def test_the_256_topics_with_the_latest_completions_are_held() -> None:
    oldest = logged("completion", done("old", 0, 1000), "old", ago=days(2))
    others = [logged("completion", done(f"t{n}", 1, 2), f"e{n}", ago=days(1)) for n in range(255)]
    newest = logged("completion", done("new", 2, 2), "new")
    assert component("completion", oldest, *others) == 255 / 1510  # 256 topics: all are held
    assert component("completion", oldest, *others, newest) == 257 / 512


# ---- quiz and quality


@pytest.mark.parametrize(
    ("right", "wrong", "mean"),
    [
        (quiz(10, 10), quiz(0, 10), 1 / 2),
        (quiz(10, 10, confidence_score=0), quiz(0, 10), 5 / 15),
        (quiz(10, 10, confidence_score=0.5), quiz(0, 10, confidence_score=1), 7.5 / 17.5),
        (quiz(3, 3), quiz(0, 1), 3 / 4),
    ],
)
def test_a_quiz_weighs_its_questions_by_confidence(right: dict[str, Any], wrong: dict[str, Any], mean: float) -> None:
    assert component("quiz", logged("quiz", right, "1"), logged("quiz", wrong, "2")) == pytest.approx(mean, abs=1e-12)


def test_an_answer_is_one_questions_worth_of_quiz() -> None:
    wrong = logged("answer", {**ANSWER, "correct": False}, "2")
    assert component("quiz", logged("quiz", quiz(3, 3), "1"), wrong) == 3 / 4
    assert component("quiz", wrong, logged("answer", ANSWER, "3")) == 1 / 2


@pytest.mark.parametrize("at", [NOW, NOW + days(40)])
def test_evidence_weighs_half_after_14_days_whenever_it_is_asked(at: datetime) -> None:
    right, wrong = logged("quiz", quiz(5, 5), "1", ago=days(14)), logged("quiz", quiz(0, 5), "2")
    assert component("quiz", right, wrong, at=at) == pytest.approx(1 / 3, abs=1e-12)
    # Seven days are 2^-0.5 = 0.70710678: 0.70710678 / 1.70710678 = 0.41421356
    recent = logged("quiz", quiz(5, 5), "1", ago=days(7))
    assert component("quiz", recent, wrong, at=at) == pytest.approx(2**0.5 - 1, abs=1e-12)


def test_a_review_weighs_one_however_many_scores_it_gives() -> None:
    three = logged("quality", QUALITY, "1")
    four = logged("quality", {**dict.fromkeys(QUALITY, 0.2), "peer_review_score": 0.6}, "2")
    assert component("quality", three) == pytest.approx(0.6, abs=1e-12)
    assert component("quality", four) == pytest.approx(0.3, abs=1e-12)
    assert component("quality", three, four) == pytest.approx(0.45, abs=1e-12)


# ---- consistency


@pytest.mark.parametrize(
    ("first", "active", "expected"),
    [
        (6, 7, 1.0),  # each of one's first 7 days
        (7, 7, 1 - 1 / 5.6953279),  # a day away then: 1 - 1 / (1 - 0.9^8) * 0.1
        (30, 30, 1 - 1 / 9.57608841724784),  # a day away after 30 full days: 1 - 0.1 / (1 - 0.9^30)
        (0, 1, 1 / 5.217031),  # the first day: at least 6 days back count
    ],
)
def test_consistency(first: int, active: int, expected: float) -> None:
    events = [logged("help", HELP, f"e{n}", ago=days(first - n)) for n in range(active)]
    assert component("consistency", *events) == pytest.approx(expected, abs=1e-9)


def test_consistency_as_the_contract_rounds_it() -> None:
    assert [round(1 - 1 / 5.6953279, 3), round(1 - 1 / 9.57608841724784, 3)] == [0.824, 0.896]


def test_activity_more_than_30_days_ago_is_evidence_of_zero() -> None:
    result = ada(logged("help", HELP, "e", ago=days(30)))
    assert result.components["consistency"] == 0.0
    assert result.coverage == pytest.approx(0.1, abs=1e-12)


@pytest.mark.parametrize(
    ("data", "back"),
    [
        ({"activity_dates": ["2026-01-12", "2026-01-14", "2026-01-12"]}, [0, 2]),
        ({"current_streak": 3}, [0, 1, 2]),
        ({"current_streak": 2, "days_since_last_activity": 1}, [1, 2]),
        ({"current_streak": 0, "days_since_last_activity": 4}, [4]),
        ({"days_since_last_activity": 0}, [0]),
        ({"max_streak": 9}, None),
        ({"current_streak": 0}, None),
        ({"activity_dates": []}, None),
        ({"current_streak": 2, "activity_dates": ["2026-01-10"], "max_streak": 9}, [0, 1, 4]),
        ({"current_streak": 100_000}, range(30)),
    ],
)
def test_a_consistency_event_marks_the_days_it_names(data: dict[str, Any], back: list[int] | None) -> None:
    found = component("consistency", logged("consistency", data, "e"))
    if back is None:
        assert found is None
    else:
        span = 30 if len(back) == 30 else 7
        expected = sum(0.9**k for k in back) / sum(0.9**k for k in range(span))
        assert found == pytest.approx(expected, abs=1e-12)


def test_calculations_and_answers_to_advice_mark_no_day() -> None:
    advice = logged("recommendation.dismissed", {"recommendation_id": "r-1"}, "1")
    request = logged("mastery.calculation.requested", setting(quiz=0.5), "2")
    assert component("consistency", advice, request) is None
    assert score([advice], NOW)["ada"] == Result(dict.fromkeys(ALL), 0.0, 0.0, "beginner")


def test_tomorrow_counts_from_tomorrow_on() -> None:
    event = logged("consistency", {"activity_dates": ["2026-01-15"]}, "e")
    assert component("consistency", event) is None
    assert component("consistency", event, at=NOW + days(1)) == pytest.approx(1 / 5.217031, abs=1e-12)


def test_evidence_a_little_ahead_counts_at_once_but_its_day_only_from_then_on() -> None:
    received = datetime(2026, 1, 14, 23, 58, tzinfo=UTC)
    event = envelope("quiz", QUIZ, event_id="e", timestamp="2026-01-15T00:01:00Z"), received
    result = ada(event, at=received)
    assert (result.components["quiz"], result.components["consistency"]) == (0.9, None)
    midnight = received + timedelta(minutes=2)
    later = ada(event, at=midnight)
    assert later.components["consistency"] == pytest.approx(1 / 5.217031, abs=1e-12)
    values = setting(quiz=0.3, consistency=0.4)
    direct = envelope("mastery.calculation.requested", values, timestamp="2026-01-15T00:02:00Z"), received
    result = ada(direct, at=received)
    assert (result.components["quiz"], result.components["consistency"]) == (0.3, None)
    assert component("consistency", direct, at=midnight) == 0.4


# ---- direct components


@pytest.mark.parametrize(
    ("name", "kind", "data", "alone"),
    [
        ("completion", "completion", COMPLETION, 0.8),
        ("quiz", "quiz", QUIZ, 0.9),
        ("quiz", "answer", ANSWER, 1.0),
        ("quiz", "answer", {**ANSWER, "score": 0.25}, 0.25),
        ("quiz", "answer", {"item_id": "i-1", "score": 0.5}, 0.5),
        ("quality", "quality", QUALITY, 0.6),
    ],
)
def test_a_direct_component_holds_until_later_evidence_of_it(
    name: str, kind: str, data: dict[str, Any], alone: float
) -> None:
    direct = logged("mastery.calculation.requested", setting(**{name: 0.0}), "d", ago=days(1))
    microsecond = timedelta(microseconds=1)
    before = logged(kind, data, "e", ago=days(1) + microsecond)
    same = logged(kind, data, "e", ago=days(1))
    after = logged(kind, data, "e", ago=days(1) - microsecond)
    assert component(name, direct) == 0.0
    assert component(name, before, direct) == 0.0
    assert component(name, direct, before) == 0.0
    assert component(name, same, direct) == 0.0
    assert component(name, after, direct) == pytest.approx(alone, abs=1e-12)
    assert component(name, direct, after) == pytest.approx(alone, abs=1e-12)


def test_earlier_evidence_stays_underneath() -> None:
    before = logged("quiz", quiz(5, 5), "1", ago=days(14))
    direct = logged("mastery.calculation.requested", setting(quiz=0.9), "2", ago=days(7))
    after = logged("quiz", quiz(0, 5), "3")
    assert component("quiz", before, direct) == 0.9
    assert component("quiz", before, direct, after) == pytest.approx(1 / 3, abs=1e-12)


def test_a_direct_consistency_holds_until_a_later_active_day() -> None:
    direct = logged("mastery.calculation.requested", setting(consistency=0.5), "d", ago=days(1))
    same_day = logged("help", HELP, "1", ago=days(1) - timedelta(hours=5))
    assert component("consistency", direct, same_day) == 0.5
    # Active on each of the last two of seven days: (1 + 0.9) / 5.217031
    today = logged("help", HELP, "2")
    assert component("consistency", direct, same_day, today) == pytest.approx(1.9 / 5.217031, abs=1e-12)


def test_a_newer_direct_value_replaces_an_older_one_for_its_components_only() -> None:
    older = logged("mastery.calculation.requested", setting(quiz=0.1, quality=0.2), "b", ago=days(1))
    newer = logged("mastery.calculation.requested", setting(quiz=0.7), "a")
    tied = logged("mastery.calculation.requested", setting(quiz=0.8), "b2")
    for events in [(older, newer), (newer, older)]:
        result = ada(*events)
        assert (result.components["quiz"], result.components["quality"]) == (0.7, 0.2)
    assert component("quiz", tied, newer) == 0.8


# ---- what counts


def test_the_last_90_days_count_and_today_is_one_of_them() -> None:
    old = logged("quiz", quiz(0, 5), "1", ago=timedelta(days=89, hours=10))  # 00:30 on the 90th day
    older = logged("quiz", quiz(0, 5), "2", ago=timedelta(days=89, hours=11))  # 23:30 the day before
    new = logged("quiz", quiz(5, 5), "3")
    decayed = 2 ** -((89 + 10 / 24) / 14)
    assert component("quiz", old, new) == pytest.approx(1 / (1 + decayed), abs=1e-12)
    assert component("quiz", older, new) == 1.0
    assert ada(old, new, retention_days=7).components["quiz"] == 1.0


def test_every_kind_of_evidence_ages_out_and_the_student_is_unknown_then() -> None:
    events = [
        logged("completion", COMPLETION, "1"),
        logged("answer", ANSWER, "2"),
        logged("quality", QUALITY, "3"),
        logged("mastery.calculation.requested", setting(**ALL), "4"),
    ]
    assert score(events, NOW + days(89))["ada"].components == ALL
    assert score(events, NOW + days(90)) == {}


def test_a_day_that_was_named_ages_by_itself() -> None:
    event = logged("consistency", {"activity_dates": ["2026-01-15"]}, "e")
    assert score([event], NOW + days(90))["ada"].components["consistency"] == 0.0
    assert score([event], NOW + days(91)) == {}
    # The 90 days that end with the 14th of January begin with the 17th of October.
    ancient = logged("consistency", {"activity_dates": ["2025-10-17"]}, "e")
    assert component("consistency", ancient) == 0.0
    gone = logged("consistency", {"activity_dates": ["2025-10-16"]}, "e")
    assert component("consistency", gone) is None


def test_the_first_in_the_log_wins_for_its_student_and_refused_ones_are_not_in_it() -> None:
    refused = logged("quiz", quiz(6, 5), "e")
    first, other = logged("quiz", quiz(1, 5), "e"), logged("quiz", quiz(5, 5), "e")
    assert component("quiz", refused, first, first, other) == 0.2
    bob = {**other[0], "student_id": "bob"}
    results = score([first, (bob, NOW)], NOW)
    assert [results[student].components["quiz"] for student in ("ada", "bob")] == [0.2, 1.0]


def test_events_without_an_id_are_all_different_and_without_a_time_of_their_receipt() -> None:
    event = envelope("quiz", quiz(5, 5))
    wrong = envelope("quiz", quiz(0, 5))
    assert component("quiz", (event, NOW - days(14)), (wrong, NOW)) == pytest.approx(1 / 3, abs=1e-12)


def test_order_does_not_matter() -> None:
    chance = random.Random(1)
    events = [logged("quiz", quiz(n % 4, 3 + n % 4), f"q{n}", ago=days(n / 3)) for n in range(60)]
    events += [logged("completion", done(f"t{n % 5}", n, 40), f"c{n}", ago=days(n % 7)) for n in range(40)]
    expected = score(events, NOW)
    for _ in range(5):
        chance.shuffle(events)
        assert score(events, NOW) == expected


# ---- what is taken


def test_the_contracts_envelope_is_taken_under_every_name() -> None:
    example = {
        "event_id": "uuid",
        "event_type": "completion",
        "student_id": "student_12345",
        "timestamp": "2026-01-14T10:30:00Z",
        "source": "exercise-agent",
        "data": COMPLETION,
        "metadata": {"cohort_id": "py-101"},
    }
    assert accepts(example, NOW) is None
    data = {"completion": COMPLETION, "quiz": QUIZ, "quality": QUALITY, "consistency": {"max_streak": 3}}
    for alias, kind in ALIASES.items():
        assert accepts({**example, "event_type": alias, "data": data[kind]}, NOW) is None
    assert len(FIELDS) == 10


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-01-14T10:30:00Z",
        "2026-01-14t10:30:00.123456789z",
        "2026-01-14T15:30:00+05:00",
        "2026-01-14T10:35:00Z",
        "2025-10-17T00:00:00Z",
        "2025-10-16T23:00:00-01:00",
        1768386600000,
    ],
)
def test_times_that_are_taken(timestamp: object) -> None:
    assert accepts(envelope("help", HELP, timestamp=timestamp), NOW) is None


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-01-14T10:35:00.000001Z",
        "2025-10-16T23:59:59.999999Z",
        "2025-10-17T00:00:00+00:01",
        "2026-01-14T10:30:00",
        "2026-01-14",
        "2026-02-30T10:30:00Z",
        "2026-01-14T24:00:00Z",
        "2026-01-14T10:30:60Z",
        "2026-01-14T10:30:00+24:00",
        "2026-01-14T10:30Z",
        "2026-01-14T10:30:00Z\n",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01T00:00:00Z",
        "1768386600000",
        1768386600000.5,
        10**30,
        -1,
        True,
        None,
    ],
)
def test_times_that_are_refused(timestamp: object) -> None:
    assert accepts(envelope("help", HELP, timestamp=timestamp), NOW) is not None


def test_epoch_milliseconds_and_rfc_3339_are_the_same_time() -> None:
    event = envelope("completion", done("a", 1, 2), event_id="a", timestamp="2026-01-14T11:30:00.000001+01:00")
    millis = envelope("completion", done("a", 2, 2), event_id="b", timestamp=1768386600000)
    assert component("completion", (event, NOW), (millis, NOW)) == 0.5  # later by one microsecond


@pytest.mark.parametrize(
    "change",
    [
        {"event_type": "completed"},
        {"event_type": None},
        {"event_type": []},
        {"student_id": "a b"},
        {"student_id": "a" * 51},
        {"student_id": ""},
        {"student_id": 7},
        {"student_id": "ada\n"},
        {"event_id": ""},
        {"event_id": "a" * 101},
        {"event_id": "ä"},
        {"event_id": None},
        {"source": "s" * 1001},
        {"source": 1},
        {"metadata": []},
        {"metadata": {"cohort_id": "c" * 101}},
        {"metadata": {f"k{n}": "" for n in range(21)}},
        {"metadata": {"key": "v" * 201}},
        {"metadata": {"k" * 201: ""}},
        {"other": float("nan")},
        {"other": float("inf")},
        {"other": "\ud800"},
        {"data": None},
        {"data": []},
    ],
)
def test_envelopes_that_are_refused(change: dict[str, Any]) -> None:
    taken = envelope("help", HELP, event_id="e", source="s", metadata={"cohort_id": "c"}, other=1)
    assert accepts(taken, NOW) is None
    assert accepts({**taken, **change}, NOW) is not None


def test_what_is_not_known_in_the_envelope_is_ignored_and_in_metadata_kept() -> None:
    metadata = {"cohort_id": "c", **{f"k{n}": "v" * 200 for n in range(20)}}
    assert accepts(envelope("help", HELP, anything={"at": ["all"]}, metadata=metadata), NOW) is None


@pytest.mark.parametrize("missing", ["event_type", "student_id", "data"])
def test_what_must_be_in_the_envelope(missing: str) -> None:
    event = envelope("help", HELP)
    del event[missing]
    assert accepts(event, NOW) is not None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (
            "completion",
            {**COMPLETION, "total_exercises": 100_000, "completed_exercises": 0, "time_taken": 1.5},
        ),
        ("completion", {**COMPLETION, "total_exercises": 10.0}),
        ("quiz", {**QUIZ, "confidence_score": 1, "topic": "t" * 100, "quiz_id": "q", "time_spent": 0}),
        (
            "quality",
            {**dict.fromkeys(QUALITY, 1), "peer_review_score": 0, "submission_id": "s", "topic": "t"},
        ),
        ("consistency", {"activity_dates": ["2026-01-15", "1999-01-01"]}),
        ("answer", {**ANSWER, "skills": list("abcdefgh"), "attempts": 2, "hints": 0, "duration": 3}),
        ("execution", {"outcome": "error", "exercise_id": "x", "error_type": "TypeError", "duration": 601}),
        ("execution", {"outcome": "success"}),
        ("help", {"topic": "loops", "message": "m" * 1000}),
        ("recommendation.followed", {"recommendation_id": "r", "reason": "fun"}),
        ("mastery.calculation.requested", setting(quiz=1)),
    ],
)
def test_data_that_is_taken(kind: str, data: dict[str, Any]) -> None:
    assert accepts(envelope(kind, data), NOW) is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("completion", {**COMPLETION, "completed_exercises": 11}),
        ("completion", {**COMPLETION, "completed_exercises": -1}),
        ("completion", {**COMPLETION, "completed_exercises": 7.5}),
        ("completion", {**COMPLETION, "completed_exercises": "8"}),
        ("completion", {**COMPLETION, "completed_exercises": True}),
        ("completion", {**COMPLETION, "total_exercises": 0, "completed_exercises": 0}),
        ("completion", {**COMPLETION, "total_exercises": 100_001}),
        ("completion", {**COMPLETION, "difficulty": "hard"}),
        ("completion", {**COMPLETION, "topic": "t" * 101}),
        ("completion", {**COMPLETION, "topic": None}),
        ("completion", {**COMPLETION, "topc": "loops"}),
        ("completion", {**COMPLETION, "topic?": "loops"}),
        ("completion", {"total_exercises": 10, "completed_exercises": 8}),
        ("quiz", {**QUIZ, "correct_answers": 11}),
        ("quiz", {**QUIZ, "confidence_score": 1.01}),
        ("quiz", {**QUIZ, "confidence_score": True}),
        ("quiz", {**QUIZ, "time_spent": -1}),
        ("quality", {**QUALITY, "efficiency_score": -0.01}),
        ("quality", {"code_quality_score": 0.5, "correctness_score": 0.5}),
        ("consistency", {}),
        ("consistency", {"activity_dates": ["2026-01-16"]}),
        ("consistency", {"activity_dates": ["2026-02-30"]}),
        ("consistency", {"activity_dates": ["20260114"]}),
        ("consistency", {"activity_dates": "2026-01-14"}),
        ("answer", {"item_id": "i-1", "skills": ["loops"]}),
        ("answer", {**ANSWER, "score": 1.5}),
        ("answer", {**ANSWER, "skills": list("abcdefghi")}),
        ("answer", {**ANSWER, "correct": 1}),
        ("execution", {"outcome": "failed"}),
        ("help", {"message": "I'm stuck"}),
        ("help", {"topic": "loops", "message": "m" * 1001}),
        ("recommendation.dismissed", {}),
        ("mastery.calculation.requested", setting()),
        ("mastery.calculation.requested", setting(quizz=0.5)),
        ("mastery.calculation.requested", setting(quiz=1.5)),
        ("mastery.calculation.requested", {}),
    ],
)
def test_data_that_is_refused(kind: str, data: dict[str, Any]) -> None:
    assert accepts(envelope(kind, data), NOW) is not None
