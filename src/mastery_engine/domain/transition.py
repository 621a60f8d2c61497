"""``apply`` and ``aged`` change a student's document; nothing else does.

``apply`` folds events into it: it drops those applied before, merges the evidence of the rest, sets the daily points,
and leaves the results in the document until they were published. ``aged`` removes what is older than the retention.
Neither reads a clock or has side effects.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.cooling import cooled, cooled_all, first_day
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.evidence.causes import CAUSE_DAYS
from mastery_engine.domain.ids import seen_hash
from mastery_engine.domain.moments import Micros, day_of
from mastery_engine.domain.outbox import in_full
from mastery_engine.domain.results import Pending
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import packed as packed_knowledge
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills.next_answer.parameters import NO_ANSWER_MODELS, AnswerModels
from mastery_engine.domain.skills.next_answer.state import since
from mastery_engine.domain.stages import (
    Stages,
    add_causes,
    add_evidence,
    add_guidance,
    add_results,
    admit,
    renew_advice,
    set_point,
    set_score,
    trace_answers,
    trace_skills,
)
from mastery_engine.domain.student import Sent, Student

Turn: TypeAlias = tuple[Student, Sequence[Logged], IdsByDay | None]


class Transition(msgspec.Struct, frozen=True, gc=False):
    """What a fold did. ``cold`` is the new cold value, None if it is unchanged; ``new`` are the events that counted.

    Without new events ``student`` is the same object that went in, and ``outbox`` is None; else it is what the
    student's is.
    """

    student: Student
    new: tuple[LearningEvent, ...]
    cold: IdsByDay | None = None
    outbox: tuple[Pending, ...] | None = None


def needs_cold(student: Student, events: Sequence[Logged], *, is_busy: bool = False) -> bool:
    """Whether ``apply`` needs the cold ids of this student for these events."""
    seen, received = student.seen, student.received
    for one in events:
        event = one.event
        if event.received > received:
            received = event.received
        if seen.cold_filter and seen.may_be_cold(seen_hash(event.event_id)):
            return True
    return seen.is_due(day_of(received), is_busy=is_busy)


def apply(
    student: Student,
    events: Sequence[Logged],
    at: Micros,
    rules: Rules,
    *,
    skills: SkillModel = DEFAULT_SKILLS,
    answers: AnswerModels = NO_ANSWER_MODELS,
    cold: IdsByDay | None = None,
    settled: Mapping[int, int] | None = None,
    curriculum: Curriculum | None = None,
    profiled: bool = True,
    is_busy: bool = False,
) -> Transition:
    """The document after events of this student, which may be repeats, in the order of their arrival.

    ``at`` is the moment of the fold and matters for the results only: what counts follows from the events and their
    receipts, so that a replay makes the same document. ``skills`` is the model of knowledge tracing, ``answers`` are
    those of the next answer. ``cold`` are the cold ids, required if ``needs_cold``. ``settled`` gives for each
    partition the offset below which all results were published, so that the document may drop them. Advice needs a
    ``curriculum``. Without ``profiled`` the events leave no skills, struggles, habits or advice. ``is_busy`` is as for
    ``apply_all``.
    """
    return apply_all(
        [(student, events, cold)],
        at,
        rules,
        skills=skills,
        answers=answers,
        settled=settled,
        curriculum=curriculum,
        profiled=(profiled,),
        is_busy=is_busy,
    )[0]


def apply_all(
    batch: Iterable[Turn],
    at: Micros,
    rules: Rules,
    *,
    skills: SkillModel = DEFAULT_SKILLS,
    answers: AnswerModels = NO_ANSWER_MODELS,
    settled: Mapping[int, int] | None = None,
    curriculum: Curriculum | None = None,
    profiled: Sequence[bool] | None = None,
    is_busy: bool = False,
) -> list[Transition]:
    """``apply`` for a batch of students, each with their events and cold ids; all are profiled by default.

    ``is_busy``: more waits than this batch has, as on a school's morning. Then what is due because a day has passed,
    and for no other reason, is left to the students' next events: advice, and ids that become cold.

    Each stage runs over all students before the next stage, so that the processor caches hold the code of one stage:
    this makes the same work a third cheaper.
    """
    turns = [Stages(student, events, cold) for student, events, cold in batch]
    stages = passed(
        turns,
        at,
        rules,
        skills=skills,
        answers=answers,
        settled=settled,
        curriculum=curriculum,
        profiled=profiled,
        is_busy=is_busy,
    )
    for _ in stages:
        pass
    return concluded(turns, at, rules, is_busy=is_busy)


def passed(
    turns: Sequence[Stages],
    at: Micros,
    rules: Rules,
    *,
    skills: SkillModel,
    answers: AnswerModels,
    settled: Mapping[int, int] | None,
    curriculum: Curriculum | None,
    profiled: Sequence[bool] | None,
    is_busy: bool,
) -> Iterator[str]:
    """Takes students through all stages, and names each once it is done: whoever times a fold asks the clock then."""
    for turn in turns:
        admit(turn)
    live = [turn for turn in turns if turn.fresh]
    known = (
        live if profiled is None else [turn for turn, may in zip(turns, profiled, strict=True) if may and turn.fresh]
    )
    yield "ids"
    for turn in live:
        add_evidence(turn, rules)
    yield "evidence"
    for turn in known:
        trace_skills(turn, skills, rules)
    yield "tracing"
    trace_answers(known, skills, answers, rules)
    yield "next answer"
    today = rules.day_of(at)
    for turn in live:
        set_score(turn, today, rules)
    yield "score"
    for turn in live:
        set_point(turn, today, rules)
    yield "history"
    for turn in live:
        add_causes(turn, rules)
    yield "causes"
    for turn in known:
        add_guidance(turn, rules)
    yield "struggles and habits"
    if curriculum is not None:
        renew_advice(known, today, rules, curriculum, skills, is_busy=is_busy)
    yield "advice"
    for turn in live:
        add_results(turn, at, today, rules, settled)
    yield "results"


def aged(student: Student, cold: IdsByDay, at: Micros, rules: Rules) -> Transition | None:
    """The document without what is older than the retention at a moment; None if nothing is left."""
    today = rules.day_of(at)
    floor = rules.first_day(today)
    oldest = rules.start_of(floor)
    seen, cold_left = cooled(student.seen, cold, day_of(at), rules.retention_days)
    evidence, guidance = student.evidence.since(floor, rules), student.guidance.since(floor, rules)
    left = msgspec.structs.replace(
        student,
        evidence=evidence,
        history=student.history.since(floor),
        seen=seen,
        floor=max(floor, student.floor),
        traced=packed_knowledge(student.knowledge.since(oldest)),
        guidance=guidance,
        results=student.results if guidance.advice is student.guidance.advice else in_full(student.outbox),
        answers=since(student.answers, oldest),
        causes=student.causes.aged(max(floor, today - CAUSE_DAYS + 1), is_aged=student.evidence.has_more(evidence)),
    )
    if not cold_left and not seen.days and not left.is_known(at, rules):
        return None
    return Transition(left, (), cold_left)


def concluded(turns: Sequence[Stages], at: Micros, rules: Rules, *, is_busy: bool = False) -> list[Transition]:
    """What the stages made of students: their documents, and the ids that became cold."""
    due = [turn for turn in turns if turn.fresh and turn.student.seen.is_due(day_of(turn.received), is_busy=is_busy)]
    ids = [(turn.seen, turn.cold or {}, day_of(turn.received)) for turn in due]
    for turn, (seen, cold) in zip(due, cooled_all(ids, rules.retention_days), strict=True):
        turn.seen, turn.cooled = seen, cold
    return [_concluded(turn, at, rules) if turn.fresh else Transition(turn.student, ()) for turn in turns]


def _concluded(turn: Stages, at: Micros, rules: Rules) -> Transition:
    score, oldest = turn.score, first_day(day_of(turn.received), rules.retention_days)
    student = Student(
        turn.evidence,
        turn.history,
        turn.seen.since(oldest),
        Sent(score.score, score.level, score.components, turn.advised),
        turn.results,
        turn.latest,
        turn.received,
        at,
        turn.floor,
        turn.traced,
        turn.cohorts,
        turn.guidance,
        turn.answers,
        turn.causes,
    )
    return Transition(student, tuple([logged.event for logged in turn.fresh]), turn.cooled, turn.outbox)
