"""HTTP to addresses that others named: receivers of webhooks, platforms of LTI.

A name is looked up once for a connection. If any of its addresses is not public nothing is sent; else the connection
goes to one of these very addresses, with the name kept for TLS and for the header Host. Redirects are not followed,
proxies of the environment are not used, and an answer has a largest size and a longest time.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from mastery_engine.errors import Busy, InvalidInput, Unavailable
from mastery_engine.outbound.checked_addresses import CheckedAddresses
from mastery_engine.outbound.name_lookup import Lookup, system_lookup

if TYPE_CHECKING:
    import httpcore
    import httpx

LONGEST_URL = 2_048
LOWEST_FREE_PORT = 1_024
PORTS = {"https": 443, "http": 80}
CHECK_S = 5.0


class HttpAnswer(NamedTuple):
    """What a server answered; the names of ``headers`` are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class PublicHttp:
    """Calls servers at public addresses; with ``allow_private`` also those in our own network, and without TLS."""

    def __init__(
        self,
        *,
        allow_private: bool,
        setting: str,
        trust: ssl.SSLContext | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        """``setting`` is the one that allows private addresses, for messages; ``trust`` is the system's if left out."""
        self._allow_private = allow_private
        self._setting = setting
        self._trust = trust
        self._addresses = CheckedAddresses(lookup, setting, allow_private=allow_private)
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def check(self, url: str) -> None:
        """Raises InvalidInput if this URL is never called, or its name leads to an address that is not.

        A name without an address passes: it may get one.
        """
        host = self._parsed(url).raw_host.decode()
        try:
            async with asyncio.timeout(CHECK_S):
                await self._addresses.of(host)
        except OSError:  # TimeoutError too
            return

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        most_bytes: int,
        timeout_s: float,
        cuts_off: bool = False,
    ) -> HttpAnswer:
        """The answer to one request, whatever its status.

        Raises InvalidInput if the URL is one that is never called, Unavailable with the reason if no answer comes
        within ``timeout_s`` in all, or if it is longer than ``most_bytes``: with ``cuts_off`` the rest is left instead.
        """
        import httpcore  # it takes a while to load, and most commands call nobody

        from mastery_engine.outbound.checked_network import connections, in_our_words

        target = self._parsed(url)
        if self._pool is None:
            self._pool = connections(self._addresses, self._trust)
        lines = {"Host": target.netloc.decode(), "Accept-Encoding": "identity", **(headers or {})}
        try:
            async with (
                asyncio.timeout(timeout_s),
                in_our_words(),
                self._pool.stream(
                    method,
                    httpcore.URL(
                        scheme=target.raw_scheme,
                        host=target.raw_host,
                        port=target.port or PORTS[target.scheme],
                        target=target.raw_path,
                    ),
                    headers=[(name.encode(), value.encode()) for name, value in lines.items()],
                    content=content,
                    extensions={"timeout": {"connect": timeout_s}},
                ) as answer,
            ):
                body = await _body(answer.aiter_stream(), most_bytes, cuts_off=cuts_off)
                named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
                return HttpAnswer(answer.status, named, body)
        except TimeoutError:
            raise Unavailable(f"the server has not answered within {timeout_s:g} s") from None
        except Busy:
            raise Unavailable("too many names are being looked up at once") from None

    async def close(self) -> None:
        """Close the connections that are kept for the next call."""
        if self._pool is not None:
            await self._pool.aclose()

    def _parsed(self, url: str) -> "httpx.URL":
        """A URL that may be called, as far as it says so by itself. Raises InvalidInput."""
        import httpx

        if len(url) > LONGEST_URL:
            raise InvalidInput(f"A URL has at most {LONGEST_URL} characters.", field="url")
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            raise InvalidInput("This is not a URL, such as https://hooks.example.org/mastery.", field="url") from None
        if parsed.scheme != "https" and not (self._allow_private and parsed.scheme == "http"):
            raise InvalidInput(
                f"The URL has to begin with https://. Only with {self._setting}=true http:// is allowed.", field="url"
            )
        if not parsed.raw_host:  # as it is sent: what is shown, host, does not exist for every name that is sent
            raise InvalidInput("The URL names no server.", field="url")
        if parsed.userinfo:
            raise InvalidInput("The URL has a user name or password in it: leave them out.", field="url")
        port = PORTS[parsed.scheme] if parsed.port is None else parsed.port
        if not (port in PORTS.values() or LOWEST_FREE_PORT <= port < 65_536):
            raise InvalidInput(f"The port has to be 443, or one from {LOWEST_FREE_PORT} on.", field="url")
        return parsed


async def _body(parts: AsyncIterator[bytes], most_bytes: int, *, cuts_off: bool) -> bytes:
    body = b""
    async for part in parts:
        body += part
        if len(body) > most_bytes:
            if cuts_off:
                return body[:most_bytes]
            raise Unavailable(f"the server's answer has more than {most_bytes} bytes")
    return body
