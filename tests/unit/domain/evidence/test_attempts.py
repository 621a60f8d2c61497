"""Regrades: of the words on one attempt the latest counts, whichever came first."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.evidence.attempts import MAX_ATTEMPTS, Attempts, Word, attempt_hash
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, Evidence, with_event
from mastery_engine.domain.evidence.score import components
from mastery_engine.domain.ids import ID_BYTES
from mastery_engine.domain.moments import DAY, MINUTE
from mastery_engine.domain.rules import QUALITY, QUIZ, Rules
from mastery_engine.domain.student import NOBODY, pack, unpack
from mastery_engine.domain.transition import aged, apply
from tests.support.samples import HOUR, NOW, TODAY, answered, by_id, envelopes, event, helped, logged, quiz
from tests.support.samples import QUALITY as REVIEW
from tests.support.samples import given as set_to

RULES = Rules()


def tried(correct: float, event_id: str, attempt: str | None = "a", *, at: int = NOW, total: int = 10) -> LearningEvent:
    """A quiz, of an attempt where one is named."""
    data: dict[str, Any] = {"total_questions": total, "correct_answers": correct}
    if attempt is not None:
        data["attempt_id"] = attempt
    return event("quiz", data, event_id, at=at, received=NOW)


def reviewed(score: float, event_id: str, attempt_id: str = "a", *, at: int = NOW) -> LearningEvent:
    return event("quality", {**dict.fromkeys(REVIEW, score), "attempt_id": attempt_id}, event_id, at=at, received=NOW)


def answer(event_id: str, *, at: int = NOW, **data: Any) -> LearningEvent:
    return answered(event_id, at=at, received=NOW, **data)


def known_of(*events: LearningEvent) -> Evidence:
    found = NO_EVIDENCE
    for one in events:
        found = with_event(found, one, RULES)
    return found


def values(known: Evidence, at: int = NOW) -> tuple[float | None, float | None]:
    """Quiz and quality at a moment."""
    _, quizzes, reviews, _ = components(known, at, RULES)
    return quizzes, reviews


def test_the_latest_word_on_an_attempt_counts_in_the_place_of_the_others_in_any_order() -> None:
    words = [tried(2, "1", at=NOW - 3 * DAY), tried(6, "2", at=NOW - 2 * DAY), tried(9, "3", at=NOW - DAY)]
    other = tried(5, "4", None, at=NOW - DAY)
    for order in permutations([*words, other]):
        assert values(known_of(*order)) == (pytest.approx(0.7), None)
        assert known_of(*order).activity.mask == 0b111  # days of earlier words stay active


def test_the_words_own_time_is_the_evidences() -> None:
    """Corrected today, an old attempt weighs as one of today does."""
    found = known_of(tried(0, "1", at=NOW - 14 * DAY), tried(10, "2"), tried(0, "3", None, at=NOW - 14 * DAY))
    assert values(found) == (pytest.approx(2 / 3), None)


def test_at_the_same_time_the_greater_id_counts() -> None:
    ids = ["a", "Z", "a.", "a:", "0", "_"]
    for turn in range(len(ids)):
        order = ids[turn:] + ids[:turn]
        assert values(known_of(*[tried(ids.index(one), one) for one in order])) == (0.3, None)


def test_attempts_belong_to_their_kind() -> None:
    found = known_of(tried(10, "1"), answer("2", correct=False, attempt_id="a"), reviewed(0.5, "3"))
    assert values(found) == (pytest.approx(10 / 11), pytest.approx(0.5))
    assert attempt_hash("quiz", "a") != attempt_hash("answer", "a")


def test_a_regrade_of_a_review_and_of_an_answer() -> None:
    found = known_of(
        reviewed(0.9, "1", at=NOW - DAY),
        reviewed(0.4, "2"),
        answer("3", correct=False, attempt_id="x", at=NOW - HOUR),
        answer("4", score=0.8, attempt_id="x"),
    )
    assert values(found) == (pytest.approx(0.8), pytest.approx(0.4))


def test_an_answer_that_is_part_of_a_quiz_is_evidence_of_the_day_alone() -> None:
    found = known_of(answer("1", part_of="a"), answer("2", part_of="a", correct=False))
    assert (found.attempts, values(found), found.activity.mask) == (None, (None, None), 1)
    assert values(known_of(answer("1", part_of="a", correct=False), tried(7, "2"))) == (0.7, None)


def test_the_word_that_an_answer_is_part_of_a_quiz_takes_its_evidence_away() -> None:
    for order in permutations([answer("1", attempt_id="x", at=NOW - 1), answer("2", attempt_id="x", part_of="a")]):
        assert values(known_of(*order)) == (None, None)
    for order in permutations([answer("1", attempt_id="x", part_of="a", at=NOW - 1), answer("2", attempt_id="x")]):
        assert values(known_of(*order)) == (1.0, None)


def test_a_component_that_was_set_holds_until_a_later_word() -> None:
    earlier, later = tried(1, "1", at=NOW - 2 * HOUR), tried(2, "2", at=NOW)
    assert values(known_of(set_to("0", at=NOW - HOUR, quiz=0.5), earlier)) == (0.5, None)
    for order in permutations([set_to("0", at=NOW - HOUR, quiz=0.5), earlier, later]):
        assert values(known_of(*order)) == (0.2, None)


def test_a_correction_ages_by_its_own_time() -> None:
    words = [tried(2, "1", at=NOW - 89 * DAY), tried(9, "2", at=NOW - 80 * DAY)]
    student = apply(NOBODY, logged(words), NOW, RULES).student
    for days, expected in ((0, 0.9), (9, 0.9), (10, None)):
        assert values(student.evidence, NOW + days * DAY) == (expected, None)
    left = aged(student, {}, NOW + 9 * DAY, RULES)
    assert left is not None
    assert len(left.student.evidence.told_apart()) == 1
    assert values(left.student.evidence, NOW + 9 * DAY) == (0.9, None)
    gone = aged(student, {}, NOW + 10 * DAY, RULES)
    assert gone is not None  # for the ids of its events
    assert gone.student.evidence.attempts is None


def test_what_is_older_than_the_retention_goes_and_what_is_newer_can_still_be_corrected() -> None:
    found = known_of(tried(2, "1", "old", at=NOW - 5 * DAY), tried(4, "2", "new", at=NOW - DAY), quiz(6, 10, "3"))
    left = found.since(TODAY - 2, RULES)
    assert [word.event_id for word in left.told_apart().words()] == ["2"]
    assert values(with_event(left, tried(8, "4", "new"), RULES)) == (pytest.approx(0.7), None)
    assert found.since(TODAY, RULES).attempts is None
    assert values(found.since(TODAY, RULES)) == (0.6, None)


@pytest.mark.parametrize("late_first", [False, True])
def test_the_256_attempts_with_the_latest_words_are_held_with_their_evidence(late_first: bool) -> None:
    """Of all kinds together; what drops out takes its evidence with it, and comes back with a later word alone."""
    first = [tried(0, f"q{n}", f"{n}", at=NOW - DAY + n, total=1) for n in range(10)]
    many = [reviewed(1.0, f"r{n}", f"{n}", at=NOW - HOUR + n) for n in range(MAX_ATTEMPTS - 5)]
    found = known_of(*(many + first if late_first else first + many), quiz(1, 1, "plain", at=NOW - DAY))
    assert {word.event_id for word in found.told_apart().words() if word.place == QUIZ} == {
        f"q{n}" for n in range(5, 10)
    }
    assert values(found) == (pytest.approx(1 / 6), 1.0)
    found = with_event(found, tried(0, "again", "3", at=NOW - DAY + 1, total=1), RULES)
    assert len(found.told_apart()) == MAX_ATTEMPTS
    assert values(found) == (pytest.approx(1 / 6), 1.0)
    found = with_event(found, tried(0, "later", "3", total=1), RULES)
    assert {word.event_id for word in found.told_apart().words() if word.place == QUIZ} == {
        "later",
        *(f"q{n}" for n in range(6, 10)),
    }


def test_in_a_tie_of_attempts_for_the_last_place_the_greater_event_id_stays() -> None:
    words = [tried(0, f"{n:03}", f"{n}") for n in range(MAX_ATTEMPTS + 3)]
    for order in (words, words[::-1], words[100:] + words[:100]):
        held = known_of(*order).told_apart().words()
        assert [word.event_id for word in held] == [f"{n:03}" for n in range(3, MAX_ATTEMPTS + 3)]


def test_evidence_without_attempts_is_told_apart_from_that_with_them() -> None:
    """So that a correction takes back what it corrects and nothing else, to the last digit."""
    rest = [quiz(90_000, 100_000, f"p{n}", at=NOW - n * MINUTE) for n in range(5)]
    mistaken = known_of(tried(10, "1", at=NOW - DAY), *rest, tried(0, "2", "b"), tried(5, "3", at=NOW - HOUR, total=10))
    plain = known_of(*rest, tried(0, "2", "b"), tried(5, "3", at=NOW - HOUR, total=10))
    assert mistaken.quiz == plain.quiz


def test_a_document_has_its_words_back_and_one_of_an_engine_that_held_none_is_read() -> None:
    events = [tried(5, "1"), reviewed(0.5, "2"), answer("3", attempt_id="x")]
    student = apply(NOBODY, logged(events), NOW, RULES).student
    assert unpack(pack(student)) == student
    assert Evidence() == Evidence({}, NO_EVIDENCE.quiz, NO_EVIDENCE.quality, NO_EVIDENCE.activity, NO_EVIDENCE.direct)
    without = apply(NOBODY, logged([quiz(5, 10, "1"), helped("2")]), NOW, RULES).student
    assert without.evidence.attempts is None


def test_a_hash_across_two_columns_is_no_attempt() -> None:
    attempt = attempt_hash("quiz", "a")
    held = Attempts().with_word(Word("e", attempt, NOW, TODAY, QUIZ, 1.0, 0.5))[0]
    for start in range(1, len(held.rows) - ID_BYTES):
        assert held.word_on(held.rows[start : start + ID_BYTES]) is None
    assert held.word_on(attempt) == Word("e", attempt, NOW, TODAY, QUIZ, 1.0, 0.5)
    assert held.word_on(attempt_hash("quiz", "b")) is None


words = st.builds(
    Word,
    st.sampled_from("abcdef"),
    st.sampled_from([bytes([n]) * ID_BYTES for n in range(4)]),
    st.integers(NOW - 3, NOW),
    st.just(TODAY),
    st.sampled_from([QUIZ, QUALITY]),
    st.just(1.0),
    st.floats(0, 1),
)
sets_of_words = st.lists(words, max_size=8, unique_by=lambda word: (word.event_id, word.at))


def held_of(some: list[Word]) -> Attempts:
    found = Attempts()
    for word in some:
        found, _ = found.with_word(word)
    return found


@given(sets_of_words, st.integers(0, 8), st.randoms(use_true_random=False))
def test_words_merge_in_any_order_and_more_than_once(some: list[Word], cut: int, chance: Any) -> None:
    whole, ours, theirs = held_of(some), held_of(some[:cut]), held_of(some[cut // 2 :])
    chance.shuffle(some)
    assert held_of(some) == held_of(some + some) == whole == ours.merge(theirs) == theirs.merge(ours)
    assert [word.order for word in whole.words()] == sorted(word.order for word in whole.words())


measured = by_id(envelopes(kinds=("quiz", "quality", "answer"), first=NOW - 5 * DAY), max_size=14)


@given(measured)
def test_what_has_gone_leaves_nothing_behind(sent: list[dict[str, Any]]) -> None:
    """The sums that are mended with each word are those that the words held make anew."""
    found = NO_EVIDENCE
    for one in sent:
        taken = event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=NOW)
        found = with_event(found, taken, RULES)
    for place, kept in ((QUIZ, found.quiz), (QUALITY, found.quality)):
        anew = found.told_apart().all_evidence(place, RULES.half_life)
        assert (kept.days, kept.latest) == (anew.days, anew.latest)
        for floor in range(TODAY - 5, TODAY + 1):
            assert kept.mean(floor) == pytest.approx(anew.mean(floor), abs=1e-12)


def test_a_correction_after_a_change_of_the_half_life_counts_by_the_new_one() -> None:
    rules = Rules(half_life_days=7.0)
    found = known_of(tried(4, "1", at=NOW - 7 * DAY), tried(0, "2", "b", at=NOW - 7 * DAY))
    found = with_event(found, tried(10, "3", "b"), rules)
    assert found.quiz.decays_in == rules.half_life
    assert components(found, NOW, rules)[1] == pytest.approx((0.4 / 2 + 1.0) / 1.5)


def test_what_is_taken_back_after_a_change_of_the_half_life_leaves_the_rest_by_the_new_one() -> None:
    rules = Rules(half_life_days=7.0)
    events = [answer("1", at=NOW - 7 * DAY), answer("2", correct=False), answer("3", attempt_id="x", at=NOW - 1)]
    found = with_event(known_of(*events), answer("4", attempt_id="x", part_of="a"), rules)
    assert components(found, NOW, rules)[1] == pytest.approx(0.5 / 1.5)


def test_the_last_evidence_of_a_component_can_be_taken_back() -> None:
    found = known_of(answer("1", attempt_id="x", at=NOW - DAY), answer("2", attempt_id="x", part_of="a"))
    assert found.quiz == NO_EVIDENCE.quiz
