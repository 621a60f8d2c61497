"""What is kept of a person's scores in a platform's gradebook: what was queued last for each column, and what is there.

The registry's table ``lti-grades`` has a ``GradeRecord`` for each person of a context, under the key of the person in
``lti-people``, and owned by the student as that is.
"""

import msgspec

from mastery_engine.domain.moments import SECOND, Micros


class GradeLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column: ``queued`` is the whole per cent that was queued last, the ``number``-th, of a result ``at``.

    It is the score in a course. ``sent`` is the one that the gradebook took last, under the timestamp ``stamp``.
    """

    course_id: str = ""
    number: int = 0
    queued: int | None = None
    at: Micros = 0
    sent: int | None = None
    stamp: Micros = 0


class GradeRecord(msgspec.Struct, frozen=True):
    """A person's columns by the addresses of their line items."""

    lines: dict[str, GradeLine] = {}

    def line(self, line_item: str) -> GradeLine:
        return self.lines.get(line_item, NO_LINE)

    def with_queued(self, course_id: str, line_item: str, per_cent: int, at: Micros) -> "GradeRecord":
        """With a score, of which the number says whether it is to be queued: not the last one again, and no older one.

        In another course than before, its moment says nothing of that.
        """
        line = self.line(line_item)
        if course_id == line.course_id and (at < line.at or per_cent == line.queued):
            return self
        number = line.number + (per_cent != line.queued)
        queued = msgspec.structs.replace(line, course_id=course_id, number=number, queued=per_cent, at=at)
        return GradeRecord({**self.lines, line_item: queued})

    def with_sent(self, line_item: str, per_cent: int, stamp: Micros) -> "GradeRecord":
        """With what the gradebook took."""
        line = msgspec.structs.replace(self.line(line_item), sent=per_cent, stamp=stamp)
        return GradeRecord({**self.lines, line_item: line})


class GradeBody(msgspec.Struct, frozen=True):
    """A score that waits to be sent."""

    cohort_id: str
    line_item: str
    per_cent: int


NO_LINE = GradeLine()


def next_stamp(line: GradeLine, queued: Micros) -> Micros:
    """The timestamp of a column's next score: that of its queueing, if it is a second later than the one before.

    AGS asks for a fraction of a second, and for timestamps that rise; Moodle compares whole seconds. It is the same
    whenever it is asked before the score is noted as sent, so a repeat after a crash is the same score.
    """
    stamp = max(queued, line.stamp + SECOND)
    return stamp if stamp % SECOND else stamp + 1


pack_grades = msgspec.msgpack.Encoder().encode
unpack_grades = msgspec.msgpack.Decoder(GradeRecord).decode
