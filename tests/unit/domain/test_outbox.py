"""The outbox gives its results back as they were, wherever they stand."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.advice.recommendation import recommendation_id
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.outbox import Beside, in_full, is_settled, results_of
from mastery_engine.domain.results import PathRecommended, StruggleDetected, ThresholdReached, Updated
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student, pack, unpack
from mastery_engine.domain.transition import aged, apply
from mastery_engine.lab.folded import course
from tests.support.samples import NOW, by_id, done, envelopes, event, helped, logged, quiz

RULES, COURSE = Rules(), course()
NOTHING = Beside(None, None, (), ())


@given(by_id(envelopes(last=NOW), min_size=1, max_size=8), st.booleans(), st.booleans())
def test_what_a_fold_says_is_what_its_document_says(sent: list[dict[str, Any]], profiled: bool, settled: bool) -> None:
    student, said = NOBODY, []
    for place, one in enumerate(sent):
        new = event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=NOW)
        done = apply(
            student,
            logged([new], first=place),
            NOW,
            RULES,
            curriculum=COURSE,
            profiled=profiled,
            settled={0: place} if settled else None,
        )
        student = unpack(pack(done.student))
        assert done.outbox is not None
        said = [pending for pending in done.outbox if pending.offset == place] if settled else [*done.outbox]
        assert [*student.outbox] == said == [*done.outbox]
    assert is_settled(student.results, {0: len(sent)}) == (settled or len(sent) == 1)
    assert not is_settled(student.results, {})


def all_kinds() -> Student:
    """A document whose last fold said all four kinds of results, as its first."""
    return apply(
        NOBODY,
        logged([quiz(4, 10, topic="loops"), helped("h"), done("loops", 10, 10, "d")]),
        NOW,
        RULES,
        curriculum=COURSE,
    ).student


def test_it_refers_to_what_the_document_holds() -> None:
    student = all_kinds()
    assert {type(one.result) for one in student.outbox} == {
        Updated,
        ThresholdReached,
        StruggleDetected,
        PathRecommended,
    }
    assert len(student.results) < len(in_full(student.outbox)) / 2
    update, *_ = student.outbox
    assert isinstance(update.result, Updated)
    assert update.result.advice == student.guidance.advice.items != ()


def test_what_was_dismissed_is_not_said_although_the_document_holds_it() -> None:
    student = all_kinds()
    first, *others = student.guidance.advice.items
    named = recommendation_id("default", "ada", "default", first)
    dismissed = event("recommendation.dismissed", {"recommendation_id": named}, "dismissed")
    after = apply(student, logged([dismissed], first=9), NOW, RULES, curriculum=COURSE, settled={0: 9})
    (update,) = unpack(pack(after.student)).outbox
    assert (update,) == after.outbox
    assert isinstance(update.result, Updated)
    assert update.result.advice == tuple(others)
    assert after.student.guidance.advice.items == (first, *others)


def test_results_that_wait_stay_although_the_advice_is_forgotten() -> None:
    student = all_kinds()
    left = aged(student, {}, NOW + 90 * DAY, RULES)
    assert left is None or left.student.outbox == student.outbox
    student = msgspec.structs.replace(student, latest=NOW + 30 * DAY)
    left = aged(student, {}, NOW + 91 * DAY, RULES)
    assert left is not None
    assert left.student.guidance.advice.items == ()
    assert left.student.outbox == student.outbox


def test_an_empty_outbox_is_no_bytes() -> None:
    assert in_full(()) == b""
    assert results_of(b"", NOTHING) == ()
    assert is_settled(b"", {})


@pytest.mark.parametrize("settled", [{}, {0: 1}, {0: 10}])
def test_results_in_full_are_settled_one_by_one(settled: dict[int, int]) -> None:
    packed = in_full(all_kinds().outbox)
    assert not is_settled(packed, settled), "the next fold looks at each"
    assert results_of(packed, NOTHING) == all_kinds().outbox
