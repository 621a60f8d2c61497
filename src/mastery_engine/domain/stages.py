"""The stages of a fold: what new events do to evidence, history, tracing, guidance and results, one function each.

``transition`` runs them in this order, each over all students of a batch, and builds the documents from it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.domain.advice.guidance import NO_GUIDANCE, Guidance, Raised, advise, guided
from mastery_engine.domain.cohorts.cohort import enrolled
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.events.seen import IdsByDay, Seen, held_among, with_ids
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, Evidence, with_event
from mastery_engine.domain.evidence.history import History
from mastery_engine.domain.evidence.score import NO_SCORE, MasteryScore, mastery
from mastery_engine.domain.ids import id_hash
from mastery_engine.domain.moments import DAY, NEVER, Day, Micros
from mastery_engine.domain.results import PathRecommended, Pending, StruggleDetected, ThresholdReached, Updated
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import NOT_TRACED, Tracing, traced
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.student import NOBODY, Student


class Stages(msgspec.Struct, gc=False):
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


def admit(turn: Stages) -> None:
    """The events that are new to the document, and the ids with theirs among them."""
    seen = turn.student.seen
    hashes = [id_hash(one.event.event_id) for one in turn.events]
    held = held_among(seen.recent, hashes)
    if turn.cold:
        held |= held_among(turn.cold, hashes)
    new: dict[Day, list[bytes]] = {}
    fresh: list[Logged] = []
    for one, known_by in zip(turn.events, hashes, strict=True):
        if known_by not in held:
            held.add(known_by)
            new.setdefault(one.event.received // DAY, []).append(known_by)
            fresh.append(one)
    if fresh:
        turn.fresh, turn.seen = fresh, with_ids(seen, {day: b"".join(ids) for day, ids in new.items()})


def learn(turn: Stages, rules: Rules) -> None:
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
        evidence = with_event(evidence, event, retention_days=retention_days)
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


def trace(turn: Stages, model: SkillModel) -> None:
    """What the answers among the new events say of the skills, in the order of their arrival."""
    tracing = turn.student.tracing
    for one in turn.fresh:
        data = one.event.data
        if type(data) is Answer:
            tracing = traced(tracing, data, one.event.at, model)
    turn.tracing = tracing if turn.floor == turn.student.floor else tracing.since(turn.floor)


def set_point(turn: Stages, at: Micros, rules: Rules) -> None:
    """The point of the newest day, where an event has set one that is not in the history yet."""
    due = turn.due
    if due is not None:
        day = due // DAY
        score = turn.score if day == at // DAY else mastery(turn.evidence, due, rules)
        history = turn.history.with_point(day, score)
        turn.history = history if day >= turn.floor else history.since(turn.floor)


def guide(turn: Stages) -> None:
    """Struggles and habits after the events."""
    before, floor = turn.student.guidance, turn.floor
    if floor > turn.student.floor:
        before = before.since(floor)
    turn.guidance, turn.raised = guided(before, turn.fresh, floor)


def renew_advice(turn: Stages, at: Micros, rules: Rules, curriculum: Curriculum, model: SkillModel) -> None:
    """Advice and path made anew, where a component or the level has moved or a day has passed."""
    before = turn.guidance
    if before.advice.is_due(turn.score, at // DAY):
        today = at // DAY
        turn.guidance = advise(before, turn.evidence, turn.score, today, curriculum, rules, turn.tracing, model)
        turn.path_changed = [step.skill for step in before.path] != [step.skill for step in turn.guidance.path]


def tell(turn: Stages, at: Micros, rules: Rules, settled: Mapping[int, int] | None) -> None:
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
