"""Lists that come in pages, as one iterator over their rows: the next page is fetched when it is needed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from mastery_client.frames import frame

if TYPE_CHECKING:
    import pandas

Row = TypeVar("Row")


class Page(Protocol):
    """An answer that is a page."""

    @property
    def next_cursor(self) -> str | None:
        """What leads to the next page; None on the last."""


PageOf = TypeVar("PageOf", bound=Page)


class Pages(Generic[Row], Iterator[Row]):
    """The rows of all pages, to be gone through once."""

    def __init__(
        self,
        page: Callable[[str | None], PageOf],
        rows: Callable[[PageOf], list[Row]],
        row: type[Row],
        start: str | None,
    ) -> None:
        self._row = row
        self._left = self._all(page, rows, start)

    @staticmethod
    def _all(
        page: Callable[[str | None], PageOf], rows: Callable[[PageOf], list[Row]], cursor: str | None
    ) -> Iterator[Row]:
        while True:
            found = page(cursor)
            yield from rows(found)
            cursor = found.next_cursor
            if cursor is None:
                return

    def __iter__(self) -> "Pages[Row]":
        return self

    def __next__(self) -> Row:
        return next(self._left)

    def to_frame(self) -> "pandas.DataFrame":
        """All rows that are left, as a data frame of pandas."""
        return frame(list(self), self._row)


class AsyncPages(Generic[Row], AsyncIterator[Row]):
    """The rows of all pages, to be gone through once with ``async for``."""

    def __init__(
        self,
        page: Callable[[str | None], Awaitable[PageOf]],
        rows: Callable[[PageOf], list[Row]],
        row: type[Row],
        start: str | None,
    ) -> None:
        self._row = row
        self._left = self._all(page, rows, start)

    @staticmethod
    async def _all(
        page: Callable[[str | None], Awaitable[PageOf]], rows: Callable[[PageOf], list[Row]], cursor: str | None
    ) -> AsyncIterator[Row]:
        while True:
            found = await page(cursor)
            for row in rows(found):
                yield row
            cursor = found.next_cursor
            if cursor is None:
                return

    def __aiter__(self) -> "AsyncPages[Row]":
        return self

    async def __anext__(self) -> Row:
        return await anext(self._left)

    async def to_frame(self) -> "pandas.DataFrame":
        """All rows that are left, as a data frame of pandas."""
        held: list[Any] = [row async for row in self]
        return frame(held, self._row)
