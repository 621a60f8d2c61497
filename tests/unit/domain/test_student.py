"""The document: what is packed comes back, and who is known."""

from hashlib import blake2b
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from mastery_engine.domain.advice import habits
from mastery_engine.domain.advice.learning_path import Step
from mastery_engine.domain.advice.recommendation import Recommendation
from mastery_engine.domain.events import seen
from mastery_engine.domain.evidence import attempts, causes, history
from mastery_engine.domain.ids import SEEN_BYTES
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.outbox import FoldSaid, InFull
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import KnowledgeState
from mastery_engine.domain.skills.next_answer import state
from mastery_engine.domain.student import (
    FORMAT,
    NOBODY,
    DocumentKey,
    Student,
    document_key_of,
    key_of,
    pack,
    pack_ids,
    unpack,
    unpack_ids,
)
from mastery_engine.domain.transition import apply
from mastery_engine.errors import NewerFormat
from tests.support.samples import ADVICE, NOW, TODAY, by_id, done, envelopes, event, helped, logged, quiz
from tests.support.samples import given as set_to

RULES = Rules()


def folded(*events: Any, student: Student = NOBODY) -> Student:
    return apply(student, logged(events), NOW, RULES).student


def test_a_document_is_a_students_in_a_course() -> None:
    for course_id in ("default", "rust"):
        one = event("help", {"topic": "loops"}, course_id=course_id)
        key = document_key_of(one)
        assert key == DocumentKey("default", "ada", course_id)
        assert (key.student, key.course) == (key_of(one), ("default", course_id))
    assert DocumentKey("school-1", "ada") == DocumentKey("school-1", "ada", "default")


@given(by_id(envelopes(), max_size=10))
def test_what_is_packed_unpacks_to_the_same(sent: list[dict[str, Any]]) -> None:
    student = folded(
        *[
            event(one["event_type"], one["data"], one["event_id"], received=NOW, timestamp=one["timestamp"])
            for one in sent
        ]
    )
    assert unpack(pack(student)) == student
    assert pack(unpack(pack(student))) == pack(student)


@given(st.dictionaries(st.integers(0, 65_535), st.binary(max_size=24), max_size=5))
def test_cold_ids_unpack_to_the_same(ids: dict[int, bytes]) -> None:
    assert unpack_ids(pack_ids(ids)) == ids


def test_a_document_of_a_newer_format_is_refused_and_not_misread() -> None:
    newer = bytes((FORMAT + 1,)) + pack(folded(quiz(1, 2)))[1:]
    with pytest.raises(NewerFormat, match=f"format {FORMAT + 1}.*up to {FORMAT}"):
        unpack(newer)


# What the documents of a format hold. An engine that does not know a field drops it when it writes: so where this
# changes after a release, a new FORMAT begins, which older engines refuse; until then the new hash takes the old one's
# place. New fields come last, so that older documents can be read.
SHAPE_OF = {3: "401581dbefefb7d1"}
PACKED = (Student, FoldSaid, InFull, KnowledgeState, Recommendation, Step)  # the document, and what stands packed in it


def test_a_document_that_holds_more_than_before_has_a_new_format() -> None:
    assert shape() == SHAPE_OF[FORMAT]


def shape() -> str:
    """The hash of all names and types in what a document holds."""
    known: set[Any] = set()
    rows = (habits._ROW, seen._DAY, attempts._ROW, causes._ROW, history._ROW, state._HEAD, state.ITEM, state.SKILL)
    written = [*[_written(kind, known) for kind in PACKED], *[row.format for row in rows], str(SEEN_BYTES)]
    return blake2b("\n".join(written).encode(), digest_size=8).hexdigest()


def _written(kind: Any, known: set[Any]) -> str:
    """A type with those of its fields, each struct once."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind in known:
            return "again"
        known.add(kind)
        return ",".join(f"{field.name}:{_written(field.type, known)}" for field in msgspec.structs.fields(kind))
    inside = ";".join(_written(one, known) for one in get_args(kind) if not isinstance(one, Meta))
    origin = get_origin(kind) or kind
    name = "Union" if origin in (Union, UnionType) else getattr(origin, "__qualname__", repr(origin))
    return f"{name}[{inside}]"


def test_topics_may_be_in_any_script() -> None:
    student = folded(done("größe", 1, 2, "1"), done("ループ", 2, 2, "2"), done("🎓", 0, 2, "3"))
    assert set(unpack(pack(student)).evidence.completion) == {"größe", "ループ", "🎓"}


def test_a_busy_student_takes_a_few_kilobytes() -> None:
    """90 days with a quiz, a completion and a review each, in 40 topics; results that wait come on top."""
    student = NOBODY
    for day in range(90):
        at = NOW - (89 - day) * DAY
        events = [
            quiz(7, 10, f"quiz-{day}", at=at, received=at),
            done(f"topic-{day % 40}", day, 90, f"done-{day}", at=at, received=at),
            event(
                "quality",
                dict.fromkeys(["code_quality_score", "correctness_score", "efficiency_score"], 0.5),
                f"quality-{day}",
                at=at,
                received=at,
            ),
        ]
        student = apply(student, logged(events, first=3 * day), at, RULES, cold={}, settled={0: 3 * day}).student
    assert len(student.history.packed) == 90 * 13
    assert (len(student.seen.ids), student.seen.cold_filter) == (270 * SEEN_BYTES, b"")
    assert len(pack(student)) < 9_500


# ---- who is known


def test_nobody_is_not_known() -> None:
    assert not NOBODY.is_known(NOW, RULES)


@pytest.mark.parametrize("kind", ["help", "recommendation.dismissed"])
def test_a_student_is_known_while_an_event_counts(kind: str) -> None:
    data = {"topic": "loops"} if kind == "help" else ADVICE
    student = folded(event(kind, data, at=TODAY * DAY))
    assert student.is_known((TODAY + 90) * DAY - 1, RULES)
    assert not student.is_known((TODAY + 90) * DAY, RULES)


def test_a_late_event_makes_known_for_what_is_left_of_its_time() -> None:
    student = folded(quiz(1, 2, at=NOW - 88 * DAY, received=NOW))
    assert student.is_known(NOW + DAY, RULES)
    assert not student.is_known(NOW + 2 * DAY, RULES)


def test_a_day_that_was_named_makes_known_by_itself() -> None:
    student = folded(event("consistency", {"activity_dates": ["2026-01-15"]}))
    assert student.is_known((TODAY + 1 + 90) * DAY - 1, RULES)
    assert not student.is_known((TODAY + 1 + 90) * DAY, RULES)


def test_what_was_set_makes_known() -> None:
    assert folded(set_to(quiz=0.0)).is_known(NOW + 89 * DAY, RULES)
    assert not folded(set_to(quiz=0.0)).is_known(NOW + 90 * DAY, RULES)


def test_a_school_may_forget_sooner() -> None:
    assert not folded(helped()).is_known(NOW + 7 * DAY, msgspec.structs.replace(RULES, retention_days=7))
