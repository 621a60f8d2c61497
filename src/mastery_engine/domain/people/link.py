"""Links: from when on what comes under a derived id belongs to the student whose profile names the identity.

The first link takes what came before it too: the evidence moves. A later link to another student takes what comes from
then on. What a moment means here is that of receipt, so that a replay comes to the same.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey

LINK = "link:"  # before the keyed hash of a derived id: the name of its links in the ledger


class Link(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A derived id belongs to this student from a moment on."""

    at: Micros
    student_id: str


Links: TypeAlias = tuple[Link, ...]


class LinkNote(msgspec.Struct, frozen=True, array_like=True):
    """The links of a derived id as a log stores them; ``latest`` is the student of the one that the record itself made.

    That one comes after the moment ``after``, though the clock of the log may be coarse: that of the student's last
    change of consent. Without a ``derived`` id the links are gone, since their students were erased.
    """

    tenant: str = ""
    derived: str = ""
    settled: Links = ()
    latest: str | None = None
    after: Micros = 0


_pack = msgspec.json.Encoder().encode
_unpack = msgspec.json.Decoder(LinkNote).decode


def pack_links(derived: StudentKey, settled: Links, latest: str | None = None, after: Micros = 0) -> bytes:
    """The links of a derived id, with one to ``latest`` that comes after a moment; a note of nobody without any."""
    if not settled and latest is None:
        return _pack(LinkNote())
    return _pack(LinkNote(*derived, settled, latest, after))


def unpack_links(value: bytes, at: Micros) -> tuple[StudentKey, Links] | None:
    """A derived id and its links, in a record that the log received at a moment; None where they are gone."""
    note = _unpack(value)
    if not note.derived:
        return None
    links = note.settled
    if note.latest is not None:
        before = max(note.after, links[-1].at if links else 0)
        links = (*links, Link(max(at, before + 1), note.latest))
    return StudentKey(note.tenant, note.derived), links


def merged_links(ours: Links, theirs: Links) -> Links:
    """All links of both, by time."""
    return tuple(sorted({*ours, *theirs}))


def link_at(links: Sequence[Link], received: Micros) -> Link:
    """The link that says whose something is that was received at a moment: the last before it, else the first."""
    chosen = links[0]
    for link in links:
        if link.at > received:
            break
        chosen = link
    return chosen
