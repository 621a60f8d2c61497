"""``merge`` joins two documents of one person in one course into one, when an identity is linked to a student.

Evidence is made to merge in any order, so the components are those of all events together, as long as no event is in
both documents: ``overlap`` says so. What follows the arrival of events (history, tracing, struggles, habits) has no
exact union; the rules for it stand beside each function here.
"""

from collections.abc import Iterable
from enum import Enum

import msgspec

from mastery_engine.domain.advice.guidance import merged_guidance
from mastery_engine.domain.cohorts.cohort import COHORTS_KEPT
from mastery_engine.domain.events.cooling import cooled
from mastery_engine.domain.events.seen import IdsByDay, Seen, each
from mastery_engine.domain.evidence.causes import NO_CAUSES, Causes
from mastery_engine.domain.evidence.evidence import Evidence
from mastery_engine.domain.evidence.history import History
from mastery_engine.domain.evidence.score import components_on, exercises, score_of
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.moments import Micros, day_of
from mastery_engine.domain.outbox import in_full
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import merged_knowledge
from mastery_engine.domain.skills.knowledge import packed as packed_knowledge
from mastery_engine.domain.skills.next_answer.state import fuller
from mastery_engine.domain.student import NOBODY, Sent, Student, pack, unpack


class Overlap(Enum):
    """Which of another document's events a document holds already."""

    NONE = "none"
    SOME = "some"
    ALL = "all"  # they were merged before, or there are none


class Joined(msgspec.Struct, frozen=True, gc=False):
    """A document with its cold ids."""

    student: Student
    cold: IdsByDay


def frozen(student: Student, at: Micros) -> Student:
    """What stands in the place of a document whose evidence goes to another student: whoever folds into it is late."""
    return Student(updated=at, moved=pack(student))


def thawed(student: Student) -> Student:
    """The document as it was before it was ``frozen``."""
    return unpack(student.moved)


def ids_of(one: Joined) -> set[bytes]:
    """The hashes of the ids of a document's events."""
    return {*each(b"".join((one.student.seen.ids, *one.cold.values())))}


def overlap(ours: Joined, theirs: Joined) -> Overlap:
    """Which of their events are in our document."""
    known, more = ids_of(ours), ids_of(theirs)
    if more <= known:
        return Overlap.ALL
    return Overlap.SOME if more & known else Overlap.NONE


def merge(ours: Joined, theirs: Joined, rules: Rules, *, profiled: bool = True) -> Joined:
    """Our document with the evidence of theirs, whose events it does not hold.

    Results of theirs that may not be published yet go with it. Without ``profiled`` nothing is taken of skills,
    struggles, habits and advice.
    """
    one, other = ours.student, theirs.student
    floor = max(one.floor, other.floor)
    evidence = one.evidence.merge(other.evidence).since(floor, rules)
    received = max(one.received, other.received)
    seen, cold = _seen(ours, theirs, received, rules)
    student = msgspec.structs.replace(
        one,
        evidence=evidence,
        history=_history(one, other, evidence, rules).since(floor),
        seen=seen,
        sent=_sent(one.sent, rules),
        results=in_full((*one.outbox, *other.outbox)),
        latest=max(one.latest, other.latest),
        received=received,
        updated=max(one.updated, other.updated),
        floor=floor,
        cohorts=tuple(dict.fromkeys((*other.cohorts, *one.cohorts)))[-COHORTS_KEPT:],
        causes=_causes(one, other),
    )
    if profiled:
        student = msgspec.structs.replace(
            student,
            traced=packed_knowledge(merged_knowledge(one.knowledge, other.knowledge).since(rules.start_of(floor))),
            guidance=merged_guidance(one.guidance, other.guidance).since(floor, rules),
            answers=fuller(one.answers, other.answers),
        )
    return Joined(student, cold)


def anew(ours: Joined, theirs: Joined, folded: Student, rules: Rules) -> Joined | None:
    """A document that all events of both were folded into, from the log, in the place of both.

    What was sent, and what may not be published yet, stay. None where the log no longer has all events.
    """
    made = Joined(folded, {})
    if not ids_of(ours) | ids_of(theirs) <= ids_of(made):
        return None
    one, other = ours.student, theirs.student
    student = msgspec.structs.replace(
        folded,
        sent=_sent(one.sent, rules),
        results=in_full((*one.outbox, *other.outbox)),
        updated=max(one.updated, other.updated),
        floor=max(one.floor, other.floor, folded.floor),
    )
    return Joined(student, {})


def _sent(sent: Sent, rules: Rules) -> Sent:
    """What was last sent of our score: the next event sends the change without causes, since a link is no event."""
    return Sent(sent.score, sent.level or rules.levels[0].name)


def _seen(ours: Joined, theirs: Joined, received: Micros, rules: Rules) -> tuple[Seen, IdsByDay]:
    recent = _ids_of_both(ours.student.seen.recent, theirs.student.seen.recent)
    cold = _ids_of_both(ours.cold, theirs.cold)
    return cooled(Seen.of(recent), cold, day_of(received), rules.retention_days)


def _ids_of_both(ours: IdsByDay, theirs: IdsByDay) -> IdsByDay:
    return {day: ours.get(day, b"") + theirs.get(day, b"") for day in sorted({*ours, *theirs})}


def _history(ours: Student, theirs: Student, evidence: Evidence, rules: Rules) -> History:
    """A point for each day on which either has one.

    Quiz, quality and consistency are those of both's evidence up to the day. Of completion only the latest progress is
    known: it is the mean of both's points of the day, or of their last before it, by how many exercises each has.
    """
    if not ours.history.packed or not theirs.history.packed:
        return ours.history if ours.history.packed else theirs.history
    weights = [exercises(one.evidence, rules) for one in (ours, theirs)]
    points = [{point.day: point.components[0] for point in one.history.points()} for one in (ours, theirs)]
    done: list[float | None] = [None, None]
    history = History()
    for day in sorted({*points[0], *points[1]}):
        done = [own.get(day, last) for own, last in zip(points, done, strict=True)]
        _, quiz, quality, consistency = components_on(evidence.before(day + 1, rules), day, rules)
        score = score_of((_mean(zip(done, weights, strict=True)), quiz, quality, consistency), rules)
        history = history.with_point(day, score, shown_score(score.score, rules))
    return history


def _mean(shares: Iterable[tuple[float | None, float]]) -> float | None:
    known = [(share, weight) for share, weight in shares if share is not None]
    total = sum(weight for _, weight in known)
    if not known or not total:
        return known[-1][0] if known else None
    return sum(share * weight for share, weight in known) / total


def _causes(ours: Student, theirs: Student) -> Causes:
    """Those of who alone has any: what moved one's components says little of what it would have moved both's by."""
    if NO_CAUSES in (ours.causes, theirs.causes) or NOBODY.history in (ours.history, theirs.history):
        return theirs.causes if ours.causes == NO_CAUSES or not ours.history.packed else ours.causes
    return Causes(complete_after=max(ours.history.newest or 0, theirs.history.newest or 0), is_aged=True)
