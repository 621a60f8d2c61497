"""The stages of a fold, one function each: new events, evidence and history, skills, guidance, advice, results.

``transition`` runs them in this order, each over all students of a batch, and builds the documents from the outcome.
"""

from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.domain.advice.guidance import (
    NO_GUIDANCE,
    Guidance,
    Raised,
    guidance_after,
    is_outdated,
    named_anew,
    with_advice,
)
from mastery_engine.domain.cohorts.cohort import enrolled
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.events.seen import MANY, IdsByDay, Seen, held_among, holds, with_ids
from mastery_engine.domain.evidence.causes import (
    NO_CAUSES,
    Cause,
    CauseRecorder,
    Causes,
    causes_of_run,
    known_causes,
)
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, Evidence, with_event
from mastery_engine.domain.evidence.history import History
from mastery_engine.domain.evidence.moves import Moved, fell_since, moves
from mastery_engine.domain.evidence.score import NO_SCORE, MasteryScore, score_on
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.ids import seen_hash
from mastery_engine.domain.moments import NEVER, Day, Micros, day_of
from mastery_engine.domain.outbox import NO_RESULTS, is_settled, said
from mastery_engine.domain.results import PathRecommended, Pending, StruggleDetected, ThresholdReached, Updated
from mastery_engine.domain.rules import CONSISTENCY, Rules
from mastery_engine.domain.skills.estimates import outlook_of
from mastery_engine.domain.skills.knowledge import KnowledgeState, with_answer
from mastery_engine.domain.skills.knowledge import packed as packed_knowledge
from mastery_engine.domain.skills.knowledge import unpacked as unpacked_knowledge
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.skills.next_answer.model import NewAnswer, with_answers
from mastery_engine.domain.skills.next_answer.parameters import AnswerModels
from mastery_engine.domain.skills.next_answer.recall import Memory
from mastery_engine.domain.skills.next_answer.state import since
from mastery_engine.domain.student import NOBODY, Student


class Given(msgspec.Struct, frozen=True, gc=False):
    """An answer among the new events, and the knowledge before it; the day, if there is one, before which everything
    was dropped as too old at its receipt."""

    event: LearningEvent
    answer: Answer
    before: KnowledgeState
    floor: Day | None


class Stages(msgspec.Struct, gc=False):
    """One student's state on the way through the stages of a fold; each stage sets its own fields."""

    student: Student
    events: Sequence[Logged]
    cold: IdsByDay | None
    fresh: Sequence[Logged] = ()
    seen: Seen = NOBODY.seen
    evidence: Evidence = NO_EVIDENCE
    evidence_around: Sequence[tuple[Evidence, Evidence]] = ()
    history: History = NOBODY.history
    causes: Causes = NO_CAUSES
    found: Sequence[Cause] = ()
    is_plain: bool = True
    due: Day | None = None
    floor: Day = 0
    latest: Micros = NEVER
    received: Micros = NEVER
    given: Sequence[Given] = ()
    traced: bytes = b""
    known: KnowledgeState | None = None
    answers: bytes = b""
    cohorts: tuple[str, ...] = ()
    score: MasteryScore = NO_SCORE
    shown: float = 0.0
    guidance: Guidance = NO_GUIDANCE
    raised: Sequence[Raised] = ()
    path_changed: bool = False
    advised: int = 0
    outbox: tuple[Pending, ...] = ()
    results: bytes = NO_RESULTS
    cooled: IdsByDay | None = None

    @property
    def knowledge(self) -> KnowledgeState:
        """The knowledge after the events, which is unpacked where a stage asks for it."""
        if self.known is None:
            self.known = unpacked_knowledge(self.traced)
        return self.known


def admit(turn: Stages) -> None:
    """Sets the events that are new to the document, and the ids seen, with theirs."""
    if len(turn.events) >= MANY:
        _admit_many(turn)
        return
    seen, cold = turn.student.seen, turn.cold
    new: IdsByDay = {}
    fresh: list[Logged] = []
    for logged in turn.events:
        event = logged.event
        hashed = seen_hash(event.event_id)
        if not seen.holds(hashed) and not (new and holds(new, hashed)) and not (cold and holds(cold, hashed)):
            day = day_of(event.received)
            new[day] = new.get(day, b"") + hashed
            fresh.append(logged)
    if fresh:
        turn.fresh, turn.seen = fresh, with_ids(seen, new)


def _admit_many(turn: Stages) -> None:
    seen = turn.student.seen
    hashes = [seen_hash(logged.event.event_id) for logged in turn.events]
    held = held_among(b"".join((seen.ids, *(turn.cold or {}).values())), hashes)
    new: dict[Day, list[bytes]] = {}
    fresh: list[Logged] = []
    for logged, hashed in zip(turn.events, hashes, strict=True):
        if hashed not in held:
            held.add(hashed)
            new.setdefault(day_of(logged.event.received), []).append(hashed)
            fresh.append(logged)
    if fresh:
        turn.fresh, turn.seen = fresh, with_ids(seen, {day: b"".join(ids) for day, ids in new.items()})


def add_evidence(turn: Stages, rules: Rules) -> None:
    """Sets evidence and history after the events, the floor, and the day of the point that is still due.

    Of each event it also sets the evidence before it and after it, from which the causes are told.

    An event on or after the newest point's day sets that day's point to the score at the event's time. Only the last
    event of a run on one day decides, so the score is computed once per run. What is too old at an event's receipt is
    dropped before the event is added: so the history does not depend on how the events are split into batches.
    """
    student = turn.student
    evidence, history, floor = student.evidence, student.history, student.floor
    latest, received = student.latest, student.received
    newest, day_on, retention_days = history.newest, rules.day_of, rules.retention_days
    cohorts = student.cohorts
    due: Day | None = None
    is_plain = True
    around: list[tuple[Evidence, Evidence]] = []
    for logged in turn.fresh:
        event = logged.event
        if event.metadata:
            cohorts = enrolled(cohorts, event)
        at, arrived = event.at, event.received
        day = day_on(at)
        if due is not None and day != due:
            known = score_on(evidence, due, rules)
            history = history.with_point(due, known, shown_score(known.score, rules))
            due = None
            is_plain = False
        rising = day_on(arrived) - retention_days + 1
        if rising > floor:
            floor = rising
            left, history = evidence.since(floor, rules), history.since(floor)
            is_plain = is_plain and not evidence.has_more(left)
            evidence = left
        before, evidence = evidence, with_event(evidence, event, rules)
        if day < floor:
            evidence, is_plain = evidence.since(floor, rules), False
        around.append((before, evidence))
        if newest is None or day >= newest:
            newest = due = day
        else:
            is_plain = False
        if at > latest:
            latest = at
        if arrived > received:
            received = arrived
    turn.evidence, turn.history, turn.due, turn.floor = evidence, history, due, floor
    turn.evidence_around = around
    turn.is_plain = is_plain
    turn.latest, turn.received, turn.cohorts = latest, received, cohorts


def trace_skills(turn: Stages, model: SkillModel, rules: Rules) -> None:
    """Sets the answers among the new events in the order of their arrival, and the knowledge before each and after all.

    As in ``add_evidence``, what is too old at an answer's receipt is dropped before the answer is added.
    """
    student = turn.student
    floor = student.floor
    held: KnowledgeState | None = None
    knowledge: KnowledgeState | None = None
    given: list[Given] = []
    for logged in turn.fresh:
        event = logged.event
        data = event.data
        if type(data) is Answer:
            if knowledge is None:
                knowledge = held = student.knowledge
            rising, risen = rules.day_of(event.received) - rules.retention_days + 1, None
            if rising > floor:
                floor = risen = rising
                knowledge = knowledge.since(rules.start_of(floor))
            given.append(Given(event, data, knowledge, risen))
            knowledge = with_answer(knowledge, data, event.at, model)
    turn.given = given
    if turn.floor > student.floor:
        if knowledge is None:
            knowledge = held = student.knowledge
        knowledge = knowledge.since(rules.start_of(turn.floor))
    turn.known = knowledge
    turn.traced = student.traced if knowledge is None or knowledge is held else packed_knowledge(knowledge)


def trace_answers(turns: Sequence[Stages], model: SkillModel, shared: AnswerModels, rules: Rules) -> None:
    """Sets what the model of the next answer knows, by the first answer of every student, then by the second ones.

    It recalls skills by the knowledge before each answer, which ``trace_skills`` sets.
    """
    for turn in turns:
        turn.answers = turn.student.answers
    place, answering = 0, [turn for turn in turns if turn.given]
    while answering:
        new = [_new_answer(turn, turn.given[place], model, shared, rules) for turn in answering]
        for turn, answers in zip(answering, with_answers(new), strict=True):
            turn.answers = answers
        place += 1
        answering = [turn for turn in answering if len(turn.given) > place]
    for turn in turns:
        if turn.floor > turn.student.floor:
            turn.answers = since(turn.answers, rules.start_of(turn.floor))


def _new_answer(turn: Stages, given: Given, model: SkillModel, shared: AnswerModels, rules: Rules) -> NewAnswer:
    event, before, floor = given.event, given.before, given.floor
    answers = turn.answers if floor is None else since(turn.answers, rules.start_of(floor))
    memory = Memory(before, model)
    return NewAnswer(answers, given.answer, event.at, shared.of(event.tenant, event.course_id), memory)


def set_score(turn: Stages, today: Day, rules: Rules) -> None:
    """Sets the score after the events, and how it is shown."""
    turn.score = score_on(turn.evidence, today, rules)
    turn.shown = shown_score(turn.score.score, rules)


def set_point(turn: Stages, today: Day, rules: Rules) -> None:
    """Adds the point that is still due to the history, if there is one."""
    day = turn.due
    if day is not None:
        score, shown = turn.score, turn.shown
        if day != today:
            score = score_on(turn.evidence, day, rules)
            shown = shown_score(score.score, rules)
        history = turn.history.with_point(day, score, shown)
        turn.history = history if day >= turn.floor else history.since(turn.floor)


def add_causes(turn: Stages, rules: Rules) -> None:
    """Sets the causes after the events, and those of these events."""
    student = turn.student
    history, causes = student.history, student.causes
    if turn.is_plain and causes.is_plain and history.is_fine:
        told = causes_of_run(causes, turn.fresh, history, turn.history, turn.evidence_around, rules)
        if told is not None:
            turn.causes, turn.found = told
            return
    turn.causes, turn.found = _causes_one_by_one(turn, rules)


def _causes_one_by_one(turn: Stages, rules: Rules) -> tuple[Causes, Sequence[Cause]]:
    student = turn.student
    evidence, history = student.evidence, student.history
    newest = history.newest
    recorder = CauseRecorder(history, known_causes(history, student.causes), rules)
    for logged, (before, after) in zip(turn.fresh, turn.evidence_around, strict=True):
        event = logged.event
        day = rules.day_of(event.at)
        if before is not evidence and evidence.has_more(before):  # what is too old at its receipt is gone
            recorder.drop()
        evidence, is_late = after, newest is not None and day < newest
        if not is_late:
            newest = day
            recorder.settle(day)
        recorder.record(event, before, after, newest or day, is_late=is_late)
    return recorder.causes, recorder.found


def add_guidance(turn: Stages, rules: Rules) -> None:
    """Sets struggles and habits after the events, and the struggles raised."""
    before, floor = turn.student.guidance, turn.floor
    if floor > turn.student.floor:
        before = before.since(floor, rules)
    turn.guidance, turn.raised = guidance_after(before, turn.fresh, floor, rules)


def renew_advice(
    turns: Sequence[Stages], today: Day, rules: Rules, curriculum: Curriculum, model: SkillModel, *, is_busy: bool
) -> None:
    """Renews advice and path where a component or the level has changed, a day has passed, or they no longer hold.

    In a busy hour a day alone is no reason for who has advice: their next event, or whoever asks, has it made. All
    outlooks come before all advice, as stages do.
    """
    due = [turn for turn in turns if _needs_advice(turn, today, rules, curriculum, model, is_busy=is_busy)]
    views = [outlook_of(turn.evidence, turn.knowledge, curriculum, today, rules, model, beside=False) for turn in due]
    for turn, view in zip(due, views, strict=True):
        before = turn.guidance
        turn.guidance = with_advice(before, turn.evidence, turn.score, view, today, rules)
        turn.path_changed = turn.guidance.steps != before.steps and (
            [step.skill for step in before.path] != [step.skill for step in turn.guidance.path]
        )


def _needs_advice(
    turn: Stages, today: Day, rules: Rules, curriculum: Curriculum, model: SkillModel, *, is_busy: bool
) -> bool:
    guidance, score = turn.guidance, turn.score
    if guidance.advice.is_of_another(score) if is_busy else guidance.advice.is_due(score, today):
        return True
    named = named_anew(guidance, turn.fresh, curriculum)
    return bool(named) and is_outdated(named, turn.evidence, today, curriculum, rules, turn.knowledge, model)


def add_results(turn: Stages, at: Micros, today: Day, rules: Rules, settled: Mapping[int, int] | None) -> None:
    """Sets the outbox: the results of the new events, and earlier ones that are not known to be published."""
    student, score, fresh = turn.student, turn.score, turn.fresh
    last, sent = fresh[-1], student.sent
    tenant, student_id, course_id = last.event.tenant, last.event.student_id, last.event.course_id
    caused_by = tuple([logged.event.event_id for logged in fresh])
    guidance = turn.guidance
    turn.advised, advice = guidance.news(tenant, student_id, course_id, at, sent.advised)
    shown, before = turn.shown, shown_score(sent.score, rules)
    moved: tuple[Moved, ...] | None = None
    if sent.components is not None or sent.level is None:
        known, folded_on = sent.components or NO_SCORE.components, rules.day_of(student.updated)
        fell = 0.0
        if today > folded_on and known[CONSISTENCY]:
            until = today if turn.evidence.activity is student.evidence.activity else today - 1
            fell = fell_since(known, student.evidence, folded_on, until=until, rules=rules)
        if turn.found or known != score.components:
            moved = moves(known, score.components, turn.found, fell, rules)
        else:
            moved = ()
    updated = Updated(
        tenant,
        student_id,
        at,
        caused_by,
        shown,
        before,
        score.level,
        score.components,
        score.coverage,
        advice,
        moved,
        course_id,
        named_by_fold=True,
    )
    outbox = [Pending(last.partition, last.offset, updated)]
    previous_level = rules.levels[0].name if sent.level is None else sent.level
    if score.level != previous_level:
        reached = ThresholdReached(
            tenant, student_id, at, caused_by, score.level, previous_level, shown, before, course_id, named_by_fold=True
        )
        outbox.append(Pending(last.partition, last.offset, reached))
    for event_id, topic, spell in turn.raised:
        struggle = StruggleDetected(
            tenant,
            student_id,
            at,
            (event_id,),
            topic,
            spell.trigger,
            spell.evidence,
            spell.since,
            course_id,
            named_by_fold=True,
        )
        outbox.append(Pending(last.partition, last.offset, struggle))
    if turn.path_changed:
        path = PathRecommended(tenant, student_id, at, caused_by, guidance.path, course_id, named_by_fold=True)
        outbox.append(Pending(last.partition, last.offset, path))
    earlier: Sequence[Pending] = ()
    if settled is None or not is_settled(student.results, settled):
        earlier = [one for one in student.outbox if settled is None or one.offset >= settled.get(one.partition, 0)]
    turn.outbox = (*earlier, *outbox)
    turn.results = said(updated, outbox, earlier, has_new_advice=not guidance.dismissed)
