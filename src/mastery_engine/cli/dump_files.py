"""Files of a dump: rows written as Parquet, CSV or JSON lines, as they come; whole or not at all."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from secrets import token_hex
from types import NoneType, UnionType
from typing import (
    IO,
    TYPE_CHECKING,
    Annotated,
    Any,
    BinaryIO,
    Literal,
    Protocol,
    TypeAlias,
    Union,
    cast,
    get_args,
    get_origin,
)

import msgspec

from mastery_engine.domain.events.kinds import KINDS, Data
from mastery_engine.errors import StartRefused

if TYPE_CHECKING:
    import pyarrow as pa

DumpForm: TypeAlias = Literal["parquet", "csv", "jsonl"]
FORMS: tuple[DumpForm, ...] = get_args(DumpForm)

ROW_GROUP = 50_000  # rows that are held, packed, before they are written
_encode = msgspec.json.Encoder().encode


class RowWriter(Protocol):
    """Writes rows of one kind."""

    def write(self, rows: Sequence[msgspec.Struct]) -> None:
        """Write these rows."""
        ...

    def close(self) -> None:
        """Write what is left; the file itself stays open."""
        ...


class JsonLinesWriter:
    """A JSON object in each line. Of events it is the envelope as `ingest` takes it."""

    def __init__(self, kind: type[msgspec.Struct], file: BinaryIO) -> None:
        del kind  # every line names its fields
        self._file = file

    def write(self, rows: Sequence[msgspec.Struct]) -> None:
        self._file.writelines(_encode(row) + b"\n" for row in rows)

    def close(self) -> None:
        """Nothing is held back."""


class CsvWriter:
    """RFC 4180 in UTF-8, with a line of names. What is nested is JSON; an empty cell is null."""

    def __init__(self, kind: type[msgspec.Struct], file: BinaryIO) -> None:
        import csv
        import io

        self._text = io.TextIOWrapper(cast(IO[bytes], file), encoding="utf-8", newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow(kind.__struct_fields__)

    def write(self, rows: Sequence[msgspec.Struct]) -> None:
        self._writer.writerows([_cell(value) for value in msgspec.structs.astuple(row)] for row in rows)

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


def _cell(value: Any) -> str:
    """A value as a cell: texts and moments bare, all else as JSON, whose numbers lose no digit."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    text = _encode(value).decode()
    return text[1:-1] if isinstance(value, datetime) else text


class ParquetWriter:
    """Parquet with real lists and structs, row group by row group."""

    def __init__(self, kind: type[msgspec.Struct], file: BinaryIO) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._schema = arrow_schema(kind)
        self._batch = pa.RecordBatch.from_pylist
        self._table = pa.Table.from_batches
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Sequence[msgspec.Struct]) -> None:
        self._held.append(self._batch([_plain(row) for row in rows], schema=self._schema))
        self._rows += len(rows)
        if self._rows >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table(self._held, schema=self._schema), row_group_size=self._rows)
            self._held, self._rows = [], 0


def _plain(row: msgspec.Struct) -> dict[str, Any]:
    """A row as Arrow takes it; what has names of its own is JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(row, builtin_types=(datetime, date))
    metadata = plain.get("metadata")
    if metadata is not None:
        plain["metadata"] = _encode(metadata).decode()
    return plain


def arrow_schema(kind: type[msgspec.Struct]) -> "pa.Schema":
    """The columns of rows of a kind, with their types."""
    import pyarrow as pa

    return pa.schema([(field.name, _arrow_type(field.type)) for field in msgspec.structs.fields(kind)])


def _arrow_type(kind: Any) -> "pa.DataType":
    import pyarrow as pa

    if kind is Data:
        return pa.struct(list(_data_fields().items()))
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _arrow_type(parts[0])
    if origin in (Union, UnionType):
        (inner,) = [part for part in parts if part is not NoneType]
        return _arrow_type(inner)
    if origin in (list, tuple):
        return pa.list_(_arrow_type(parts[0]))
    if origin in (Literal, dict):  # a dict has whatever names a sender gives: it is JSON
        return pa.string()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return pa.struct([(field.name, _arrow_type(field.type)) for field in msgspec.structs.fields(kind)])
    simple = {
        str: pa.string(),
        float: pa.float64(),
        int: pa.int64(),
        bool: pa.bool_(),
        date: pa.date32(),
        datetime: pa.timestamp("us", tz="UTC"),
    }
    return simple[kind]


def _data_fields() -> "dict[str, pa.DataType]":
    """The fields of `data` of all kinds of events together; one name has one type."""
    fields = [field for kind in KINDS.values() for field in msgspec.structs.fields(kind)]
    found: dict[str, pa.DataType] = {}
    for field in fields:
        if found.setdefault(field.name, _arrow_type(field.type)) != _arrow_type(field.type):
            raise TypeError(f"data.{field.name} has several types, so that it has no column.")
    return found


WRITERS: dict[DumpForm, Callable[[type[msgspec.Struct], BinaryIO], RowWriter]] = {
    "parquet": ParquetWriter,
    "csv": CsvWriter,
    "jsonl": JsonLinesWriter,
}


def writer_for(form: DumpForm, kind: type[msgspec.Struct], file: BinaryIO) -> RowWriter:
    """A writer of rows of a kind."""
    return WRITERS[form](kind, file)


@contextmanager
def whole_file(out: Path, *, replaces: bool) -> Iterator[BinaryIO]:
    """A file beside ``out`` for its new content, which takes its name at the end; gone where that is not reached.

    Only its owner may read it. Standard output for ``-``. Raises StartRefused, before anything is read.
    """
    if str(out) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = out.resolve()
    if path.exists() and not path.is_file():
        raise StartRefused(f"{out} is not a file that can be written: name another one.")
    if path.exists() and not replaces:
        raise StartRefused(f"{out} is there already: name another file, or say --force to replace it.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise StartRefused(f"The folder {path.parent} does not exist or cannot be written: name another file.")
    made = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:  # before the file is there: so that no signal comes in between
        with open(made, "x+b", opener=_privately) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replaces:
            made.replace(path)
        else:
            _name_unless_taken(made, path, out)
    finally:
        made.unlink(missing_ok=True)


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _name_unless_taken(made: Path, path: Path, out: Path) -> None:
    """Give a finished file its name, but to no file that has come to be there meanwhile."""
    try:
        os.link(made, path)
    except FileExistsError:
        raise StartRefused(f"{out} has come to be there meanwhile, and was left as it is.") from None
    except OSError:  # a file system without links
        made.replace(path)


def leave_closed_output() -> None:
    """Whoever read standard output has enough: what is still to be flushed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
