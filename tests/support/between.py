"""What stands between a client and the engine, and does harm: drops calls, loses or cuts answers, or says no."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tests.support.receivers import listening

Harm: TypeAlias = Literal["none", "dropped", "answer lost", "silent"] | bytes | int
NO_HARM: Harm = "none"


def refusal(status: int, *headers: str, body: bytes = b"<h1>no</h1>") -> bytes:
    """An answer of a proxy."""
    head = "\r\n".join([f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(body)}", "Connection: close"])
    return head.encode() + b"\r\n\r\n" + body


@dataclass
class Between:
    """A proxy on loopback. Each call takes the next harm; none is left: it goes through.

    ``dropped`` closes before the engine has it, ``answer lost`` after the engine has answered; bytes are answered in
    the engine's place; a number cuts the answer after so many bytes.
    """

    engine: str
    harms: list[Harm] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def keys(self) -> list[str | None]:
        """The Idempotency-Key of each call."""
        found = [re.search(r"^idempotency-key: (.*)\r$", head, re.IGNORECASE | re.MULTILINE) for head in self.heads]
        return [one and one[1] for one in found]

    def does(self, harms: Iterable[Harm]) -> None:
        """From now on."""
        self.harms, self.heads = list(harms), []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Between"]:
        async with listening(self._talk) as self.port:
            yield self

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"^content-length: (\d+)", head, re.IGNORECASE | re.MULTILINE)
        body = await reader.readexactly(int(length[1]) if length else 0)
        self.heads.append(head)
        harm = self.harms.pop(0) if self.harms else NO_HARM
        if harm == "silent":
            await asyncio.sleep(60)
        elif isinstance(harm, bytes):
            writer.write(harm)
            await writer.drain()
        elif harm != "dropped":
            await self._forward(head, body, harm, writer)

    async def _forward(self, head: str, body: bytes, harm: Harm, writer: asyncio.StreamWriter) -> None:
        there, port = self.engine.removeprefix("http://").split(":")
        answers, engine = await asyncio.open_connection(there, int(port))
        try:
            engine.write(re.sub(r"(?im)^connection: .*\r$", "Connection: close\r", head).encode() + body)
            left = harm if isinstance(harm, int) else None
            while part := await answers.read(65_536 if left is None else left):
                if harm != "answer lost":
                    writer.write(part)
                    await writer.drain()
                if left is not None and (left := left - len(part)) <= 0:
                    return
        finally:
            engine.close()
            with suppress(ConnectionError):
                await engine.wait_closed()
