"""The Dapr sidecar's state API, as far as the store uses it: bulk reads, guarded writes, transactions, expiry."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

from mastery_engine.errors import Unavailable

ANSWER_S = 10.0
MOST_CONNECTIONS = 32
READ_AT_ONCE = 100
LARGEST_WRITE = 1_500_000  # bytes; a sidecar takes 4 MiB if it is not told otherwise
PARALLEL = 64
# What a sidecar says of a write whose ETag is not the store's; where there was to be none, or of several writes at
# once, it says it as a failure. Whether it is one shows when the keys are read again.
REFUSED = frozenset({400, 409, 500})


class Value(msgspec.Struct, frozen=True):
    """What a key holds; ``etag`` guards the next write."""

    data: Any
    etag: str


class Write(msgspec.Struct, frozen=True):
    """A value for a key, over the ``etag`` that was read (None: there was nothing). ``life_s`` is its expiry."""

    key: str
    value: Any
    etag: str | None
    life_s: int


class _Row(msgspec.Struct):
    key: str
    data: Any = None
    etag: str | None = None
    error: str | None = None


_rows = msgspec.json.Decoder(list[_Row]).decode
_encode = msgspec.json.Encoder().encode


class DaprState:
    """One state component of the sidecar on this machine. All calls raise Unavailable where it is away."""

    def __init__(self, store: str, *, port: int, token: str | None = None) -> None:
        headers = {"Content-Type": "application/json", **({"dapr-api-token": token} if token else {})}
        self._path = f"/v1.0/state/{store}"
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers=headers,
            timeout=ANSWER_S,
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS),
            trust_env=False,
        )

    async def read(self, keys: Sequence[str]) -> list[Value | None]:
        """The values in the order of the keys; None where there is none."""
        wanted = list(dict.fromkeys(keys))
        parts = [wanted[start : start + READ_AT_ONCE] for start in range(0, len(wanted), READ_AT_ONCE)]
        found: dict[str, Value] = {}
        for rows in await asyncio.gather(*[self._read(part) for part in parts]):
            found |= rows
        return [found.get(key) for key in keys]

    async def _read(self, keys: list[str]) -> dict[str, Value]:
        answer = await self._post("/bulk", {"keys": keys, "parallelism": PARALLEL})
        if answer.status_code == 204:
            return {}
        _check(answer)
        rows = _rows(answer.content)
        for row in rows:
            if row.error:
                raise Unavailable(f"Dapr's state store is away ({row.error}): nothing was lost.")
        return {row.key: Value(row.data, row.etag or "") for row in rows if row.data is not None}

    async def write(self, writes: Sequence[Write]) -> bool:
        """Write each value that is still at its etag (first write wins); whether all were.

        Where not all were, some may have been written: read them again.
        """
        won = await asyncio.gather(*[self._write(part) for part in _parts(writes)])
        return all(won)

    async def _write(self, writes: Sequence[Write]) -> bool:
        answer = await self._post("", [_item(write) for write in writes])
        if answer.status_code in REFUSED:
            return False
        _check(answer)
        return True

    async def change(self, writes: Sequence[Write], removed: Sequence[str] = ()) -> None:
        """Write and remove in one transaction, whatever was there."""
        operations = [
            {"operation": "upsert", "request": {**_item(write), "options": {"concurrency": "last-write"}}}
            for write in writes
        ]
        operations += [{"operation": "delete", "request": {"key": key}} for key in removed]
        if operations:
            _check(await self._post("/transaction", {"operations": operations}))

    async def ping(self) -> None:
        """Raises Unavailable where the sidecar, or what is behind it, does not answer."""
        await self._read(["ping"])

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, path: str, body: Any) -> httpx.Response:
        try:
            return await self._client.post(self._path + path, content=_encode(body))
        except httpx.HTTPError as error:
            raise Unavailable(f"The Dapr sidecar is away ({type(error).__name__}): nothing was lost.") from error


def _item(write: Write) -> Mapping[str, Any]:
    etag = {} if write.etag is None else {"etag": write.etag}
    return {
        "key": write.key,
        "value": write.value,
        **etag,
        "options": {"concurrency": "first-write", "consistency": "strong"},
        "metadata": {"ttlInSeconds": str(write.life_s)},
    }


def _parts(writes: Sequence[Write]) -> list[list[Write]]:
    """The writes in requests that a sidecar takes."""
    parts: list[list[Write]] = []
    size = LARGEST_WRITE
    for write in writes:
        weight = len(_encode(write.value)) + len(write.key) + 200
        if size + weight > LARGEST_WRITE:
            parts.append([])
            size = 0
        parts[-1].append(write)
        size += weight
    return parts


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    if answer.status_code in (401, 403):
        raise Unavailable("The Dapr sidecar refuses our token: set DAPR_API_TOKEN to the one that it was given.")
    raise Unavailable(f"Dapr's state store answers {answer.status_code} ({answer.text[:200]}): nothing was lost.")
