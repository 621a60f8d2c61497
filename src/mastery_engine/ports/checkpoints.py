"""Marks: up to where in the log the documents of a store hold everything, and the check before they move on."""

from collections.abc import Mapping

import msgspec

from mastery_engine.errors import FellBack


class Marks(msgspec.Struct, frozen=True):
    """For each partition of a log, the offset below which the documents hold everything.

    ``life`` tells one life of the store's servers from another: with another life, writes may be gone.
    """

    offsets: dict[int, int]
    life: str = ""


def check_marks(known: Mapping[int, int], starts: Mapping[int, int]) -> None:
    """Raises FellBack where a mark is below the start of what was folded on top of it."""
    for partition, start in starts.items():
        if known.get(partition, 0) < start:
            raise FellBack(
                f"The store holds partition {partition} up to {known.get(partition, 0)} only, not {start}: "
                "it is filled again from the log."
            )
