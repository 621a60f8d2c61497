"""Reading a OneRoster zip: its manifest, and the rows of its CSV files.

Zips come from outside: nothing is unpacked to a disk, and what they would grow to is bounded.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from io import BytesIO, TextIOWrapper
from itertools import zip_longest
from typing import IO, TypeAlias, TypeVar
from zipfile import BadZipFile, ZipFile, ZipInfo
from zlib import error as zlib_error

import msgspec

from mastery_engine.domain.given_ids import as_spelled
from mastery_engine.errors import InvalidInput

LARGEST_ZIP = 64 * 1024 * 1024
LARGEST_CONTENT = 512 * 1024 * 1024
MOST_FILES = 100
MOST_ROWS = 5_000_000  # of a table
MOST_LISTED = 1_000
VERSIONS = ("1.1", "1.2")
MODES = ("bulk", "delta", "absent")

T = TypeVar("T")
Row: TypeAlias = Mapping[str, str]  # the fields by their column, in lower case
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what stands for bytes that are not UTF-8


class RowFault(msgspec.Struct, frozen=True):
    """A row that was not taken: its file, its line (1 is the header's), its ``sourcedId`` if it has one, and why."""

    file: str
    line: int
    sourced_id: str
    reason: str


class RowList(list[T]):
    """The first rows of which something is to be said; ``total`` counts them all. A zip may hold millions."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def append(self, row: T) -> None:
        """Count a row, and keep it if it is one of the first 1,000."""
        self.total += 1
        if len(self) < MOST_LISTED:
            super().append(row)


class ZippedTables:
    """The tables of a OneRoster zip. ``version`` is OneRoster's, ``modes`` says of each table bulk, delta or absent."""

    def __init__(self, archive: ZipFile) -> None:
        """Raises InvalidInput where it is no OneRoster zip, or too large."""
        files = [one for one in archive.infolist() if not one.is_dir() and not _is_apples(one.filename)]
        if len(files) > MOST_FILES or sum(one.file_size for one in files) > LARGEST_CONTENT:
            raise InvalidInput(
                f"The zip unpacks to more than {LARGEST_CONTENT // 2**20} MiB or {MOST_FILES} files: is it a roster? "
                "Export one school at a time."
            )
        self._archive = archive
        self.unread: set[str] = set()  # the files with rows that cannot be read
        self._files: dict[str, ZipInfo] = {}
        for one in files:
            name = one.filename.rsplit("/", 1)[-1].lower()
            if name in self._files:
                raise InvalidInput(f"The zip holds {name} twice: export it again.")
            if one.flag_bits & 1:
                raise InvalidInput(f"{name} is encrypted: export the roster without a password.")
            self._files[name] = one
        self.version, self.modes = self._manifest()

    def is_bulk(self, table: str) -> bool:
        """Whether a table is the whole truth, and not only what changed."""
        return self.modes.get(table.lower()) == "bulk"

    def rows(self, table: str, required: tuple[str, ...], faults: RowList[RowFault]) -> Iterator[tuple[int, Row]]:
        """The rows of a table with their lines; none where the manifest calls it absent or leaves it out.

        Rows that cannot be read are added to ``faults``. Raises InvalidInput where the manifest names a file that is
        not there, and where a column of ``required`` is missing.
        """
        name = f"{table}.csv"
        if self.modes.get(table.lower(), "absent") == "absent":
            return
        if name.lower() not in self._files:
            raise InvalidInput(f"The manifest says that {name} is in the zip, and it is not: export it again.")
        yield from self._rows(name, required, faults)

    def _manifest(self) -> tuple[str, dict[str, str]]:
        if "manifest.csv" not in self._files:
            raise InvalidInput("The zip has no manifest.csv: export the roster as OneRoster CSV 1.1 or 1.2.")
        faults = RowList[RowFault]()
        rows = self._rows("manifest.csv", ("propertyName", "value"), faults)
        properties = {row["propertyname"].lower(): row["value"].lower() for _, row in rows}
        version = properties.get("oneroster.version", "")
        if version not in VERSIONS:
            raise InvalidInput(
                f"manifest.csv says that this is OneRoster {version or 'of no version'}: export it as 1.1 or 1.2."
            )
        modes = {
            name.removeprefix("file."): value
            for name, value in properties.items()
            if name.startswith("file.") and value
        }
        for table, mode in modes.items():
            if mode not in MODES:
                raise InvalidInput(f"manifest.csv says {mode[:40]!r} of {table}; it may say bulk, delta or absent.")
        return version, modes

    def _rows(self, name: str, required: tuple[str, ...], faults: RowList[RowFault]) -> Iterator[tuple[int, Row]]:
        try:
            with self._archive.open(self._files[name.lower()]) as opened:
                yield from self._read(name, opened, required, faults)
        except (BadZipFile, zlib_error, EOFError, NotImplementedError, RuntimeError) as error:
            raise InvalidInput(f"{name} in the zip is broken: export the roster again.") from error

    def _read(
        self, name: str, file: IO[bytes], required: tuple[str, ...], faults: RowList[RowFault]
    ) -> Iterator[tuple[int, Row]]:
        reader = csv.reader(TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=""))
        header: list[str] = []
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                self.unread.add(name)
                faults.append(RowFault(name, reader.line_num, "", f"It cannot be read: {error}."))
                continue
            if fields is None:
                break
            if reader.line_num > MOST_ROWS:
                raise InvalidInput(
                    f"{name} has more than {MOST_ROWS:,} lines: is it a roster? Export one school at a time."
                )
            if not header:
                header = [one.strip().lower() for one in fields]
                missing = [one for one in required if one.lower() not in header]
                if missing:
                    raise InvalidInput(f"{name} has no column {missing[0]}: its first line must name the columns.")
                continue
            row = dict(zip_longest(header, [as_spelled(one) for one in fields[: len(header)]], fillvalue=""))
            if any(_NOT_UTF8.search(one) for one in fields):
                self.unread.add(name)
                faults.append(RowFault(name, reader.line_num, "", "It is not UTF-8: export the roster as UTF-8."))
            elif any(row.values()):
                yield reader.line_num, row
        if not header:
            raise InvalidInput(f"{name} is empty: its first line must name the columns.")


def opened(source: bytes) -> ZippedTables:
    """The tables of a zip. Raises InvalidInput where it is none, or none of OneRoster."""
    if len(source) > LARGEST_ZIP:
        raise InvalidInput(f"The zip is larger than {LARGEST_ZIP // 2**20} MiB: export one school at a time.")
    try:
        return ZippedTables(ZipFile(BytesIO(source)))
    except (BadZipFile, NotImplementedError, ValueError) as error:
        raise InvalidInput("The file is not a zip: send the zip that the student information system made.") from error


def _is_apples(path: str) -> bool:
    """Whether a file is one that macOS adds to the zips that it makes."""
    return path.startswith("__MACOSX/") or path.rsplit("/", 1)[-1] == ".DS_Store"
