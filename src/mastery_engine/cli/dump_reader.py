"""Reading back a dump of events: rows of Parquet, CSV or JSON lines as the envelopes that they are."""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mastery_engine.cli.event_file import LONGEST_LINE, EventFile
from mastery_engine.domain.json_text import check_not_wide
from mastery_engine.domain.moments import Micros, moment_of
from mastery_engine.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

RECEIVED = "received"  # the receipt at the engine that made the dump
NESTED = ("data", "metadata")
ROWS_AT_ONCE = 1_000

_encode = msgspec.json.Encoder().encode


class _Receipt(msgspec.Struct):
    received: datetime | None = None


_receipt = msgspec.json.Decoder(_Receipt).decode


def dumped_receipt(line: bytes) -> Micros | None:
    """When an event of a dump was received at the engine that made it; None where that is not told."""
    try:
        received = _receipt(line).received
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if received is None or received.tzinfo is None else moment_of(received)


class CsvEvents(EventFile):
    """A dump as CSV, plain or gzip; an empty cell is null. Its lines are counted with that of the names."""

    def lines(self, *, takes_list: bool = False) -> Iterator[tuple[int, bytes]]:
        del takes_list
        check_not_wide(self._text().read(4))
        text = io.TextIOWrapper(self._text(), encoding="utf-8-sig", newline="")
        reader = csv.reader(text, strict=True)
        usual = csv.field_size_limit(LONGEST_LINE)  # which is that of the whole process
        try:
            names = next(reader, [])
            for cells in reader:
                if cells:
                    row = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
                    yield reader.line_num, _encode(_envelope(row))
        except csv.Error as error:
            raise InvalidInput(f"The file is no CSV after line {reader.line_num}.") from error
        except UnicodeDecodeError as error:
            raise InvalidInput(f"The file is not UTF-8 after line {reader.line_num}.") from error
        except (EOFError, OSError) as error:
            raise InvalidInput(f"The compressed file is damaged after line {reader.line_num}.") from error
        finally:
            csv.field_size_limit(usual)
            text.detach()


class ParquetEvents(EventFile):
    """A dump as Parquet. Its rows are counted from 1."""

    def lines(self, *, takes_list: bool = False) -> Iterator[tuple[int, bytes]]:
        del takes_list
        import pyarrow as pa
        from pyarrow import parquet

        self._file.seek(0)
        number = 0
        try:
            for batch in parquet.ParquetFile(self._file).iter_batches(batch_size=ROWS_AT_ONCE):
                for row in _in_micros(batch).to_pylist():
                    number += 1
                    yield number, _encode(_envelope(row))
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput(f"The file is no Parquet, or damaged, after row {number}.") from error


def _in_micros(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """The rows with their moments to the microsecond, whatever tool wrote them."""
    import pyarrow as pa

    for place, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit != "us":
            column = batch.column(place).cast(pa.timestamp("us", tz=field.type.tz), safe=False)
            batch = batch.set_column(place, field.name, column)
    return batch


def _envelope(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event's envelope from the cells of its row, without those that are null."""
    envelope = {name: value for name, value in row.items() if value is not None}
    for name in NESTED:
        if name in envelope:
            envelope[name] = _nested(envelope[name])
    timestamp = envelope.get("timestamp")
    if isinstance(timestamp, str) and timestamp.isdecimal():
        envelope["timestamp"] = int(timestamp)
    return envelope


def _nested(value: Any) -> Any:
    """What a cell holds: JSON, or a struct, in which what is null was not given."""
    if isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value  # the event is refused, by name
    if isinstance(value, list):  # a map's pairs
        return dict(value)
    if isinstance(value, dict):
        return {name: _nested(one) if isinstance(one, dict) else one for name, one in value.items() if one is not None}
    return value


class JsonLinesEvents(EventFile):
    """A dump as JSON lines: envelopes as they are."""


DUMPS: Mapping[str, type[EventFile]] = {"parquet": ParquetEvents, "csv": CsvEvents, "jsonl": JsonLinesEvents}
