"""The section of causes: bounded, and exact where it has to say less."""

from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.evidence.causes import (
    COARSE_ROWS,
    LATE,
    MOST_NAMED,
    MOST_ROWS,
    NO_CAUSES,
    PENDING,
    QUIZ,
    QUIZ_CODE,
    Cause,
    CauseRecorder,
    Causes,
    causes_of_run,
    merged_causes,
)
from mastery_engine.domain.evidence.evidence import with_event
from mastery_engine.domain.evidence.score import score_on
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import COMPONENTS, Rules
from mastery_engine.domain.student import NOBODY
from mastery_engine.domain.transition import apply
from tests.support import samples
from tests.support.samples import NOW, TODAY, done, helped, logged, quiz

CODE = QUIZ_CODE | QUIZ
ROW = 10


def quiz_on(topic: str | None, moved: int = 1, *, code: int = CODE, share: int = 5_000) -> Cause:
    return Cause(code, topic, 1, moved, share)


def filled(days: int, each: int, codes: tuple[int, ...] = (CODE,)) -> Causes:
    causes = NO_CAUSES
    for back in range(days - 1, -1, -1):
        for number in range(each):
            for code in codes:
                causes = causes.plus(TODAY - back, quiz_on(f"t{number}", code=code))
    return causes


def test_events_of_one_kind_and_topic_on_a_day_are_one_row() -> None:
    causes = NO_CAUSES.plus(TODAY, quiz_on("loops", 5, share=10_000)).plus(TODAY, quiz_on("loops", -9, share=5_000))
    assert [*causes.each()] == [(TODAY, Cause(CODE, "loops", 2, -4, 7_500))]
    apart = causes.plus(TODAY, quiz_on("Loops")).plus(TODAY + 1, quiz_on("loops"))
    assert [(day, cause.topic, cause.events) for day, cause in apart.each()] == [
        (TODAY, "loops", 2),
        (TODAY, "Loops", 1),
        (TODAY + 1, "loops", 1),
    ]


def test_a_row_that_is_full_gets_a_second_one() -> None:
    causes = NO_CAUSES
    for _ in range(300):
        causes = causes.plus(TODAY, quiz_on("loops", 60_000))
    assert sum(cause.events for _, cause in causes.each()) == 300
    assert sum(cause.moved for _, cause in causes.each()) == 300 * 60_000
    assert [cause.events for cause in merged_causes(cause for _, cause in causes.each())] == [300]


def test_rows_older_than_14_days_go_with_their_topics() -> None:
    causes = NO_CAUSES.plus(TODAY - 14, quiz_on("a" * 100)).plus(TODAY - 13, quiz_on("b" * 100))
    later = causes.plus(TODAY, quiz_on("c"))
    assert [cause.topic for _, cause in later.each()] == ["b" * 100, "c"]
    assert b"a" not in later.topics


def test_the_section_stays_small_and_exact_whatever_comes() -> None:
    """Under pressure the oldest days lose their topics, then their kinds, and at last their rows, which is said."""
    codes = (CODE, CODE | LATE)
    for days, each in ((1, 60), (14, 6), (14, 2)):
        causes = filled(days, each, codes)
        assert len(causes.rows) <= MOST_ROWS * ROW
        assert len(causes.topics) <= MOST_NAMED
        assert causes.complete_after == 0
        assert sum(cause.moved for _, cause in causes.each()) == days * each * 2
        assert sum(cause.events for _, cause in causes.each()) == days * each * 2
    kinds = tuple(16 * kind | place for kind in (2, 3, 5) for place in range(4))
    crowded = filled(14, 1, kinds)
    assert len(crowded.rows) <= MOST_ROWS * ROW
    kept = {day for day, _ in crowded.each()}
    assert crowded.complete_after == min(kept) - 1
    assert sum(cause.moved for _, cause in crowded.each()) == len(kept) * len(kinds)


def test_three_components_on_each_of_14_days_keep_their_topics() -> None:
    causes = filled(14, 1, (CODE, 0x10, 0x42))
    assert len(causes.rows) == 42 * ROW == COARSE_ROWS * ROW
    assert {cause.topic for _, cause in causes.each()} == {"t0"}


def test_a_topic_beyond_the_room_for_names_has_none() -> None:
    causes = NO_CAUSES.plus(TODAY, quiz_on("a" * 100)).plus(TODAY, quiz_on("b" * 100)).plus(TODAY, quiz_on("c" * 100))
    assert [cause.topic for _, cause in causes.each()] == ["a" * 100, "b" * 100, None]
    assert len(causes.topics) <= MOST_NAMED


def test_topics_are_found_whole() -> None:
    causes = NO_CAUSES.plus(TODAY, quiz_on("loops")).plus(TODAY, quiz_on("loop")).plus(TODAY, quiz_on("größe"))
    assert [cause.topic for _, cause in causes.each()] == ["loops", "loop", "größe"]


def test_what_is_pending_settles_on_the_day_of_the_point_that_shows_it() -> None:
    causes = NO_CAUSES.plus(TODAY - 1, quiz_on("loops")).plus(TODAY - 1, quiz_on("loops", code=CODE | LATE | PENDING))
    assert causes.has_pending
    settled = causes.settled(TODAY)
    assert not settled.has_pending
    assert [(day, cause.is_late, cause.is_pending) for day, cause in settled.each()] == [
        (TODAY - 1, False, False),
        (TODAY, True, False),
    ]
    assert not NO_CAUSES.has_pending


def test_the_purge_takes_old_days_and_their_topics() -> None:
    causes = NO_CAUSES.plus(TODAY - 3, quiz_on("loops")).plus(TODAY, quiz_on("lists"))
    left = causes.aged(TODAY - 2, is_aged=True)
    assert [cause.topic for _, cause in left.each()] == ["lists"]
    assert b"loops" not in left.topics
    assert left.is_aged


def test_what_looks_like_a_row_within_another_is_none() -> None:
    """The count and the move of one row may be the bytes by which another is looked for."""
    key = int.from_bytes(TODAY.to_bytes(2, "big") + bytes((CODE, 255)), "big")
    like = Cause(0x10, None, key >> 24, (key & 0xFFFFFF) - (1 << 23), 0)
    causes = NO_CAUSES.plus(TODAY - 1, like).plus(TODAY, quiz_on(None))
    assert [*causes.each()] == [(TODAY - 1, like), (TODAY, quiz_on(None))]


@given(
    st.lists(st.sampled_from([quiz(3, 5, "q"), done("loops", 1, 3, "d"), helped("h")]), unique_by=id),
    st.dictionaries(st.sampled_from(COMPONENTS), st.floats(0.0, 1.0), min_size=1),
    st.dictionaries(st.sampled_from(COMPONENTS), st.floats(0.0, 1.0)),
    st.integers(0, 40),
)
def test_a_calculations_causes_are_those_that_are_recorded_one_by_one(
    before: list[object], components: dict[str, float], earlier: dict[str, float], days: int
) -> None:
    rules = Rules()
    known = [*before, *([samples.given("e", **earlier)] if earlier else [])]
    student = apply(NOBODY, logged(known), NOW, rules, cold={}).student  # type: ignore[arg-type]
    day, at = TODAY + days, NOW + days * DAY
    (calculation,) = logged([samples.given("c", at=at, received=at, **components)])
    after = with_event(student.evidence, calculation.event, rules)
    history = student.history.with_point(day, score_on(after, day, rules))
    recorder = CauseRecorder(student.history, student.causes, rules)
    recorder.settle(day)
    recorder.record(calculation.event, student.evidence, after, day, is_late=False)
    around = [(student.evidence, after)]
    told = causes_of_run(student.causes, [calculation], student.history, history, around, rules)
    assert told == (recorder.causes, recorder.found)
    assert len(recorder.found) == len(components)
