"""The result cache in Dapr's state, shared by all replicas."""

import logging
from base64 import b64decode, b64encode

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Fold, Replacement, Write
from mastery_engine.errors import Unavailable
from mastery_engine.ports.result_cache import LIFE_S, ResultKey

logger = logging.getLogger(__name__)


class _Result(msgspec.Struct, frozen=True):
    """A result in Base64, and what it was computed from."""

    version: str
    result: str


class DaprResultCache:
    """See ``ResultCache``. Beside the results about somebody stands which kinds there are, for who drops them."""

    def __init__(self, state: DaprState) -> None:
        self._state = state

    async def get(self, key: ResultKey, version: str) -> bytes | None:
        try:
            (value,) = await self._state.read([keys.result(*key)])
        except Unavailable as error:
            logger.debug("nothing is cached: %s", error)
            return None
        if value is None:
            return None
        cached = msgspec.convert(value.data, _Result)
        return b64decode(cached.result) if cached.version == version else None

    async def put(self, key: ResultKey, version: str, value: bytes) -> None:
        cached = _Result(version, b64encode(value).decode())
        try:
            await self._state.fold({keys.result_kinds(key.tenant, key.subject): _with_kind(key.kind)})
            await self._state.change([Write(keys.result(*key), cached, None, LIFE_S)])
        except Unavailable as error:
            logger.debug("not cached: %s", error)

    async def drop(self, tenant: str, subject: str) -> None:
        name = keys.result_kinds(tenant, subject)
        (kinds,) = await self._state.read([name])
        if kinds is not None:
            await self._state.change([], [name, *(keys.result(tenant, subject, kind) for kind in kinds.data)])


def _with_kind(kind: str) -> Fold:
    """Among the kinds, for as long as the result that is cached next."""

    def fold(stored: list[str] | None) -> Replacement:
        return Replacement(sorted({*(stored or ()), kind}), LIFE_S)

    return fold
