"""Two documents of one person made one: what adds up exactly, and by which rule the rest is chosen."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.advice.habits import Block, blocks_of, merged_habits, packed, work
from mastery_engine.domain.advice.recommendation import NO_ADVICE
from mastery_engine.domain.advice.struggle import MAX_SPELLS, Spell, merged_spells
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.evidence.score import exercises, mastery_score, score_on
from mastery_engine.domain.ids import seen_hash
from mastery_engine.domain.merging import Joined, Overlap, anew, frozen, ids_of, merge, overlap, thawed
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.outbox import in_full
from mastery_engine.domain.results import Updated
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import (
    MAX_SKILLS,
    NO_KNOWLEDGE,
    General,
    KnowledgeState,
    SkillLevel,
    merged_knowledge,
)
from mastery_engine.domain.student import NOBODY, Sent, Student
from mastery_engine.domain.transition import aged, apply, needs_cold
from tests.support.samples import (
    CURRICULUM,
    HOUR,
    NOW,
    TODAY,
    answered,
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
NOTHING = Joined(NOBODY, {})


def folded(*events: Any, at: int = NOW, start: Joined = NOTHING) -> Joined:
    """The document after events, one at a time as they came."""
    student, cold = start.student, start.cold
    for one in events:
        arrived = logged([one])
        after = apply(
            student, arrived, at, RULES, cold=cold if needs_cold(student, arrived) else None, curriculum=CURRICULUM
        )
        student, cold = after.student, cold if after.cold is None else after.cold
    return Joined(student, cold)


@given(
    by_id(envelopes(first=NOW - 80 * DAY, last=NOW), min_size=1, max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
    st.integers(0, 40),
)
def test_the_evidence_of_both_is_that_of_all_events(sent: list[dict[str, Any]], sides: list[bool], later: int) -> None:
    events = [
        event(one["event_type"], one["data"], one["event_id"], received=NOW, timestamp=one["timestamp"]) for one in sent
    ]
    ours = folded(*[one for one, side in zip(events, sides, strict=False) if side])
    theirs = folded(*[one for one, side in zip(events, sides, strict=False) if not side])
    whole = folded(*events)
    for one, other in ((ours, theirs), (theirs, ours)):
        both = merge(one, other, RULES)
        at = NOW + later * DAY
        found, expected = (mastery_score(which.student.evidence, at, RULES) for which in (both, whole))
        assert found.components == pytest.approx(expected.components, abs=1e-9)
        assert ids_of(both) == ids_of(whole)
        assert (both.student.latest, both.student.received) == (whole.student.latest, whole.student.received)
        assert overlap(both, ours) is overlap(both, theirs) is Overlap.ALL
        repeated = folded(*events, start=both)
        assert repeated.student.evidence == both.student.evidence


def test_documents_hold_none_some_or_all_of_anothers_events() -> None:
    ours, theirs = folded(quiz(9, 10, "a"), quiz(9, 10, "b")), folded(quiz(9, 10, "b"), quiz(9, 10, "c"))
    assert overlap(ours, folded(quiz(9, 10, "c"))) is Overlap.NONE
    assert overlap(ours, theirs) is Overlap.SOME
    assert overlap(ours, folded(quiz(9, 10, "b"))) is Overlap.ALL
    assert overlap(NOTHING, NOTHING) is Overlap.ALL


@pytest.mark.usefixtures("cold_after_a_week")
def test_ids_that_are_cold_are_known_as_well() -> None:
    old = folded(quiz(9, 10, "old", at=NOW - 20 * DAY, received=NOW - 20 * DAY))
    theirs = folded(quiz(9, 10, "new"), start=old)
    assert theirs.cold
    both = merge(folded(quiz(5, 10, "own")), theirs, RULES)
    assert ids_of(both) == {seen_hash(one) for one in ("old", "new", "own")}
    assert both.student.seen.may_be_cold(seen_hash("old"))
    assert not both.student.seen.holds(seen_hash("old"))
    assert needs_cold(both.student, logged([quiz(9, 10, "old")]))


def test_what_was_frozen_is_thawed_and_nobody_sees_it_till_then() -> None:
    document = folded(quiz(9, 10, metadata={"cohort_id": "py"})).student
    held = frozen(document, NOW + HOUR)
    assert thawed(held) == document
    assert not held.is_known(NOW, RULES)
    assert (held.cohorts, held.updated, held.seen) == ((), NOW + HOUR, NOBODY.seen)


def test_a_document_that_nobody_had_is_theirs_but_for_what_was_sent() -> None:
    theirs = folded(quiz(9, 10), done("loops", 3, 5, "d"), helped("h"))
    both = merge(NOTHING, theirs, RULES)
    assert both.student == msgspec.structs.replace(
        theirs.student,
        sent=Sent(0.0, "beginner"),
        results=in_full(theirs.student.outbox),
        guidance=msgspec.structs.replace(theirs.student.guidance, made_by=0),
    )


def test_the_next_event_sends_the_change_without_causes() -> None:
    ours, theirs = folded(quiz(5, 10, "a")), folded(done("loops", 5, 5, "b"))
    both = merge(ours, theirs, RULES)
    next_ = apply(both.student, logged([helped("h")], first=9), NOW, RULES).student
    assert next_.outbox[: len(both.student.outbox)] == (*ours.student.outbox, *theirs.student.outbox), "not sent yet"
    (updated,) = [one.result for one in next_.outbox if isinstance(one.result, Updated) and one.offset == 9]
    assert isinstance(updated, Updated)
    assert updated.moved is None
    assert updated.score > updated.previous_score == pytest.approx(ours.student.sent.score, abs=1e-4)


def test_cohorts_are_those_of_both_and_ours_are_the_newer_ones() -> None:
    def of(*names: str) -> Joined:
        return folded(*[helped(name, metadata={"cohort_id": name}) for name in names])

    assert merge(of("a", "b"), of("c", "a"), RULES).student.cohorts == ("c", "a", "b")
    assert merge(of(*"abcdef"), of(*"xyz"), RULES).student.cohorts == tuple("yzabcdef")


def test_what_is_too_old_for_one_is_for_both() -> None:
    old = folded(quiz(1, 10, at=NOW - 80 * DAY, received=NOW - 80 * DAY))
    young = folded(quiz(9, 10, "new", at=NOW + 30 * DAY, received=NOW + 30 * DAY))
    both = merge(old, young, RULES)
    assert both.student.floor == young.student.floor
    assert mastery_score(both.student.evidence, NOW, RULES).components[1] == pytest.approx(0.9)
    assert [point.day for point in both.student.history.points()] == [TODAY + 30]


# ---- history


def points(one: Joined) -> list[tuple[int, float, Any]]:
    return [(point.day - TODAY, point.score, point.components) for point in one.student.history.points()]


def test_a_day_of_one_or_the_other_has_a_point_with_the_evidence_of_both() -> None:
    ours = folded(quiz(10, 10, "a", at=NOW - 3 * DAY), quiz(10, 10, "b", at=NOW))
    theirs = folded(quiz(0, 10, "c", at=NOW - 2 * DAY), done("loops", 4, 5, "d", at=NOW - DAY))
    both = merge(ours, theirs, RULES)
    assert [day for day, *_ in points(both)] == [-3, -2, -1, 0]
    shown = [components for *_, components in points(both)]
    assert [of_day[0] for of_day in shown] == [None, None, 0.8, 0.8]
    for back, of_day in zip((3, 2, 1, 0), shown, strict=True):
        evidence = both.student.evidence.before(TODAY - back + 1, RULES)
        expected = score_on(evidence, TODAY - back, RULES).components
        assert of_day[1:] == pytest.approx(expected[1:], abs=1e-4)
    assert points(both)[-1][1] == pytest.approx(score_on(both.student.evidence, TODAY, RULES).score, abs=1e-4)


def test_completion_of_a_day_is_the_mean_of_both_by_their_exercises() -> None:
    ours = folded(done("loops", 0, 10, "a", at=NOW - 2 * DAY), done("loops", 10, 10, "b", at=NOW))
    theirs = folded(done("files", 15, 30, "c", at=NOW - DAY))
    shown = [components[0] for *_, components in points(merge(ours, theirs, RULES))]
    assert shown == [0.0, pytest.approx(15 / 40), pytest.approx(25 / 40)]
    assert exercises(theirs.student.evidence, RULES) == 30


def test_a_completion_that_was_only_set_has_no_exercises_to_weigh_by() -> None:
    ours, theirs = folded(set_to("a", completion=0.4)), folded(set_to("b", at=NOW - DAY, completion=0.8))
    shown = [components[0] for *_, components in points(merge(ours, theirs, RULES))]
    assert shown == [0.8, 0.8]


# ---- causes


def test_causes_of_both_would_not_add_up_and_those_of_one_stay() -> None:
    ours, theirs = folded(quiz(9, 10, "a")), folded(quiz(2, 10, "b"))
    both = merge(ours, theirs, RULES).student.causes
    assert (list(both.each()), both.complete_after, both.is_aged) == ([], TODAY, True)
    asked = folded(helped("h"))
    assert merge(asked, theirs, RULES).student.causes == theirs.student.causes
    assert merge(ours, asked, RULES).student.causes == ours.student.causes
    after = folded(quiz(9, 10, "c"), start=merge(ours, theirs, RULES)).student
    (_, cause), *_ = after.causes.each()
    quizzes = [
        score_on(one.evidence, TODAY, RULES).components[1] for one in (merge(ours, theirs, RULES).student, after)
    ]
    assert cause.moved / 60_000 == pytest.approx((quizzes[1] or 0) - (quizzes[0] or 0), abs=1e-4)


# ---- folded anew


def test_what_the_log_has_of_all_events_takes_the_place_of_both() -> None:
    first, other, more = quiz(1, 10, "a"), quiz(9, 10, "a"), quiz(5, 10, "b")
    ours, theirs = folded(other), folded(first, more)
    whole = folded(first, other, more)
    made = anew(ours, theirs, whole.student, RULES)
    assert made is not None
    assert (made.student.evidence, made.student.history) == (whole.student.evidence, whole.student.history)
    assert made.student.outbox == (*ours.student.outbox, *theirs.student.outbox)
    assert made.student.sent == Sent(ours.student.sent.score, ours.student.sent.level)
    assert anew(ours, theirs, folded(first).student, RULES) is None


# ---- what follows arrival


def test_without_profiling_nothing_is_taken_of_a_profile() -> None:
    ours, theirs = folded(quiz(9, 10, "q")), folded(answered("a"), quiz(1, 10, "low"))
    assert theirs.student.answers
    both, plain = (merge(ours, theirs, RULES, profiled=profiled).student for profiled in (True, False))
    assert both.knowledge == theirs.student.knowledge
    assert both.answers == theirs.student.answers
    assert both.guidance.spells == theirs.student.guidance.spells != {}
    assert (plain.knowledge, plain.answers, plain.guidance) == (NO_KNOWLEDGE, b"", ours.student.guidance)
    assert plain.evidence == both.evidence


def test_the_state_that_knows_more_answers_is_taken() -> None:
    one, two = folded(answered("a")), folded(answered("b"), answered("c"))
    assert merge(one, two, RULES).student.answers == two.student.answers
    assert merge(two, one, RULES).student.answers == two.student.answers
    three = folded(answered("d", item_id="other"))
    assert merge(one, three, RULES).student.answers == one.student.answers


def level(answers: int, at: int, mean: float = 0.0) -> SkillLevel:
    return SkillLevel(mean, 0.1, at, None, answers, 0.0)


def test_each_skill_is_known_as_by_the_more_answers() -> None:
    ours = KnowledgeState(General(0.5, 0.2, 7), {"a": level(3, 5), "b": level(1, 6), "c": level(2, 7)})
    theirs = KnowledgeState(General(-0.5, 0.1, 9), {"b": level(1, 8), "c": level(1, 9), "d": level(9, 1)})
    both = merged_knowledge(ours, theirs)
    assert both.general == General(-0.5, 0.1, 9)
    assert list(both.skills.items()) == [
        ("d", level(9, 1)),
        ("a", level(3, 5)),
        ("c", level(2, 7)),
        ("b", level(1, 8)),
    ]
    assert merged_knowledge(theirs, ours).skills == both.skills
    assert merged_knowledge(ours, ours) == ours
    assert merged_knowledge(NO_KNOWLEDGE, ours) is merged_knowledge(ours, NO_KNOWLEDGE) is ours
    assert merged_knowledge(theirs, KnowledgeState(General(0.5, 0.2, 9), {})).general == General(-0.5, 0.1, 9)


def test_the_skills_practised_last_are_held() -> None:
    ours = KnowledgeState(General(0, 1, 9), {f"o{n}": level(1, 2 * n) for n in range(MAX_SKILLS)})
    theirs = KnowledgeState(General(0, 1, 9), {f"t{n}": level(1, 2 * n + 1) for n in range(MAX_SKILLS)})
    both = merged_knowledge(ours, theirs)
    assert len(both.skills) == MAX_SKILLS
    assert min(one.at for one in both.skills.values()) == MAX_SKILLS


def test_of_each_struggle_the_one_with_the_later_sign_stays() -> None:
    ours = {"a": Spell(1, 5), "b": Spell(1, 5, (), "low_quiz", "why")}
    theirs = {"a": Spell(2, 6), "b": Spell(2, 5), "c": Spell(3, 3)}
    assert merged_spells(ours, theirs) == {"a": theirs["a"], "b": ours["b"], "c": theirs["c"]}
    many = {f"t{n}": Spell(n, n, (), "low_quiz" if n < 3 else "", "why") for n in range(MAX_SPELLS + 5)}
    kept = merged_spells({}, many)
    assert len(kept) == MAX_SPELLS
    assert {"t0", "t1", "t2"} <= kept.keys(), "raised ones stay"


def test_habits_add_up() -> None:
    ours, theirs = folded(answered("a", duration=8.0, hints=1)), folded(answered("b", duration=100.0, correct=False))
    both = merged_habits(ours.student.guidance.habits, theirs.student.guidance.habits)
    whole = folded(answered("a", duration=8.0, hints=1), answered("b", duration=100.0, correct=False))
    assert both == whole.student.guidance.habits
    full = packed((Block(7, bytes([200] * 39), 1, 5),))
    assert merged_habits(full, full) == packed((Block(7, bytes([255] * 39), 1, 10),))
    other = packed((Block(6, bytes(39), 0, 1), Block(8, bytes(39), 0, 2)))
    assert [block.number for block in blocks_of(merged_habits(full, other))] == [6, 7, 8]
    assert merged_habits(full, other) == merged_habits(other, full)
    assert work(both, 0).seconds == 108


def test_advice_is_the_newer_one_and_all_dismissals_hold() -> None:
    def dismissed(name: str) -> Any:
        return event("recommendation.dismissed", {"recommendation_id": name}, name)

    ours = folded(quiz(9, 10, "a", at=NOW - 2 * DAY), dismissed("1"), at=NOW - 2 * DAY)
    theirs = folded(quiz(5, 10, "b"), dismissed("2"))
    for both in (merge(ours, theirs, RULES), merge(theirs, ours, RULES)):
        assert both.student.guidance.advice == theirs.student.guidance.advice != NO_ADVICE
        assert both.student.guidance.path == theirs.student.guidance.path
        assert both.student.guidance.dismissed.keys() == {"1", "2"}


def test_a_merged_document_ages_as_others_do() -> None:
    both = merge(folded(quiz(9, 10, "a")), folded(done("loops", 4, 5, "b")), RULES)
    left: IdsByDay = both.cold
    assert aged(both.student, left, NOW + 100 * DAY, RULES) is None
    assert isinstance(both.student, Student)
