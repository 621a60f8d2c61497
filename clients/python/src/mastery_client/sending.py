"""The two ways of sending: what a client has beside its calls. All rules stand in ``exchange``; here is only I/O."""

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Self, TypeAlias, TypeVar

import httpx
import msgspec

from mastery_client.call import Call, Sendable
from mastery_client.errors import TransportError
from mastery_client.exchange import Retries, Send, exchange, no_answer
from mastery_client.streaming import QUIET, EventLines, check_stream

Of = TypeVar("Of")
Event = TypeVar("Event", bound=msgspec.Struct)
Token: TypeAlias = str | Callable[[], str] | None
AsyncToken: TypeAlias = str | Callable[[], str | Awaitable[str]] | None
AGENT = "mastery-engine-client/1.0.0"


def _address(url: str) -> str:
    """The base of all addresses. Raises TransportError where it is none."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise TransportError(f"{url!r} is no address: {error}.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise TransportError(f"{url!r} is no address of an engine: it begins with http:// or https://.")
    return url.rstrip("/")


def _headers(given: Mapping[str, str] | None) -> dict[str, str]:
    return {"User-Agent": AGENT, **(given or {})}


def _retries(given: int | Retries) -> Retries:
    return given if isinstance(given, Retries) else Retries(times=given)


class Sender:
    """A client that sends and waits."""

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        timeout: float = 30.0,
        retries: int | Retries = Retries.times,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """A client of the engine at ``url``, to be closed, or used as a context.

        ``token`` is the bearer token, or what gives one: it is called before the first call, and again once a token is
        no longer valid. ``timeout`` is in seconds, for each attempt; ``retries`` is how often a call is sent again.
        ``headers`` go with each call. The school (tenant) is in the token.
        """
        self._token = token
        self._retries = _retries(retries)
        self._patience = httpx.Timeout(timeout, read=max(timeout, QUIET))
        self._known: str | None = token if isinstance(token, str) else None
        self._knowing = threading.Lock()
        self._http = httpx.Client(
            base_url=_address(url), timeout=timeout, headers=_headers(headers), transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(
        self,
        call: Call[Of],
        path: tuple[str, ...] = (),
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        key: str | None = None,
    ) -> Of:
        return call.read(self._exchange(call.request(path, query, body, key)))

    def _stream(
        self, call: Call[Any], path: tuple[str, ...], query: Mapping[str, Any] | None, of: type[Event]
    ) -> Iterator[Event]:
        sent, lines = call.request(path, query), EventLines(of)
        failures = 0
        while True:
            answer = self._exchange(sent, stream=True)
            lines.start()
            try:
                check_stream(answer, call.accept)
                for line in answer.iter_lines():
                    event = lines.read(line)
                    if event is not None:
                        failures = 0
                        yield event
            except httpx.TransportError as error:
                failures += 1
                if failures > self._retries.times:
                    raise no_answer(error, failures) from error
                time.sleep(self._retries.pause(failures, None))
            finally:
                answer.close()

    def _exchange(self, sent: Sendable[Any], *, stream: bool = False) -> httpx.Response:
        steps = exchange(sent, self._retries, refreshes=callable(self._token))
        step = next(steps)
        try:
            while True:
                if isinstance(step, Send):
                    step = steps.send(self._attempt(sent, refresh=step.refresh, stream=stream))
                else:
                    time.sleep(step.seconds)
                    step = next(steps)
        except StopIteration as done:
            answer: httpx.Response = done.value
            return answer

    def _attempt(self, sent: Sendable[Any], *, refresh: bool, stream: bool) -> httpx.Response | httpx.RequestError:
        authorization = _bearer(self._bearer(refresh=refresh))
        request = self._http.build_request(
            sent.call.method,
            sent.path,
            params=sent.params or None,
            content=sent.content,
            headers={**sent.headers, **authorization},
            timeout=self._patience if stream else httpx.USE_CLIENT_DEFAULT,
        )
        try:
            answer = self._http.send(request, stream=stream)
            if stream and not answer.is_success:
                answer.read()
                answer.close()
        except httpx.RequestError as error:
            return error
        return answer

    def _bearer(self, *, refresh: bool) -> str | None:
        if callable(self._token):
            with self._knowing:
                if self._known is None or refresh:
                    self._known = self._token()
        return self._known


class AsyncSender:
    """A client that sends and lets others run meanwhile."""

    def __init__(
        self,
        url: str,
        *,
        token: AsyncToken = None,
        timeout: float = 30.0,
        retries: int | Retries = Retries.times,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """A client of the engine at ``url``, to be closed, or used as a context.

        ``token`` is the bearer token, or what gives one, which may be asynchronous: it is called before the first call,
        and again once a token is no longer valid. ``timeout`` is in seconds, for each attempt; ``retries`` is how often
        a call is sent again. ``headers`` go with each call. The school (tenant) is in the token.
        """
        self._token = token
        self._retries = _retries(retries)
        self._patience = httpx.Timeout(timeout, read=max(timeout, QUIET))
        self._known: str | None = token if isinstance(token, str) else None
        self._knowing = asyncio.Lock()
        self._http = httpx.AsyncClient(
            base_url=_address(url), timeout=timeout, headers=_headers(headers), transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _call(
        self,
        call: Call[Of],
        path: tuple[str, ...] = (),
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        key: str | None = None,
    ) -> Of:
        return call.read(await self._exchange(call.request(path, query, body, key)))

    async def _stream(
        self, call: Call[Any], path: tuple[str, ...], query: Mapping[str, Any] | None, of: type[Event]
    ) -> AsyncIterator[Event]:
        sent, lines = call.request(path, query), EventLines(of)
        failures = 0
        while True:
            answer = await self._exchange(sent, stream=True)
            lines.start()
            try:
                check_stream(answer, call.accept)
                async for line in answer.aiter_lines():
                    event = lines.read(line)
                    if event is not None:
                        failures = 0
                        yield event
            except httpx.TransportError as error:
                failures += 1
                if failures > self._retries.times:
                    raise no_answer(error, failures) from error
                await asyncio.sleep(self._retries.pause(failures, None))
            finally:
                await answer.aclose()

    async def _exchange(self, sent: Sendable[Any], *, stream: bool = False) -> httpx.Response:
        steps = exchange(sent, self._retries, refreshes=callable(self._token))
        step = next(steps)
        try:
            while True:
                if isinstance(step, Send):
                    step = steps.send(await self._attempt(sent, refresh=step.refresh, stream=stream))
                else:
                    await asyncio.sleep(step.seconds)
                    step = next(steps)
        except StopIteration as done:
            answer: httpx.Response = done.value
            return answer

    async def _attempt(
        self, sent: Sendable[Any], *, refresh: bool, stream: bool
    ) -> httpx.Response | httpx.RequestError:
        authorization = _bearer(await self._bearer(refresh=refresh))
        request = self._http.build_request(
            sent.call.method,
            sent.path,
            params=sent.params or None,
            content=sent.content,
            headers={**sent.headers, **authorization},
            timeout=self._patience if stream else httpx.USE_CLIENT_DEFAULT,
        )
        try:
            answer = await self._http.send(request, stream=stream)
            if stream and not answer.is_success:
                await answer.aread()
                await answer.aclose()
        except httpx.RequestError as error:
            return error
        return answer

    async def _bearer(self, *, refresh: bool) -> str | None:
        if callable(self._token):
            async with self._knowing:
                if self._known is None or refresh:
                    found = self._token()
                    self._known = await found if inspect.isawaitable(found) else found
        return self._known


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
