"""Servers that receive what the engine sends to others, well-behaved and not."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def listening(talk: Talk, trust: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on loopback that talks like this with each who connects; gives its port."""
    talks: list[tuple[asyncio.Task[None], asyncio.StreamWriter]] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append((asyncio.create_task(_talked(talk, reader, writer)), writer))

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=trust)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task, writer in talks:
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*(task for task, _ in talks), return_exceptions=True)
        await asyncio.sleep(0)


async def _talked(talk: Talk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        await talk(reader, writer)
    with suppress(ConnectionError, ssl.SSLError):
        writer.close()
        await writer.wait_closed()


def saying(*parts: bytes, every_s: float = 0.0, heads: list[bytes] | None = None) -> Talk:
    """Reads the head of a request, into ``heads``, and answers with these parts."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every_s)

    return talk


def endless(part: bytes, start: bytes = b"", every_s: float = 0.0) -> Talk:
    """Answers with a start and then the same part for ever."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every_s)

    return talk


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """How a server of this name shows itself, and a trust in it that trusts nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(chain, secret)
    return shown, ssl.create_default_context(cafile=str(chain))


class HookServer:
    """A receiver of webhooks: what came, in its order. It answers with these statuses, with the last one for ever."""

    def __init__(self, *statuses: int, headers: str = "") -> None:
        self.statuses = list(statuses or (200,))
        self.headers = headers
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def ids(self) -> list[str]:
        """The webhook-ids, as they came."""
        return [headers["webhook-id"] for headers, _ in self.came]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.came]

    async def has(self, number: int, seconds: float = 10.0) -> None:
        """Return once so many messages came."""
        async with asyncio.timeout(seconds):
            while len(self.came) < number:
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["HookServer"]:
        async with listening(self._talk) as self.port:
            yield self

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            self.came.append((headers, await reader.readexactly(int(headers["content-length"]))))
            if not await self.answer(writer):
                return
            await writer.drain()

    async def answer(self, writer: asyncio.StreamWriter) -> bool:
        """Answer what came last; False to break off."""
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        writer.write(f"HTTP/1.1 {status} Said\r\n{self.headers}Content-Length: 0\r\n\r\n".encode())
        return True
