"""Many rows in one, as ``Database.fetch`` wants them: JSON holds no blobs, so a column's are joined beside it."""

from collections.abc import Iterable, Iterator

FEW = 500  # rows of which reading in the loop takes half a millisecond: less than another thread often waits for it


def parted(blobs: bytes | None, lengths: Iterable[int | None]) -> Iterator[bytes | None]:
    """The blobs that ``CAST(group_concat(column, '') AS BLOB)`` joined; None where a length is NULL."""
    whole, start = blobs or b"", 0
    for length in lengths:
        if length is None:
            yield None
        else:
            yield whole[start : start + length]
            start += length
