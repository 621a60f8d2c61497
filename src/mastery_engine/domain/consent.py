"""Consent over time: what a student allowed at a moment, and whether an event counts.

A history lists the changes, oldest first; it begins anew with an erasure, which withdraws everything.
"""

import hmac
from functools import lru_cache
from typing import TypeAlias

import msgspec

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey, StudentKey


class ConsentChange(msgspec.Struct, frozen=True, array_like=True):
    """What is allowed from a moment on; ``erased`` if the student was erased then."""

    at: Micros
    processing: bool
    profiling: bool
    erased: bool = False


class ConsentNote(msgspec.Struct, frozen=True, array_like=True):
    """A history as a log stores it. The time of ``latest`` is the time of the record; its own ``at`` is ignored."""

    settled: tuple[ConsentChange, ...]
    latest: ConsentChange | None = None


History: TypeAlias = tuple[ConsentChange, ...]

_pack = msgspec.json.Encoder().encode
_unpack = msgspec.json.Decoder(ConsentNote).decode


def pseudonym(secret: bytes, key: StudentKey | DocumentKey) -> str:
    """The keyed hash (HMAC-SHA-256) that stands for a student where their id must not be stored."""
    made = _keyed(secret).copy()
    made.update(f"{len(key.tenant)}:{key.tenant}{key.student_id}".encode())
    return made.hexdigest()


@lru_cache(maxsize=8)
def _keyed(secret: bytes) -> hmac.HMAC:
    """The hash after the key, cached because computing it is most of the cost of a pseudonym."""
    return hmac.new(secret, digestmod="sha256")


def pack_note(settled: History, latest: ConsentChange | None = None) -> bytes:
    return _pack(ConsentNote(settled, latest))


def unpack_note(value: bytes, at: Micros) -> History:
    """The history in a record that the log received at a moment."""
    note = _unpack(value)
    if note.latest is None:
        return note.settled
    after = note.settled[-1].at + 1 if note.settled else 0
    return (*note.settled, msgspec.structs.replace(note.latest, at=max(at, after)))


def _order(change: ConsentChange) -> tuple[Micros, bool, bool, bool]:
    return (change.at, not change.erased, not change.processing, not change.profiling)


def merged(ours: History, theirs: History) -> History:
    """All changes of both, by time, from the last erasure on; of two at the same time the stricter comes last."""
    changes = sorted({*ours, *theirs}, key=_order)
    starts = [place for place, change in enumerate(changes) if change.erased]
    return tuple(changes[starts[-1] :] if starts else changes)


def allowed_at(history: History, at: Micros, *, default: bool) -> ConsentChange:
    """What was allowed at a moment; a change holds from its own moment on."""
    known = ConsentChange(0, default, default)
    for change in history:
        if change.at > at:
            break
        known = change
    return known


def without_repeats(history: History) -> History:
    """The changes that changed something: replicas that were told the same at once may each have recorded it."""
    return tuple(
        change
        for place, change in enumerate(history)
        if place == 0 or msgspec.structs.replace(change, at=history[place - 1].at) != history[place - 1]
    )


def now_allowed(history: History, *, default: bool) -> ConsentChange:
    """What is allowed since the last change."""
    return history[-1] if history else ConsentChange(0, default, default)


def erased_at(history: History) -> Micros | None:
    """When the student was last erased; None if never."""
    return history[0].at if history and history[0].erased else None


def counts(event: LearningEvent, history: History, *, default: bool) -> bool:
    """Whether processing was allowed at the event's receipt, and the event is not from before an erasure."""
    return allows(history, event.received, min(event.received, event.at), default=default)


def allows(history: History, received: Micros, earliest: Micros, *, default: bool) -> bool:
    """As ``counts``, for something received at a moment that may be about times as early as ``earliest``."""
    erased = erased_at(history)
    if erased is not None and earliest <= erased:
        return False
    return allowed_at(history, received, default=default).processing
