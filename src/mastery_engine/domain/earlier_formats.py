"""What documents held in formats 1 and 2, made into what they hold now. Format 1 lacks the last fields of 2.

They held knowledge, habits, advice, path and results unpacked, UUIDs as text, and ids by day with 8 bytes each.
"""

import msgspec

from mastery_engine.domain.advice.guidance import Guidance
from mastery_engine.domain.advice.habits import NOT_ASKED, Asked, Block
from mastery_engine.domain.advice.habits import packed as packed_habits
from mastery_engine.domain.advice.learning_path import Step
from mastery_engine.domain.advice.recommendation import Advice, Recommendation
from mastery_engine.domain.advice.struggle import NO_SPELLS, Spells
from mastery_engine.domain.events.seen import EVERY, IdsByDay, Seen
from mastery_engine.domain.evidence.score import FourValues
from mastery_engine.domain.ids import ID_BYTES, SEEN_BYTES, short_id
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.outbox import in_full
from mastery_engine.domain.results import Pending
from mastery_engine.domain.skills.knowledge import KnowledgeState
from mastery_engine.domain.skills.knowledge import packed as packed_knowledge

EVIDENCE, SEEN, OUTBOX, KNOWLEDGE, GUIDANCE = 0, 2, 4, 9, 11  # the places of the fields that were other ones


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    recent: IdsByDay = {}
    cold_filter: bytes = b""


class _Block(msgspec.Struct, frozen=True, array_like=True):
    counts: bytes
    quizzes: int = 0
    seconds: int = 0
    asked: Asked = NOT_ASKED


class _Advice(msgspec.Struct, frozen=True, array_like=True):
    day: Day = 0
    level: str = ""
    components: FourValues = (None, None, None, None)
    items: tuple[Recommendation, ...] = ()


class _Guidance(msgspec.Struct, frozen=True, array_like=True):
    spells: Spells = NO_SPELLS
    habits: dict[int, _Block] = {}
    advice: _Advice = _Advice()
    path: tuple[Step, ...] = ()
    dismissed: dict[str, Micros] = {}
    basis: int = 0
    made_by: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode_parts = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_progress = msgspec.msgpack.Decoder(dict[str, tuple[Micros, str, int, int, int]]).decode
_decode_seen = msgspec.msgpack.Decoder(_Seen).decode
_decode_outbox = msgspec.msgpack.Decoder(tuple[Pending, ...]).decode
_decode_knowledge = msgspec.msgpack.Decoder(KnowledgeState).decode
_decode_guidance = msgspec.msgpack.Decoder(_Guidance).decode


def as_today(fields: bytes) -> bytes:
    """The fields of a document of an earlier format, packed, as those of today's."""
    parts = _decode_parts(fields)
    for place, made_anew in _MADE_ANEW.items():
        if place < len(parts):
            parts[place] = msgspec.Raw(_encode(made_anew(parts[place])))
    return _encode(parts)


def shortened(ids: bytes) -> bytes:
    """Ids of 8 bytes, which stand one after the other, with the bytes that are held today."""
    return b"".join([ids[start : start + SEEN_BYTES] for start in range(0, len(ids), ID_BYTES)])


def _evidence(part: msgspec.Raw) -> list[msgspec.Raw]:
    progress, *others = _decode_parts(part)
    held = {topic: (at, short_id(name), *rest) for topic, (at, name, *rest) in _decode_progress(progress).items()}
    return [msgspec.Raw(_encode(held)), *others]


def _seen(part: msgspec.Raw) -> Seen:
    """Their filter goes by all 8 bytes, so that it says nothing of shorter ids."""
    held = _decode_seen(part)
    recent = {day: shortened(ids) for day, ids in held.recent.items()}
    return Seen.of(recent, EVERY if held.cold_filter else b"")


def _outbox(part: msgspec.Raw) -> bytes:
    return in_full(_decode_outbox(part))


def _knowledge(part: msgspec.Raw) -> bytes:
    return packed_knowledge(_decode_knowledge(part))


def _guidance(part: msgspec.Raw) -> Guidance:
    held = _decode_guidance(part)
    advice = held.advice
    blocks = [
        Block(number, one.counts, one.quizzes, one.seconds, one.asked) for number, one in sorted(held.habits.items())
    ]
    return Guidance(
        held.spells,
        packed_habits(blocks),
        Advice.of(advice.day, advice.level, advice.components, advice.items),
        _encode(held.path),
        held.dismissed,
        held.basis,
        held.made_by,
    )


_MADE_ANEW = {EVIDENCE: _evidence, SEEN: _seen, OUTBOX: _outbox, KNOWLEDGE: _knowledge, GUIDANCE: _guidance}
