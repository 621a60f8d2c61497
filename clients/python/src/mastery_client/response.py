"""What all answers have: the id of their request; and rows, where they are a list."""

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from mastery_client.frames import frame

if TYPE_CHECKING:
    import pandas

REQUEST_ID = "_request_id"
Row = TypeVar("Row")


class Response(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """The base of all answers. They are frozen; fields that this client does not know are passed over."""

    @property
    def request_id(self) -> str | None:
        """The id under which the engine's log has the call; None for a part of an answer."""
        found: str | None = self.__dict__.get(REQUEST_ID)
        return found


class TableResponse(Response, frozen=True, kw_only=True):
    """An answer with rows, which may be a data frame."""

    _rows: ClassVar[str]
    _row: ClassVar[type[msgspec.Struct]]

    def to_frame(self) -> "pandas.DataFrame":
        """The rows as a data frame of pandas, a column for each of their fields. Without rows it has all columns, too.

        An answer about a student, a class or a webhook has that one's id as its first column. Moments are
        ``datetime64[us, UTC]``, days ``datetime64[us]``, shares ``float64``, words of a closed list categories.
        """
        about = {name: getattr(self, name) for name in ("student_id", "cohort_id", "webhook_id") if hasattr(self, name)}
        return frame(getattr(self, self._rows) or (), self._row, about)


class RowList(list[Row]):
    """The rows of an answer that is a list, with the id of the request."""

    def __init__(self, rows: list[Row], row: type[Any]) -> None:
        super().__init__(rows)
        self._row = row
        self.request_id: str | None = None

    def to_frame(self) -> "pandas.DataFrame":
        """The rows as a data frame of pandas, as that of an answer with rows."""
        return frame(self, self._row)


def with_request_id(answer: Any, request_id: str | None) -> None:
    """Notes the id of the request on an answer, where that is a type of ours."""
    if isinstance(answer, Response):
        answer.__dict__[REQUEST_ID] = request_id
    elif isinstance(answer, RowList):
        answer.request_id = request_id
