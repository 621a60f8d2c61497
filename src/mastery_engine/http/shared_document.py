"""Documents that are the same for everybody: each is made once and packed once, however often it is asked for.

Anybody may ask for them, without a token. They are held in memory, so that an answer that nobody reads holds no copy of
its own and no open file.
"""

import asyncio
import gzip
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

from fastapi import Request
from starlette.responses import Response

from mastery_engine.http.packing import LEAST_PACKED, PACKED_LEVEL, takes_gzip

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class SharedDocument:
    """A document by how it is made, which may take some time and must give the same each time."""

    def __init__(self, make: Callable[[], bytes], media_type: str, headers: Mapping[str, str] = NO_HEADERS) -> None:
        self._make = make
        self._media_type = media_type
        self._headers = headers
        self._making = threading.Lock()
        self._forms: tuple[bytes, bytes | None] | None = None

    async def answer(self, request: Request) -> Response:
        """The document, by gzip where the browser takes that and it is worth it; others go on while it is made."""
        forms = self._forms
        plain, packed = await asyncio.to_thread(self._made) if forms is None else forms
        if packed is None:
            return Response(plain, media_type=self._media_type, headers=self._headers)
        headers = {**self._headers, "Vary": "Accept-Encoding"}
        if not takes_gzip(request.headers.get("accept-encoding", "")):
            return Response(plain, media_type=self._media_type, headers=headers)
        return Response(packed, media_type=self._media_type, headers={**headers, "Content-Encoding": "gzip"})

    def _made(self) -> tuple[bytes, bytes | None]:
        """As it is, and packed if that is worth it."""
        with self._making:
            if self._forms is None:
                plain = self._make()
                packed = gzip.compress(plain, PACKED_LEVEL, mtime=0) if len(plain) >= LEAST_PACKED else None
                self._forms = plain, packed
            return self._forms
