"""A badge as it is kept: the facts of which its credential is made anew whenever it is asked for."""

from typing import TypeAlias

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey


class ShownName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a badge shows its student's name."""

    shown: bool


class StatusPlace(msgspec.Struct, frozen=True, order=True):
    """Where the status of a badge stands: a list, and the bit in it."""

    number: int
    index: int


class Badge(msgspec.Struct, frozen=True, tag="badge"):
    """A level that a student has reached in a course.

    ``title`` and ``from_score`` are those of the course when it was reached. ``name`` is the student's, once they want
    it shown; ``issued`` is when what the credential says was changed last.
    """

    tenant: str
    badge_id: str
    student_id: str
    course_id: str
    title: str
    level: str
    from_score: float
    awarded: Micros
    issued: Micros
    status: StatusPlace
    name: str | None = None
    revoked: Micros | None = None

    @property
    def student(self) -> StudentKey:
        return StudentKey(self.tenant, self.student_id)


class ErasedBadge(msgspec.Struct, frozen=True, tag="erased"):
    """That there was a badge, whose student was erased."""

    status: StatusPlace


KeptBadge: TypeAlias = Badge | ErasedBadge

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[KeptBadge] = msgspec.msgpack.Decoder(Badge | ErasedBadge)


def pack_badge(badge: KeptBadge) -> bytes:
    return _encode(badge)


def unpack_badge(packed: bytes) -> KeptBadge:
    return _decoder.decode(packed)
