"""The outbox, a section of the document: the results that may not be published yet, packed.

What the last fold said stands there without what the document says beside it: level, components, advice and path. What
earlier folds said, and may not be published yet, stands there in full.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from mastery_engine.domain.advice.learning_path import Step
from mastery_engine.domain.advice.recommendation import Recommendation
from mastery_engine.domain.evidence.moves import Moved
from mastery_engine.domain.evidence.score import FourValues
from mastery_engine.domain.ids import short_id, whole_id
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import (
    PathRecommended,
    Pending,
    Result,
    StruggleDetected,
    ThresholdReached,
    Updated,
)

NO_RESULTS = b""


class Beside(NamedTuple):
    """What the document says beside its outbox: what was sent last, and the advice and the path that it holds."""

    level: str | None
    components: FourValues | None
    advice: tuple[Recommendation, ...]
    path: tuple[Step, ...]


Raised: TypeAlias = tuple[str, str, str, str, Micros]  # event, topic, pattern, evidence, since


class FoldSaid(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All results of one fold, which come from the same events and say the same score.

    ``advice`` and ``steps`` are True where they are those that the document holds. ``reached`` is the level before, if
    it is another than that of now.
    """

    partition: int
    offset: int
    earlier: tuple[Pending, ...]
    tenant: str
    student_id: str
    course_id: str
    at: Micros
    caused_by: tuple[bytes, ...]
    score: float
    previous_score: float
    coverage: float
    advice: bool | tuple[Recommendation, ...] | None
    moved: tuple[Moved, ...] | None
    reached: str | None = None
    raised: tuple[Raised, ...] = ()
    steps: bool = False


class InFull(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Results of earlier folds alone."""

    partition: None
    offset: int
    earlier: tuple[Pending, ...]


class _OutboxHead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    partition: int | None
    offset: int
    earlier: msgspec.Raw


_NONE_EARLIER = b"\x90"
_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(_OutboxHead).decode
_decode_fold = msgspec.msgpack.Decoder(FoldSaid).decode
_decode_full = msgspec.msgpack.Decoder(InFull).decode


def said(update: Updated, results: Sequence[Pending], earlier: Sequence[Pending], *, has_new_advice: bool) -> bytes:
    """The outbox of a document that holds what a fold's results say, ``update`` the first of them, and earlier ones.

    ``has_new_advice`` says that the advice of the update is all that the document holds.
    """
    first = results[0]
    reached, raised, steps = None, [], False
    for pending in results[1:]:
        result = pending.result
        if isinstance(result, ThresholdReached):
            reached = result.previous_level
        elif isinstance(result, StruggleDetected):
            raised.append((result.caused_by[0], result.topic, result.pattern, result.evidence, result.since))
        else:
            steps = True
    return _encode(
        FoldSaid(
            first.partition,
            first.offset,
            tuple(earlier),
            update.tenant,
            update.student_id,
            update.course_id,
            update.at,
            tuple([short_id(one) for one in update.caused_by]),
            update.score,
            update.previous_score,
            update.coverage,
            True if has_new_advice and update.advice is not None else update.advice,
            update.moved,
            reached,
            tuple(raised),
            steps,
        )
    )


def in_full(results: Sequence[Pending]) -> bytes:
    """The outbox with results that say all by themselves."""
    return _encode(InFull(None, 0, tuple(results))) if results else NO_RESULTS


def is_settled(packed: bytes, settled: Mapping[int, int]) -> bool:
    """Whether all results of an outbox were published: those below the offset of their partition in ``settled``."""
    if not packed:
        return True
    head = _decode_head(packed)
    return (
        head.partition is not None
        and head.offset < settled.get(head.partition, 0)
        and bytes(head.earlier) == _NONE_EARLIER
    )


def results_of(packed: bytes, beside: Beside) -> tuple[Pending, ...]:
    """The results in an outbox, in order, whole again by what stands beside it."""
    if not packed:
        return ()
    if _decode_head(packed).partition is None:
        return _decode_full(packed).earlier
    fold = _decode_fold(packed)
    own = (fold.tenant, fold.student_id, fold.at)
    caused_by = tuple([whole_id(one) for one in fold.caused_by])
    course_id = fold.course_id
    components = beside.components or (None, None, None, None)
    level, score, before = beside.level or "", fold.score, fold.previous_score
    advice = beside.advice if fold.advice is True else None if fold.advice is False else fold.advice
    results: list[Result] = [
        Updated(
            *own,
            caused_by,
            score,
            before,
            level,
            components,
            fold.coverage,
            advice,
            fold.moved,
            course_id,
            named_by_fold=True,
        )
    ]
    if fold.reached is not None:
        results.append(
            ThresholdReached(*own, caused_by, level, fold.reached, score, before, course_id, named_by_fold=True)
        )
    for event_id, topic, pattern, evidence, since in fold.raised:
        results.append(
            StruggleDetected(*own, (event_id,), topic, pattern, evidence, since, course_id, named_by_fold=True)
        )
    if fold.steps:
        results.append(PathRecommended(*own, caused_by, beside.path, course_id, named_by_fold=True))
    return (*fold.earlier, *[Pending(fold.partition, fold.offset, result) for result in results])
