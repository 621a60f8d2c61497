"""Dapr's state API in this process, on a clock that tests move: keys expire, and ETags guard as they do behind daprd.

It answers as daprd 1.18 does with ``state.redis``, or with a component of the other sort, such as MongoDB's. What the
two sorts do differently is what the engine must not rely on:

* Redis leaves a key the expiry that it had where a write has no ``ttlInSeconds``, and takes -1 for "no expiry"; the
  others take no word for that, and -1 for a moment that is past.
* The others say in their answers when a key expires. Redis does not.
* On Redis a key that was once written as "first write" takes no write without its ETag any more, "last write" or not.

Both take a write with any ETag for a key that is not there. In a transaction what fails does not undo the rest.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx

from mastery_engine.backends.dapr.client import DaprState
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import SECOND, Micros, rfc3339

STORE = "statestore"
REDIS, MONGODB = "state.redis", "state.mongodb"
LARGEST_WHOLE_NUMBER = 2**53  # daprd reads JSON's numbers as 64-bit floats


@dataclass
class Entry:
    """What a key holds; ``until`` is when it expires."""

    data: str
    version: int
    is_first_write: bool
    until: Micros | None


class FakeDaprState:
    """A sidecar with one state component.

    ``life_s`` is the expiry that the component gives to what is written without a word on it; None: none.
    ``requests`` are the paths that were asked for. It is away once ``away_after`` more requests were answered; None:
    never.
    """

    def __init__(
        self, clock: Clock, *, component: str = REDIS, token: str | None = None, life_s: int | None = None
    ) -> None:
        self._clock = clock
        self._life_s = life_s
        self._component = component
        self._token = token
        self._entries: dict[str, Entry] = {}
        self.requests: list[str] = []
        self.away_after: int | None = None

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """The way to it, for an HTTP client."""
        return httpx.MockTransport(self._answer)

    def state(self, token: str | None = None, transport: httpx.AsyncBaseTransport | None = None) -> DaprState:
        """The engine's own client of it, straight or through a gate."""
        return DaprState(STORE, port=1, token=token, transport=transport or self.transport)

    # ---- what tests look at, and what they put there

    def keys_from(self, start: str) -> list[str]:
        """The keys that are there and begin so."""
        return sorted(key for key in list(self._entries) if key.startswith(start) and self._entry(key) is not None)

    def value(self, key: str) -> Any:
        """What a key holds; None where it is not there."""
        entry = self._entry(key)
        return None if entry is None else json.loads(entry.data)

    def life_s(self, key: str) -> float | None:
        """In how many seconds a key expires; None where it does not."""
        until = self._entries[key].until
        return None if until is None else (until - self._clock()) / SECOND

    def drop(self, key: str) -> None:
        """A key is not there, as if an older engine had not known it."""
        del self._entries[key]

    def expire(self, key: str, life_s: int) -> None:
        """A key expires in a while, as if an older engine had written it."""
        self._entries[key].until = self._clock() + life_s * SECOND

    def snapshot(self) -> dict[str, Entry]:
        """What there is, for ``restore``."""
        return {key: Entry(**vars(entry)) for key, entry in self._entries.items()}

    def restore(self, entries: dict[str, Entry]) -> None:
        """Come back without what was written since."""
        self._entries = {key: Entry(**vars(entry)) for key, entry in entries.items()}

    # ---- the sidecar

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        self.requests.append(request.url.path)
        if self.away_after is not None:
            if self.away_after == 0:
                raise httpx.ConnectError("the sidecar is away", request=request)
            self.away_after -= 1
        if self._token is not None and request.headers.get("dapr-api-token") != self._token:
            return httpx.Response(401)
        body: Any = json.loads(request.content, parse_int=_whole) if request.content else None
        match request.method, request.url.path.removeprefix(f"/v1.0/state/{STORE}"):
            case "GET", "/v1.0/metadata":
                return httpx.Response(200, json={"components": [{"name": STORE, "type": self._component}]})
            case "POST", "/bulk":
                return await self._bulk(body["keys"])
            case "POST", "":
                return await self._set(body)
            case "POST", "/transaction":
                return await self._transaction(body["operations"])
        return _error(400, "ERR_STATE_STORE_NOT_FOUND")

    async def _bulk(self, keys: list[str]) -> httpx.Response:
        """One after another: between two of them somebody else may write."""
        rows = []
        for key in keys:
            entry = self._entry(key)
            row: dict[str, Any] = {"key": key}
            if entry is not None:
                row |= {"data": json.loads(entry.data), "etag": str(entry.version)}
            if entry is not None and entry.until is not None and self._component != REDIS:
                row["metadata"] = {"ttlExpireTime": rfc3339(entry.until)}
            rows.append(row)
            await asyncio.sleep(0)
        return httpx.Response(200, json=rows)

    async def _set(self, items: list[dict[str, Any]]) -> httpx.Response:
        """All that can be are written; what is said of the rest is what the first of them deserves, 409 before 500."""
        failed = []
        for item in items:
            etag = item.get("etag") or None
            if etag is not None and not etag.isdigit():
                failed.append(400)
            elif not self._write(item, etag, is_first_write=item["options"]["concurrency"] == "first-write"):
                failed.append(500 if etag is None else 409)
            await asyncio.sleep(0)
        statuses = [status for status in failed if status != 500] or failed
        return _error(statuses[0], "ERR_STATE_SAVE") if statuses else httpx.Response(204)

    async def _transaction(self, operations: list[dict[str, Any]]) -> httpx.Response:
        failed = False
        for operation in operations:
            request = operation["request"]
            if operation["operation"] == "delete":
                self._entries.pop(request["key"], None)
            elif not self._write(request, request.get("etag"), is_first_write=False):
                failed = True
        return _error(500, "ERR_STATE_TRANSACTION") if failed else httpx.Response(204)

    def _write(self, item: dict[str, Any], etag: str | None, *, is_first_write: bool) -> bool:
        """Whether an item could be written."""
        key, before = item["key"], self._entry(item["key"])
        if before is not None and etag != str(before.version):
            is_guarded = before.is_first_write if self._component == REDIS else is_first_write
            if etag is not None or is_guarded:
                return False
        self._entries[key] = Entry(
            json.dumps(item["value"]),
            1 if before is None else before.version + 1,
            is_first_write or (before is not None and before.is_first_write),
            self._until(item.get("metadata", {}).get("ttlInSeconds"), before),
        )
        return True

    def _until(self, life_s: str | None, before: Entry | None) -> Micros | None:
        if life_s is None and self._life_s is not None:
            life_s = str(self._life_s)
        if self._component == REDIS:
            if life_s is None:
                return before.until if before is not None else None
            return None if int(life_s) <= 0 else self._clock() + int(life_s) * SECOND
        return None if life_s is None else self._clock() + int(life_s) * SECOND

    def _entry(self, key: str) -> Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.until is not None and entry.until <= self._clock():
            del self._entries[key]
            return None
        return entry


class Gate(httpx.AsyncBaseTransport):
    """The way of one process to the sidecar, which lets as many requests through as a test allows."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self._allowed = asyncio.Semaphore(0)
        self._waiting = 0
        self._under_way = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._waiting += 1
        await self._allowed.acquire()
        self._waiting -= 1
        self._under_way += 1
        try:
            return await self._transport.handle_async_request(request)
        finally:
            self._under_way -= 1

    async def let_through(self, requests: int, task: asyncio.Task[Any]) -> None:
        """Allow so many requests, and return once the task of the process waits for more, or is done."""
        for _ in range(requests):
            self._allowed.release()
        await asyncio.sleep(0)
        while not task.done() and (self._under_way or not self._waiting or not self._allowed.locked()):
            await asyncio.sleep(0)


def _whole(text: str) -> int:
    number = int(text)
    assert abs(number) <= LARGEST_WHOLE_NUMBER, f"daprd would round {text}"
    return number


def _error(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"errorCode": code, "message": code})
