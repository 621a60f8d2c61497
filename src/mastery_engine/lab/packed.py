"""Files that may be packed."""

import gzip
from pathlib import Path
from typing import IO, cast

GZIP = b"\x1f\x8b"


def opened(path: Path) -> IO[bytes]:
    """A file as it was before it was packed with gzip, if it was: its content tells, not its name."""
    with path.open("rb") as raw:
        packed = raw.read(len(GZIP)) == GZIP
    return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")
