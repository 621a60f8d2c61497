"""``apply`` and ``aged`` move a student's document; nothing else does.

``apply`` folds events into it: drops what was applied before, merges the evidence of the rest, sets the daily
points, and leaves the results in the document until they have gone out. ``aged`` takes out what time has made void.
Neither asks a clock or has effects.
"""

from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.domain.events import LearningEvent, Logged
from mastery_engine.domain.evidence import Evidence, evidence_of
from mastery_engine.domain.history import History
from mastery_engine.domain.ids import id_hash
from mastery_engine.domain.mastery import MasteryScore, mastery
from mastery_engine.domain.moments import DAY, Day, Micros, day_of
from mastery_engine.domain.results import Pending, ThresholdReached, Updated
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.seen import IdsByDay, Seen, cooled, holds, with_ids
from mastery_engine.domain.student import Sent, Student


class Transition(msgspec.Struct, frozen=True, gc=False):
    """What a fold did. ``cold`` is the new cold value, None where it stays; ``new`` are the events that counted.

    Without new events and without a due move of ids, ``student`` is the very document that went in.
    """

    student: Student
    new: tuple[LearningEvent, ...]
    cold: IdsByDay | None = None


def needs_cold(student: Student, events: Sequence[Logged]) -> bool:
    """Whether ``apply`` must be given the cold ids of this student for these events."""
    return student.seen.is_due(_last_receipt(student, events)) or (
        bool(student.seen.cold_filter) and any(student.seen.may_be_cold(id_hash(one.event.event_id)) for one in events)
    )


def apply(
    student: Student,
    events: Sequence[Logged],
    at: Micros,
    rules: Rules,
    *,
    cold: IdsByDay | None = None,
    settled: Mapping[int, int] | None = None,
) -> Transition:
    """The document after the events, which belong to this student and may be repeats, in the order of their arrival.

    ``at`` is the moment of the fold, for the results alone: what counts follows from the events and their receipts, so
    that a replay comes to the same document. ``cold`` are the cold ids, where ``needs_cold`` asks for them. ``settled``
    gives for each partition the offset below which all results have gone out, so that the document may forget them.
    """
    fresh, seen = _not_applied_yet(student, events, cold)
    if not fresh:
        return Transition(student, ())
    new = tuple([one.event for one in fresh])
    evidence, history, due, floor = _learn(student, new, rules)
    score = mastery(evidence, at, rules)
    if due is not None:
        then = score if day_of(due) == day_of(at) else mastery(evidence, due, rules)
        history = history.with_point(day_of(due), then).since(floor)

    received, latest = student.received, student.latest
    for event in new:
        received, latest = max(received, event.received), max(latest, event.at)
    today = received // DAY
    moved = None
    if student.seen.is_due(today):
        seen, moved = cooled(seen, cold or {}, today, rules.retention_days)

    waiting = [one for one in student.outbox if settled is None or one.offset >= settled.get(one.partition, 0)]
    waiting += _results(student.sent, score, at, fresh, rules)
    after = Student(
        evidence=evidence,
        history=history,
        seen=seen,
        sent=Sent(score.score, score.level),
        outbox=tuple(waiting),
        latest=latest,
        received=received,
        updated=at,
        floor=floor,
    )
    return Transition(after, new, moved)


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
    )
    if not kept and not seen.recent and not left.is_known(at, rules):
        return None
    return Transition(left, (), kept)


def _not_applied_yet(student: Student, events: Sequence[Logged], cold: IdsByDay | None) -> tuple[list[Logged], Seen]:
    """The events that are new to the document, and the ids with theirs among them."""
    fresh: list[Logged] = []
    seen = student.seen
    for one in events:
        known_by = id_hash(one.event.event_id)
        if not holds(seen.recent, known_by) and not (cold and holds(cold, known_by)):
            fresh.append(one)
            seen = with_ids(seen, one.event.received // DAY, known_by)
    return fresh, seen


def _learn(
    student: Student, new: Sequence[LearningEvent], rules: Rules
) -> tuple[Evidence, History, Micros | None, Day]:
    """Evidence and history after the events, the time for which the newest day's point is still to be set, the floor.

    An event on or after the newest point's day sets that day's point to the score at the event's time. Only the last
    event of a run on one day decides, so the score is computed once a run. What is too old at an event's receipt goes
    before the event comes in: so the history is the same in whichever batches the events come.
    """
    evidence, history, floor = student.evidence, student.history, student.floor
    newest, retention_days = history.newest, rules.retention_days
    due: Micros | None = None
    for event in new:
        day = event.at // DAY
        if due is not None and day != newest:
            history = history.with_point(day_of(due), mastery(evidence, due, rules))
            due = None
        if (rising := event.received // DAY - retention_days + 1) > floor:
            floor = rising
            evidence, history = evidence.since(floor), history.since(floor)
        evidence = evidence.merge(evidence_of(event, retention_days=retention_days))
        if day < floor:
            evidence = evidence.since(floor)
        if newest is None or day >= newest:
            newest, due = day, event.at
    return evidence, history, due, floor


def _results(sent: Sent, score: MasteryScore, at: Micros, fresh: Sequence[Logged], rules: Rules) -> list[Pending]:
    """What the new events came to, to go out once the log has been worked up to the last of them."""
    last = fresh[-1]
    tenant, student_id = last.event.tenant, last.event.student_id
    caused_by = tuple([one.event.event_id for one in fresh])
    updated = Updated(
        tenant, student_id, at, caused_by, score.score, sent.score, score.level, score.components, score.coverage
    )
    results = [Pending(last.partition, last.offset, updated)]
    previous_level = rules.levels[0].name if sent.level is None else sent.level
    if score.level != previous_level:
        reached = ThresholdReached(
            tenant, student_id, at, caused_by, score.level, previous_level, score.score, sent.score
        )
        results.append(Pending(last.partition, last.offset, reached))
    return results


def _last_receipt(student: Student, events: Sequence[Logged]) -> int:
    return day_of(max([student.received, *[one.event.received for one in events]]))
