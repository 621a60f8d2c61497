"""What the components moved by since the last result, and through what: for the update that goes out."""

from collections.abc import Sequence

import msgspec

from mastery_engine.domain.evidence.causes import Cause, ChangeKind
from mastery_engine.domain.evidence.evidence import Evidence
from mastery_engine.domain.evidence.history import SIXTHS
from mastery_engine.domain.evidence.score import FourValues, component
from mastery_engine.domain.moments import Day
from mastery_engine.domain.rules import CONSISTENCY, Rules

ROUNDING = 2.0 / SIXTHS  # what rounding to sixths may leave of a component


class MovedBy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One cause; ``change`` is its part of the score's change, ``events`` how many events it is."""

    kind: ChangeKind
    topic: str | None
    events: int
    change: float


class Moved(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A component, by its place in ``COMPONENTS``, with its part of the score's change, to which its causes sum."""

    place: int
    change: float
    causes: tuple[MovedBy, ...]


def moves(sent: FourValues, values: FourValues, found: Sequence[Cause], fell: float, rules: Rules) -> tuple[Moved, ...]:
    """What moved between the components last sent and those of now, for components that moved or had an event.

    ``found`` are the causes of the new events. ``fell`` is by how much consistency fell on days away since.
    """
    moved = []
    touched = [cause.code & 3 for cause in found]
    for place, (before, value) in enumerate(zip(sent, values)):  # noqa: B905
        left = (value or 0.0) - (before or 0.0)
        if not left and place not in touched:
            continue
        weight = rules.component_weights[place]
        change, causes = weight * left, []
        for cause in found:
            if cause.code & 3 == place:
                part = cause.moved / SIXTHS
                left -= part
                causes.append(MovedBy(cause.kind, cause.topic, cause.events, weight * part))
        if fell and place == CONSISTENCY:
            causes.append(MovedBy("away", None, 0, weight * fell))
            left -= fell
        if causes and abs(left) <= ROUNDING * len(causes):
            last = causes[-1]
            causes[-1] = MovedBy(last.kind, last.topic, last.events, last.change + weight * left)
        else:
            causes.append(MovedBy("active" if place == CONSISTENCY else "aged", None, 0, weight * left))
        moved.append(Moved(place, change, tuple(causes)))
    return tuple(moved)


def fell_since(sent: FourValues, evidence: Evidence, day: Day, *, until: Day, rules: Rules) -> float:
    """By how much a consistency fell between two days on which nobody worked; 0 on the same day."""
    if until <= day:
        return 0.0
    return min(0.0, (component(evidence, CONSISTENCY, until, rules) or 0.0) - (sent[CONSISTENCY] or 0.0))
