"""What the document holds for the model of the next answer: small, exact to its bytes, and no older than it may be."""

from math import inf
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY, SECOND, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.next_answer.model import with_answer
from mastery_engine.domain.skills.next_answer.parameters import PRIOR, AnswerModel
from mastery_engine.domain.skills.next_answer.state import (
    ITEM,
    ITEMS,
    MOST_BYTES,
    NO_ANSWERS,
    RECENT,
    SKILL,
    SKILLS,
    name_hash,
    packed,
    since,
    unpacked,
)
from mastery_engine.domain.student import NOBODY, Student, pack, unpack
from mastery_engine.domain.transition import aged, apply
from tests.support.older_documents import BEFORE_COURSES
from tests.support.samples import NOW, TODAY, answered, helped, logged

RULES = Rules()


def after(answers: list[tuple[Answer, Micros]], model: AnswerModel = PRIOR, source: bytes = b"") -> bytes:
    for answer, at in answers:
        source = with_answer(source, answer, at, model)
    return source


scores = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0.0, 1.0))
several = st.lists(
    st.tuples(
        st.builds(
            Answer,
            st.integers(0, 40).map("i{}".format),
            st.lists(st.integers(0, 12).map("s{}".format), max_size=8).map(tuple),
            score=scores,
            difficulty=st.sampled_from([None, "beginner", "advanced"]),
        ),
        st.integers(NOW - 100 * DAY, NOW),
    ),
    max_size=60,
)


@given(several)
def test_it_is_the_same_once_it_was_packed_and_never_too_large(answers: list[tuple[Answer, Micros]]) -> None:
    source = b""
    for answer, at in answers:
        source = with_answer(source, answer, at, PRIOR)
        assert packed(unpacked(source)) == source
        assert len(source) <= MOST_BYTES


def test_no_number_of_answers_makes_it_larger_or_breaks_it() -> None:
    chance, source, at = Random(1), b"", NOW
    for _ in range(20_000):
        at += chance.choice((0, 1, SECOND, 60 * SECOND))
        skills = tuple(f"{chance.random()}" for _ in range(chance.randrange(9)))
        source = with_answer(source, Answer(f"{chance.random()}", skills, chance.random() < 0.9), at, PRIOR)
    for right in (True, False):
        for _ in range(70_000):  # more than a place can count
            source = with_answer(source, Answer("one", ("s",), right), at, PRIOR)
    state = unpacked(source)
    assert (state.answers, len(state.items), len(state.skills), len(state.recent)) == (160_000, ITEMS, SKILLS, RECENT)
    assert len(source) <= MOST_BYTES
    assert all(abs(number) < inf for number in (*state.faded, *state.timed, state.mean, state.variance))


def test_without_answers_nothing_is_held() -> None:
    assert unpacked(b"") is NO_ANSWERS
    assert since(b"", NOW) == b""
    assert apply(NOBODY, logged([helped()]), NOW, RULES).student.answers == b""


@given(several, st.integers(0, 60))
def test_batches_split_anywhere_leave_the_same_bytes(answers: list[tuple[Answer, Micros]], at: int) -> None:
    events = [
        msgspec.structs.replace(answered(f"e{place}", at=when, received=when), data=answer)
        for place, (answer, when) in enumerate(sorted(answers, key=lambda pair: pair[1]))
    ]
    events.insert(at // 2, helped("h", at=NOW - 5 * DAY, received=NOW - 5 * DAY))
    events.sort(key=lambda event: event.received)
    whole = apply(NOBODY, logged(events), NOW, RULES).student
    split = apply(NOBODY, logged(events[:at]), NOW, RULES).student
    split = apply(split, logged(events[at:], first=at), NOW, RULES, cold={}).student
    one_by_one = NOBODY
    for place, event in enumerate(events):
        one_by_one = apply(one_by_one, logged([event], first=place), NOW, RULES, cold={}).student
    assert whole.answers == split.answers == one_by_one.answers
    assert whole.knowledge == split.knowledge == one_by_one.knowledge
    assert unpack(pack(whole)).answers == whole.answers


def test_what_is_older_than_the_retention_is_forgotten_and_by_the_purge_as_by_the_fold() -> None:
    old, new = NOW - 89 * DAY, NOW
    answers = [
        answered("1", at=old, received=old, item_id="old", skills=["old"]),
        answered("2", at=old, received=old, item_id="both", skills=["both"]),
        answered("3", at=new, received=new, item_id="new", skills=["both"]),
    ]
    student = apply(NOBODY, logged(answers), NOW, RULES, cold={}).student
    assert set(unpacked(student.answers).items) == set(map(name_hash, ("old", "both", "new")))
    purged = aged(student, {}, NOW + DAY, RULES)
    assert purged is not None
    folded = apply(student, logged([helped("h", at=NOW + DAY, received=NOW + DAY)], first=9), NOW + DAY, RULES, cold={})
    assert folded.student.answers == purged.student.answers
    state = unpacked(purged.student.answers)
    assert state.items == (name_hash("new"),)
    assert state.skills == (name_hash("both"),)
    assert [answer & ~1 for answer in state.recent] == [name_hash("new")]
    assert state.answers == 3, "levels stay, as those of knowledge tracing do"
    assert since(student.answers, (TODAY - 89) * DAY) == student.answers
    assert since(student.answers, (TODAY + 1) * DAY) == b""


@given(several, st.integers(NOW - 101 * DAY, NOW + DAY))
def test_what_is_left_since_a_moment_is_each_item_and_skill_of_then_or_later(
    answers: list[tuple[Answer, Micros]], oldest: Micros
) -> None:
    source = after(sorted(answers, key=lambda pair: pair[1]))
    state, left = unpacked(source), unpacked(since(source, oldest))
    items = [
        name
        for name, record in zip(state.items, ITEM.iter_unpack(state.item_records), strict=True)
        if record[1] >= oldest // DAY and state.at >= oldest
    ]
    skills = [
        name
        for name, record in zip(state.skills, SKILL.iter_unpack(state.skill_records), strict=True)
        if record[2] >= oldest // SECOND and state.at >= oldest
    ]
    assert [*left.items] == items
    assert [*left.skills] == skills
    assert [*left.recent] == [answer for answer in state.recent if answer & ~1 in items]
    assert left.answers == (state.answers if state.at >= oldest else 0)


def test_a_student_who_may_not_be_profiled_leaves_nothing() -> None:
    assert apply(NOBODY, logged([answered()]), NOW, RULES, profiled=False).student.answers == b""
    assert apply(NOBODY, logged([answered()]), NOW, RULES).student.answers


def test_a_document_of_an_older_engine_is_read() -> None:
    fields = msgspec.msgpack.decode(BEFORE_COURSES[1:])
    place = Student.__struct_fields__.index("answers")
    older = unpack(b"\x01" + msgspec.msgpack.encode(fields[:place]))
    assert older.answers == b""
    assert apply(older, logged([answered("2")], first=1), NOW, RULES).student.answers


def test_an_answer_from_before_the_last_one_gets_its_time() -> None:
    late = after([(Answer("i", ("s",), True), NOW), (Answer("j", ("s",), True), NOW - DAY)])
    assert late == after([(Answer("i", ("s",), True), NOW), (Answer("j", ("s",), True), NOW)])


@pytest.mark.parametrize("at", [-(10**15), 0, 2**33 * SECOND])
def test_any_time_can_be_held(at: Micros) -> None:
    source = after([(Answer("i", ("s",), True), at), (Answer("i", ("s",), False), at + SECOND)])
    assert unpacked(source).at == at + SECOND
