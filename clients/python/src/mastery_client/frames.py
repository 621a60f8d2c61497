"""Answers as data frames: a column for each field of a row, with a dtype that follows from the field's type alone.

| a field that is | is a column of dtype |
|---|---|
| a text | ``string`` |
| a word of a closed list | ``category``, all words in it |
| a number | ``float64``, NaN where there is none |
| a count | ``int64``; ``Int64`` where it may be missing |
| true or false | ``bool``; ``boolean`` where it may be missing |
| a moment | ``datetime64[us, UTC]`` |
| a day | ``datetime64[us]``: a day of the course's time zone, so it has none |
| a list, or anything else | ``object`` |

Fields of an inner object are columns of their own, as ``error_code``; those of ``current_mastery`` and ``components``
go by their own names. So frames of the same call always fit one another, also where one of them is empty.
"""

import datetime
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from mastery_client.errors import FramesNotInstalled

if TYPE_CHECKING:
    import pandas

UNNAMED = ("components", "current_mastery")
DTYPES: dict[Any, str] = {
    bool: "bool",
    float: "float64",
    int: "int64",
    str: "string",
    datetime.date: "datetime64[us]",
    datetime.datetime: "datetime64[us, UTC]",
}
MISSING = {"bool": "boolean", "int64": "Int64"}  # dtypes that hold nothing, in the place of those that do not


class Column(NamedTuple):
    """A column: its name, where a row has it, its dtype, and the words of a closed list."""

    name: str
    path: tuple[str, ...]
    dtype: str
    words: tuple[str, ...] = ()


def frame(rows: Iterable[Any], row: type[Any], about: Mapping[str, Any] | None = None) -> "pandas.DataFrame":
    """The rows as a data frame; ``about`` are columns before them that say the same in each row.

    Raises FramesNotInstalled.
    """
    try:
        import pandas
    except ImportError as error:
        message = 'Data frames need pandas: pip install "mastery-engine-client[frames]"'
        raise FramesNotInstalled(message) from error
    held = list(rows)
    columns = columns_of(row)
    named = {column.name for column in columns}
    first = {
        name: pandas.Series([value] * len(held), dtype="string")
        for name, value in (about or {}).items()
        if name not in named
    }
    made = {one.name: _series([_at(value, one.path) for value in held], one) for one in columns}
    return pandas.DataFrame(first | made)


def _series(values: list[Any], column: Column) -> "pandas.Series[Any]":
    import pandas

    if column.dtype == "category":
        known = dict.fromkeys(column.words)
        words = [*known, *sorted({value for value in values if value is not None} - known.keys())]
        return pandas.Series(pandas.Categorical(values, categories=words))
    if column.dtype == "datetime64[us, UTC]":
        return pandas.Series(pandas.to_datetime(pandas.Series(values, dtype="object"), utc=True)).astype(column.dtype)
    return pandas.Series(values, dtype=column.dtype)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if value is None:
            return None
        value = getattr(value, name)
    return value


def columns_of(row: type) -> tuple[Column, ...]:
    """The columns of a kind of row, which is a struct, or a text for a list of students."""
    if not issubclass(row, msgspec.Struct):
        return (Column("student_id", (), DTYPES[row]),)
    return tuple(_columns(row, (), "", may_miss=False))


def _columns(row: type[msgspec.Struct], path: tuple[str, ...], prefix: str, *, may_miss: bool) -> Iterator[Column]:
    for field in msgspec.structs.fields(row):
        kind, words, optional = _kind(field.type)
        optional = optional or may_miss
        place, name = (*path, field.name), prefix + field.encode_name
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            inner = prefix if field.name in UNNAMED else f"{name}_"
            yield from _columns(kind, place, inner, may_miss=optional)
        elif words:
            yield Column(name, place, "category", words)
        else:
            dtype = DTYPES.get(kind, "object")
            yield Column(name, place, MISSING.get(dtype, dtype) if optional else dtype)


def _kind(kind: Any) -> tuple[Any, tuple[str, ...], bool]:
    """A field's type without what is about it, the words of its closed list, and whether it may be missing."""
    if get_origin(kind) in (Union, types.UnionType):
        inner = [one for one in get_args(kind) if one is not types.NoneType]
        if len(inner) == 1:
            found, words, _ = _kind(inner[0])
            return found, words, True
        return object, (), True
    words = tuple(one for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta) for one in words_of(meta))
    return (kind.__origin__ if hasattr(kind, "__metadata__") else kind), words, False


def words_of(meta: Meta) -> tuple[str, ...]:
    """The words of a closed list, as its annotation has them."""
    return tuple((meta.extra_json_schema or {}).get("enum", ()))
