"""The Dapr sidecar's state API, as far as the stores use it: bulk reads, guarded writes, transactions, expiry."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import httpx
import msgspec

from mastery_engine.errors import Unavailable

logger = logging.getLogger(__name__)

ANSWER_S = 10.0
MOST_CONNECTIONS = 32
READ_AT_ONCE = 100
FOLD_AT_ONCE = 2_000
LARGEST_WRITE = 1_500_000  # bytes; a sidecar takes 4 MiB if it is not told otherwise
PARALLEL = 64
MAX_ROUNDS = 200
LONGEST_SAID = 500  # characters of an error that are logged
PROBE, PROBE_S = "ready", 60
# What a sidecar says of a write whose ETag is not the store's; where there was to be none, or of several writes at
# once, it says it as a failure. Whether it is one shows when the keys are read again.
REFUSED = frozenset({400, 409, 500})


class Value(msgspec.Struct, frozen=True):
    """What a key holds; ``etag`` guards the next write. ``expires``: the component says so, which not all can."""

    data: Any
    etag: str
    expires: bool = False


class Write(msgspec.Struct, frozen=True):
    """A value for a key, over the ``etag`` that was read (None: there was nothing).

    ``life_s`` is its expiry in seconds; with None it does not expire.
    """

    key: str
    value: Any
    etag: str | None
    life_s: int | None


class Replacement(msgspec.Struct, frozen=True):
    """What a key is to hold, and for how long, as in ``Write``."""

    value: Any
    life_s: int | None


# From what a key holds, None where there is nothing, to what it is to hold; None where that is right as it is.
Fold: TypeAlias = Callable[[Any], Replacement | None]


class _RowMetadata(msgspec.Struct):
    expires_at: str | None = msgspec.field(default=None, name="ttlExpireTime")


class _Row(msgspec.Struct):
    key: str
    data: Any = None
    etag: str | None = None
    error: str | None = None
    metadata: _RowMetadata | None = None


class _Component(msgspec.Struct):
    name: str
    type: str


class _Metadata(msgspec.Struct):
    components: list[_Component] = []


_rows = msgspec.json.Decoder(list[_Row]).decode
_metadata = msgspec.json.Decoder(_Metadata).decode
_encode = msgspec.json.Encoder().encode


class DaprState:
    """One state component of the sidecar on this machine. All calls raise Unavailable where it is away."""

    def __init__(
        self, store: str, *, port: int, token: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Over HTTP, or whatever else ``transport`` is."""
        headers = {"Content-Type": "application/json", **({"dapr-api-token": token} if token else {})}
        self._store = store
        self._path = f"/v1.0/state/{store}"
        self._no_expiry: Mapping[str, str] | None = None
        self._origin = httpx.URL(f"http://127.0.0.1:{port}")
        self._addresses: dict[str, httpx.URL] = {}  # read once: for each request httpx would read them anew
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=ANSWER_S,
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS),
            transport=transport,
            trust_env=False,
        )

    async def read(self, keys: Sequence[str]) -> list[Value | None]:
        """The values in the order of the keys; None where there is none. Up to 100 keys are one request."""
        wanted = list(dict.fromkeys(keys))
        parts = [wanted[start : start + READ_AT_ONCE] for start in range(0, len(wanted), READ_AT_ONCE)]
        values: dict[str, Value] = {}
        for rows in await asyncio.gather(*[self._read(part) for part in parts]):
            values |= rows
        return [values.get(key) for key in keys]

    async def _read(self, keys: list[str]) -> dict[str, Value]:
        answer = await self._post("/bulk", {"keys": keys, "parallelism": PARALLEL})
        if answer.status_code == 204:
            return {}
        _check(answer)
        rows = _rows(answer.content)
        for row in rows:
            if row.error:
                logger.warning("Dapr's state store answers: %s", row.error[:LONGEST_SAID])
                raise Unavailable("Dapr's state store is away: nothing was lost. The engine's log has its words.")
        return {
            row.key: Value(row.data, row.etag or "", row.metadata is not None and row.metadata.expires_at is not None)
            for row in rows
            if row.data is not None
        }

    async def write(self, writes: Sequence[Write]) -> bool:
        """Write each value that is still at its ETag (first write wins); whether all were.

        Where not all were, some may have been written: read them again.
        """
        items = [await self._item(write) for write in writes]
        won = await asyncio.gather(*[self._write(part) for part in _parts(items)])
        return all(won)

    async def _write(self, items: list[bytes]) -> bool:
        answer = await self._post("", [msgspec.Raw(item) for item in items])
        if answer.status_code in REFUSED:
            return False
        _check(answer)
        return True

    async def fold(self, folds: Mapping[str, Fold]) -> None:
        """Replace what these keys hold, each by its fold, reading and folding again those that others wrote meanwhile.

        A fold may be asked again after its write won. Raises Unavailable where others write all the time.
        """
        asked = list(folds.items())
        for start in range(0, len(asked), FOLD_AT_ONCE):
            await self._fold(dict(asked[start : start + FOLD_AT_ONCE]))

    async def _fold(self, waiting: dict[str, Fold]) -> None:
        for _ in range(MAX_ROUNDS):
            keys = list(waiting)
            writes = []
            for key, value in zip(keys, await self.read(keys), strict=True):
                replacement = waiting[key](value.data if value is not None else None)
                if replacement is None:
                    del waiting[key]
                else:
                    etag = value.etag if value is not None else None
                    writes.append(Write(key, replacement.value, etag, replacement.life_s))
            if await self.write(writes):
                return
            await asyncio.sleep(0)
        raise Unavailable("Too many writers want the same of Dapr's state at once: ask again.")

    async def change(self, writes: Sequence[Write], removed: Sequence[str] = ()) -> None:
        """Write and remove in one transaction, whatever was there.

        Not for keys that ``write`` or ``fold`` write: Redis takes nothing for them that is not at their ETag.
        """
        operations: list[dict[str, Any]] = [
            {"operation": "upsert", "request": msgspec.Raw(await self._item(write, concurrency="last-write"))}
            for write in writes
        ]
        operations += [{"operation": "delete", "request": {"key": key}} for key in removed]
        if operations:
            _check(await self._post("/transaction", {"operations": operations}))

    async def put_as_component_does(self, key: str, value: Any) -> None:
        """Write a value without a word on its expiry: it expires where the component gives it one."""
        request = {"key": key, "value": value, "options": {"concurrency": "last-write", "consistency": "strong"}}
        _check(await self._post("/transaction", {"operations": [{"operation": "upsert", "request": request}]}))

    async def _item(self, write: Write, *, concurrency: str = "first-write") -> bytes:
        expiry = await self._lasting() if write.life_s is None else {"ttlInSeconds": str(write.life_s)}
        etag = {} if write.etag is None else {"etag": write.etag}
        options = {"concurrency": concurrency, "consistency": "strong"}
        return _encode({"key": write.key, "value": write.value, **etag, "options": options, "metadata": expiry})

    async def _lasting(self) -> Mapping[str, str]:
        """What tells the state component that a value does not expire.

        To Redis no word means that a key keeps the expiry that it had: it must be told -1, as Dapr's documentation has
        it. MongoDB, SQL Server and DynamoDB take -1 for a moment that is past; to all but Redis no word is enough.
        """
        if self._no_expiry is None:
            answer = await self._send("GET", "/v1.0/metadata")
            _check(answer)
            kinds = {component.name: component.type for component in _metadata(answer.content).components}
            if self._store not in kinds:
                raise Unavailable(
                    f"The Dapr sidecar has no component {self._store}: set DAPR_STATE_STORE to one it has."
                )
            self._no_expiry = {"ttlInSeconds": "-1"} if kinds[self._store] == "state.redis" else {}
        return self._no_expiry

    async def ping(self) -> None:
        """Raises Unavailable where the sidecar, or what is behind it, does not answer or takes no write."""
        await self._lasting()
        await self.change([Write(PROBE, 0, None, PROBE_S)])

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, path: str, body: Any) -> httpx.Response:
        return await self._send("POST", self._path + path, _encode(body))

    async def _send(self, method: str, path: str, body: bytes = b"") -> httpx.Response:
        address = self._addresses.get(path)
        if address is None:
            address = self._addresses[path] = self._origin.join(path)
        try:
            return await self._client.request(method, address, content=body)
        except httpx.TimeoutException as error:
            raise Unavailable(
                "The Dapr sidecar has not answered in time: nothing was lost. If it should be there, look at its state "
                "store and at DAPR_HTTP_PORT."
            ) from error
        except httpx.HTTPError as error:
            raise Unavailable(
                "The Dapr sidecar is away: nothing was lost. If it should be there, look at DAPR_HTTP_PORT."
            ) from error


def _parts(items: Sequence[bytes]) -> list[list[bytes]]:
    """The writes in requests that a sidecar takes."""
    parts: list[list[bytes]] = []
    size = LARGEST_WRITE
    for item in items:
        if size + len(item) > LARGEST_WRITE:
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += len(item)
    return parts


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    if answer.status_code in (401, 403):
        raise Unavailable("The Dapr sidecar refuses our token: set DAPR_API_TOKEN to the one that it was given.")
    logger.warning("Dapr's state store answers %s: %s", answer.status_code, answer.text[:LONGEST_SAID])
    raise Unavailable("Dapr's state store refuses what it is asked: nothing was lost. The engine's log has its words.")
