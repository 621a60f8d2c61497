"""Connections to the addresses of a server that were checked, and to no others."""

import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpcore

from mastery_engine.errors import Unavailable
from mastery_engine.outbound.checked_addresses import CheckedAddresses

MOST_ADDRESSES = 4  # of a name, that are tried
MOST_IDLE, IDLE_S = 20, 4.0  # many servers close after 5 s, and a message that meets the closing has to be sent again


def connections(addresses: CheckedAddresses, trust: ssl.SSLContext | None) -> httpcore.AsyncConnectionPool:
    """Connections by HTTP/1.1, kept for a moment. How many there are at once is the callers' business."""
    return httpcore.AsyncConnectionPool(
        ssl_context=trust or ssl.create_default_context(),
        max_connections=None,
        max_keepalive_connections=MOST_IDLE,
        keepalive_expiry=IDLE_S,
        network_backend=CheckedNetwork(addresses),
    )


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """What httpcore connects by."""

    def __init__(self, addresses: CheckedAddresses) -> None:
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 it is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = (await self._addresses.of(host))[:MOST_ADDRESSES]
        except OSError:
            raise Unavailable("the name of the server is not known") from None
        ends = time.monotonic() + (timeout or 0.0)
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = (ends - time.monotonic()) / left
            try:
                return await self._network.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        raise Unavailable("the server does not answer")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


@asynccontextmanager
async def in_our_words() -> AsyncIterator[None]:
    """Raises Unavailable with a reason of ours for the errors of httpcore, and TimeoutError."""
    try:
        yield
    except httpcore.ConnectError as error:
        if _is_about_certificate(error):
            raise Unavailable("the server's certificate is not trusted here, or is for another name") from None
        raise Unavailable("the server does not speak TLS as it should") from None
    except httpcore.TimeoutException:
        raise TimeoutError from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError):
        raise Unavailable("the server's answer broke off or is no HTTP") from None


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
