"""``apply`` and ``aged`` move a student's document; nothing else does.

``apply`` folds events into it: drops what was applied before, merges the evidence of the rest, sets the daily
points, and leaves the results in the document until they have gone out. ``aged`` takes out what time has made void.
Neither asks a clock or has effects.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from mastery_engine.domain.cohort import enrolled
from mastery_engine.domain.curriculum import Curriculum
from mastery_engine.domain.events import LearningEvent, Logged
from mastery_engine.domain.evidence import NEVER, NO_EVIDENCE, Evidence, evidence_of
from mastery_engine.domain.guidance import NO_GUIDANCE, Guidance, Raised, advise, guided
from mastery_engine.domain.history import History
from mastery_engine.domain.ids import id_hash
from mastery_engine.domain.kinds import Answer
from mastery_engine.domain.mastery import NO_SCORE, MasteryScore, mastery
from mastery_engine.domain.moments import DAY, Day, Micros, day_of
from mastery_engine.domain.results import PathRecommended, Pending, StruggleDetected, ThresholdReached, Updated
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.seen import IdsByDay, Seen, cooled, holds, with_ids
from mastery_engine.domain.skill_model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills import NOT_TRACED, Tracing, traced
from mastery_engine.domain.student import NOBODY, Sent, Student

Turn: TypeAlias = tuple[Student, Sequence[Logged], IdsByDay | None]


class Transition(msgspec.Struct, frozen=True, gc=False):
    """What a fold did. ``cold`` is the new cold value, None where it stays; ``new`` are the events that counted.

    Without new events and without a due move of ids, ``student`` is the very document that went in.
    """

    student: Student
    new: tuple[LearningEvent, ...]
    cold: IdsByDay | None = None


def needs_cold(student: Student, events: Sequence[Logged]) -> bool:
    """Whether ``apply`` must be given the cold ids of this student for these events."""
    seen, received = student.seen, student.received
    for one in events:
        event = one.event
        if event.received > received:
            received = event.received
        if seen.cold_filter and seen.may_be_cold(id_hash(event.event_id)):
            return True
    return seen.is_due(received // DAY)


def apply(
    student: Student,
    events: Sequence[Logged],
    at: Micros,
    rules: Rules,
    *,
    skills: SkillModel = DEFAULT_SKILLS,
    cold: IdsByDay | None = None,
    settled: Mapping[int, int] | None = None,
    curriculum: Curriculum | None = None,
    profiled: bool = True,
) -> Transition:
    """The document after the events, which belong to this student and may be repeats, in the order of their arrival.

    ``at`` is the moment of the fold, for the results alone: what counts follows from the events and their receipts, so
    that a replay comes to the same document. ``skills`` is what knowledge tracing goes by. ``cold`` are the cold ids,
    where ``needs_cold`` asks for them. ``settled`` gives for each partition the offset below which all results have
    gone out, so that the document may forget them. Advice is made from the ``curriculum``; without one, none is.
    Of who is not ``profiled`` no skills, struggles, habits or advice are kept.
    """
    return apply_all(
        [(student, events, cold)],
        at,
        rules,
        skills=skills,
        settled=settled,
        curriculum=curriculum,
        profiled=(profiled,),
    )[0]


def apply_all(
    batch: Iterable[Turn],
    at: Micros,
    rules: Rules,
    *,
    skills: SkillModel = DEFAULT_SKILLS,
    settled: Mapping[int, int] | None = None,
    curriculum: Curriculum | None = None,
    profiled: Sequence[bool] | None = None,
) -> list[Transition]:
    """``apply`` for a batch of students, each with their events and cold ids; all are profiled if nothing is said.

    It goes stage by stage, each over all students, and not student by student: so the processor has the code of one
    stage at hand, which makes the same work a third cheaper.
    """
    turns = [_Stages(student, events, cold) for student, events, cold in batch]
    for turn in turns:
        _admit(turn)
    live = [turn for turn in turns if turn.fresh]
    known = live if profiled is None else [one for one, may in zip(turns, profiled, strict=True) if may and one.fresh]
    for turn in live:
        _learn(turn, rules)
    for turn in known:
        _trace(turn, skills)
    for turn in live:
        turn.score = mastery(turn.evidence, at, rules)
    for turn in live:
        _set_point(turn, at, rules)
    for turn in known:
        _guide(turn)
    if curriculum is not None:
        for turn in known:
            _advise(turn, at, rules, curriculum, skills)
    for turn in live:
        _tell(turn, at, rules, settled)
    return [_transition(turn, at, rules) if turn.fresh else Transition(turn.student, ()) for turn in turns]


def aged(student: Student, cold: IdsByDay, at: Micros, rules: Rules) -> Transition | None:
    """The document without what is older than the retention at a moment; None where nothing is left to keep."""
    today = day_of(at)
    floor = today - rules.retention_days + 1
    seen, kept = cooled(student.seen, cold, today, rules.retention_days)
    left = msgspec.structs.replace(
        student,
        evidence=student.evidence.since(floor),
        history=student.history.since(floor),
        seen=seen,
        floor=max(floor, student.floor),
        tracing=student.tracing.since(floor),
        guidance=student.guidance.since(floor),
    )
    if not kept and not seen.recent and not left.is_known(at, rules):
        return None
    return Transition(left, (), kept)


class _Stages(msgspec.Struct, gc=False):
    """One student's way through the stages of a fold, and what each of them found."""

    student: Student
    events: Sequence[Logged]
    cold: IdsByDay | None
    fresh: Sequence[Logged] = ()
    seen: Seen = NOBODY.seen
    evidence: Evidence = NO_EVIDENCE
    history: History = NOBODY.history
    due: Micros | None = None
    floor: Day = 0
    latest: Micros = NEVER
    received: Micros = NEVER
    tracing: Tracing = NOT_TRACED
    cohorts: tuple[str, ...] = ()
    score: MasteryScore = NO_SCORE
    guidance: Guidance = NO_GUIDANCE
    raised: Sequence[Raised] = ()
    path_changed: bool = False
    outbox: tuple[Pending, ...] = ()


def _admit(turn: _Stages) -> None:
    """The events that are new to the document, and the ids with theirs among them."""
    seen, cold = turn.student.seen, turn.cold
    recent = seen.recent
    new: IdsByDay = {}
    fresh: list[Logged] = []
    for one in turn.events:
        event = one.event
        known_by = id_hash(event.event_id)
        if holds(recent, known_by) or (new and holds(new, known_by)) or (cold and holds(cold, known_by)):
            continue
        day = event.received // DAY
        new[day] = new.get(day, b"") + known_by
        fresh.append(one)
    if fresh:
        turn.fresh, turn.seen = fresh, with_ids(seen, new)


def _learn(turn: _Stages, rules: Rules) -> None:
    """Evidence and history after the events, the time for which the newest day's point is still to be set, the floor.

    An event on or after the newest point's day sets that day's point to the score at the event's time. Only the last
    event of a run on one day decides, so the score is computed once a run. What is too old at an event's receipt goes
    before the event comes in: so the history is the same in whichever batches the events come.
    """
    student = turn.student
    evidence, history, floor = student.evidence, student.history, student.floor
    latest, received = student.latest, student.received
    newest, retention_days = history.newest, rules.retention_days
    cohorts = student.cohorts
    due: Micros | None = None
    for one in turn.fresh:
        event = one.event
        if event.metadata:
            cohorts = enrolled(cohorts, event)
        at, arrived = event.at, event.received
        day = at // DAY
        if due is not None and day != newest:
            history = history.with_point(due // DAY, mastery(evidence, due, rules))
            due = None
        rising = arrived // DAY - retention_days + 1
        if rising > floor:
            floor = rising
            evidence, history = evidence.since(floor), history.since(floor)
        evidence = evidence.merge(evidence_of(event, retention_days=retention_days))
        if day < floor:
            evidence = evidence.since(floor)
        if newest is None or day >= newest:
            newest, due = day, at
        if at > latest:
            latest = at
        if arrived > received:
            received = arrived
    turn.evidence, turn.history, turn.due, turn.floor = evidence, history, due, floor
    turn.latest, turn.received, turn.cohorts = latest, received, cohorts


def _trace(turn: _Stages, model: SkillModel) -> None:
    """What the answers among the new events say of the skills, in the order of their arrival."""
    tracing = turn.student.tracing
    for one in turn.fresh:
        data = one.event.data
        if type(data) is Answer:
            tracing = traced(tracing, data, one.event.at, model)
    turn.tracing = tracing if turn.floor == turn.student.floor else tracing.since(turn.floor)


def _set_point(turn: _Stages, at: Micros, rules: Rules) -> None:
    """The point of the newest day, where an event has set one that is not in the history yet."""
    due = turn.due
    if due is not None:
        day = due // DAY
        score = turn.score if day == at // DAY else mastery(turn.evidence, due, rules)
        history = turn.history.with_point(day, score)
        turn.history = history if day >= turn.floor else history.since(turn.floor)


def _guide(turn: _Stages) -> None:
    """Struggles and habits after the events."""
    before, floor = turn.student.guidance, turn.floor
    if floor > turn.student.floor:
        before = before.since(floor)
    turn.guidance, turn.raised = guided(before, turn.fresh, floor)


def _advise(turn: _Stages, at: Micros, rules: Rules, curriculum: Curriculum, model: SkillModel) -> None:
    """Advice and path made anew, where a component or the level has moved or a day has passed."""
    before = turn.guidance
    if before.advice.is_due(turn.score, at // DAY):
        today = at // DAY
        turn.guidance = advise(before, turn.evidence, turn.score, today, curriculum, rules, turn.tracing, model)
        turn.path_changed = [step.skill for step in before.path] != [step.skill for step in turn.guidance.path]


def _tell(turn: _Stages, at: Micros, rules: Rules, settled: Mapping[int, int] | None) -> None:
    """What the new events came to, to go out once the log has been worked up to the last of them."""
    student, score, fresh = turn.student, turn.score, turn.fresh
    last, sent = fresh[-1], student.sent
    tenant, student_id = last.event.tenant, last.event.student_id
    caused_by = tuple([one.event.event_id for one in fresh])
    guidance = turn.guidance
    advice = guidance.advised(tenant, student_id, at)
    updated = Updated(
        tenant,
        student_id,
        at,
        caused_by,
        score.score,
        sent.score,
        score.level,
        score.components,
        score.coverage,
        advice,
    )
    outbox = [one for one in student.outbox if settled is None or one.offset >= settled.get(one.partition, 0)]
    outbox.append(Pending(last.partition, last.offset, updated))
    previous_level = rules.levels[0].name if sent.level is None else sent.level
    if score.level != previous_level:
        reached = ThresholdReached(
            tenant, student_id, at, caused_by, score.level, previous_level, score.score, sent.score
        )
        outbox.append(Pending(last.partition, last.offset, reached))
    for event_id, topic, spell in turn.raised:
        struggle = StruggleDetected(
            tenant, student_id, at, (event_id,), topic, spell.trigger, spell.evidence, spell.since
        )
        outbox.append(Pending(last.partition, last.offset, struggle))
    if turn.path_changed:
        path = PathRecommended(tenant, student_id, at, caused_by, guidance.path)
        outbox.append(Pending(last.partition, last.offset, path))
    turn.outbox = tuple(outbox)


def _transition(turn: _Stages, at: Micros, rules: Rules) -> Transition:
    seen, moved, today = turn.seen, None, turn.received // DAY
    if turn.student.seen.is_due(today):
        seen, moved = cooled(seen, turn.cold or {}, today, rules.retention_days)
    score = turn.score
    student = Student(
        turn.evidence,
        turn.history,
        seen,
        Sent(score.score, score.level),
        turn.outbox,
        turn.latest,
        turn.received,
        at,
        turn.floor,
        turn.tracing,
        turn.cohorts,
        turn.guidance,
    )
    return Transition(student, tuple([one.event for one in turn.fresh]), moved)
